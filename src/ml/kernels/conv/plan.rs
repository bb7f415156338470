//! Divides a convolution into units that fit the L2 cache, with padded tiles and the taps that reach each input.

use crate::ml::kernels::{
    Geometry,
    simd::{Isa, strip::Kernel},
};

/// Floats of input and output in a unit of a pointwise convolution: about 100 kB.
const POINTWISE_UNIT: usize = 24 * 1024;
/// Floats of both operands in a band of a weight gradient: about the size of an L1 cache.
const BAND: usize = 12 * 1024;
/// A convolution with at least this many weights has units of several images. Fewer weights stay in the L2 cache from
/// one image to the next.
const MANY_WEIGHTS: usize = 64 * 1024;
/// Floats of input and output in a unit of several images: half the size of an L2 cache.
const SHARED_UNIT: usize = 128 * 1024;
/// Output pixels in a band of a weight gradient with [`MANY_WEIGHTS`]: a panel of their gradients fits the L1.
const WIDE_BAND: usize = 64;
/// The fewest channels for which Winograd's products save more than its transforms cost, and the most weights for which
/// its frequencies stay in the caches.
const WINOGRAD_CHANNELS: usize = 32;
const WINOGRAD_WEIGHTS: usize = 9 << 18;
/// Output pixels in a unit that Winograd's algorithm computes: four for each row of its matrices.
const WINOGRAD_UNIT: usize = 512;

/// One axis of an image: sizes with and without padding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    /// Pixels in and out.
    pub input: usize,
    pub output: usize,
    /// Zeros before the input, and pixels of the padded tile of inputs.
    pub before: usize,
    pub padded: usize,
    /// Zeros before the outputs, and pixels of the padded tile of output gradients.
    pub grad_before: usize,
    pub grad_padded: usize,
}

/// The outputs that reach the inputs `phase, phase + stride, …` of an axis: `taps[t]` of the window meets output
/// `m + first + t` for the `m`-th such input.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    pub phase: usize,
    /// Inputs of this phase.
    pub count: usize,
    /// Position of the first tap's output in the padded tile, for `m = 0`.
    pub first: usize,
    pub taps: Vec<usize>,
}

/// A convolution of one size. A pointwise convolution treats its pixels as one row, which is divided into units.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub inputs: usize,
    pub outputs: usize,
    pub kernel: usize,
    pub stride: usize,
    pub rows: Axis,
    pub columns: Axis,
    /// Images in all, and images in every unit except perhaps the last. A unit has more than one image if images are
    /// small and weights are many.
    pub images: usize,
    pub unit_images: usize,
    /// Number of units: groups of images, or pieces of the row of pixels.
    pub units: usize,
    /// Output pixels in all.
    pub pixels: usize,
    pub pointwise: bool,
    /// Whether it is computed by Winograd's algorithm.
    pub winograd: bool,
    /// The instruction set that computes it.
    pub isa: Isa,
}

impl Plan {
    /// The plan for `n` images of `size` (height, width), `inputs` channels in and `outputs` out.
    pub(crate) fn new(n: usize, size: [usize; 2], inputs: usize, outputs: usize, g: &Geometry) -> Self {
        let [height, width] = g.output(size);
        if g.kernel == 1 && g.stride == 1 && g.padding == [0; 4] {
            return Self::pointwise(n * size[0] * size[1], inputs, outputs);
        }
        let rows = Axis::new(size[0], height, g.padding[0], g);
        let columns = Axis::new(size[1], width, g.padding[2], g);
        let (kernel, stride) = (g.kernel, g.stride);
        let operands = rows.padded * columns.padded * inputs + rows.grad_padded * columns.grad_padded * outputs;
        let many = kernel * kernel * inputs * outputs >= MANY_WEIGHTS;
        let unit_images = if many { (SHARED_UNIT / operands.max(1)).clamp(1, 8).min(n.max(1)) } else { 1 };
        let winograd = suits_winograd(inputs, outputs, [rows, columns], g);
        let unit_images = if winograd { (WINOGRAD_UNIT / (height * width)).clamp(1, n.max(1)) } else { unit_images };
        Self {
            kernel,
            stride,
            rows,
            columns,
            images: n,
            unit_images,
            units: n.div_ceil(unit_images),
            pointwise: false,
            winograd,
            ..Self::pointwise(n * height * width, inputs, outputs)
        }
    }

    /// The plan for a product of `pixels` rows with a matrix: a 1x1 convolution or a linear layer.
    pub(crate) fn pointwise(pixels: usize, inputs: usize, outputs: usize) -> Self {
        let fit = (POINTWISE_UNIT / (inputs + outputs).max(1)).clamp(32, 1024);
        let unit = (1 << fit.ilog2()).min(pixels.max(1));
        let one = Axis { input: 1, output: 1, before: 0, padded: 1, grad_before: 0, grad_padded: 1 };
        let columns = Axis { input: unit, output: unit, padded: unit, grad_padded: unit, ..one };
        let units = pixels.div_ceil(unit);
        Self {
            inputs,
            outputs,
            kernel: 1,
            stride: 1,
            rows: one,
            columns,
            images: units,
            unit_images: 1,
            units,
            pixels,
            pointwise: true,
            winograd: false,
            isa: Isa::detect(),
        }
    }

    /// Images of a unit.
    pub(crate) fn images_of(&self, unit: usize) -> usize {
        self.unit_images.min(self.images - unit * self.unit_images)
    }

    /// Output pixels of every unit except perhaps the last.
    pub(crate) fn whole_unit(&self) -> usize {
        self.unit_images * self.rows.output * self.columns.output
    }

    /// Output columns of an image of a unit; the last unit of a pointwise plan may have fewer.
    pub(crate) fn unit_columns(&self, unit: usize) -> usize {
        let columns = self.columns.output;
        if self.pointwise { columns.min(self.pixels - unit * columns) } else { columns }
    }

    /// Input pixels of every unit except perhaps the last.
    pub(crate) fn whole_input(&self) -> usize {
        self.unit_images * self.rows.input * self.columns.input
    }

    /// Whether a window reads beyond the image, which needs a padded copy.
    pub(crate) fn needs_padding(&self) -> bool {
        let outside = |a: Axis| a.before > 0 || a.padded > a.input;
        outside(self.rows) || outside(self.columns)
    }

    /// Rows and columns of the image that the kernel reads, which is the padded copy or the image itself.
    pub(crate) fn tile_size(&self) -> [usize; 2] {
        let (rows, columns) = (self.rows, self.columns);
        if self.needs_padding() { [rows.padded, columns.padded] } else { [rows.input, columns.input] }
    }

    /// Elements of the weight matrix.
    pub(crate) fn weights(&self) -> usize {
        self.kernel * self.kernel * self.inputs * self.outputs
    }

    /// Whether the weight gradient is computed with the input channels in the lanes of vectors. If the output channels
    /// filled only one vector, each element would be broadcast for a single multiplication.
    pub(crate) fn inputs_in_lanes(&self) -> bool {
        let width = Kernel::of(self.isa, self.inputs).width;
        self.pointwise && width > Kernel::of(self.isa, self.outputs).width && self.inputs.is_multiple_of(width)
    }

    /// Whether the weights and a unit do not fit the L2 cache together. Then the weights are read as rarely as
    /// possible.
    pub(crate) fn many_weights(&self) -> bool {
        !self.pointwise && self.weights() >= MANY_WEIGHTS
    }

    /// Output rows of a unit, over all its images, that are added to the weight gradient together. Their operands fit
    /// the L1 cache or, if weights are many, a panel of one operand does.
    pub(crate) fn band(&self) -> usize {
        if self.many_weights() {
            return (WIDE_BAND / self.columns.output.max(1)).max(1);
        }
        let row = self.columns.output * self.outputs + self.stride * self.columns.padded * self.inputs;
        (BAND / row.max(1)).clamp(1, self.rows.output.max(1))
    }
}

/// Whether a convolution keeps the even size of the image, has whole vectors of channels, and is large enough.
fn suits_winograd(inputs: usize, outputs: usize, size: [Axis; 2], g: &Geometry) -> bool {
    let channels = [inputs, outputs].iter().all(|&c| c >= WINOGRAD_CHANNELS && c.is_multiple_of(16));
    let even = size.iter().all(|axis| axis.input == axis.output && axis.input.is_multiple_of(2));
    g.kernel == 3 && g.stride == 1 && channels && even && 9 * inputs * outputs <= WINOGRAD_WEIGHTS
}

impl Axis {
    fn new(input: usize, output: usize, before: usize, g: &Geometry) -> Self {
        let padded = (output.max(1) - 1) * g.stride + g.kernel;
        let padded = if before == 0 && padded <= input { input } else { padded };
        let mut axis = Self { input, output, before, padded, grad_before: 0, grad_padded: output };
        for phase in 0..g.stride.min(input) {
            let reach = axis.outputs_of(phase, g);
            let Some(first) = reach.iter().map(|&(out, _)| out).min() else { continue };
            axis.grad_before = axis.grad_before.max(usize::try_from(-first).unwrap_or(0));
        }
        for phase in 0..g.stride.min(input) {
            let count = (input - phase).div_ceil(g.stride);
            let last = axis.outputs_of(phase, g).iter().map(|&(out, _)| out).max().unwrap_or(0);
            let end = count as isize + last + axis.grad_before as isize;
            axis.grad_padded = axis.grad_padded.max(usize::try_from(end).unwrap_or(0));
        }
        axis.grad_padded = axis.grad_padded.max(axis.grad_before + output);
        axis
    }

    /// Outputs that read input `phase`, each with its tap; an output may lie outside the image.
    fn outputs_of(&self, phase: usize, g: &Geometry) -> Vec<(isize, usize)> {
        let stride = g.stride as isize;
        let reach = |tap: usize| {
            let distance = (phase + self.before) as isize - tap as isize;
            (distance.rem_euclid(stride) == 0).then(|| (distance.div_euclid(stride), tap))
        };
        (0..g.kernel).rev().filter_map(reach).collect()
    }

    /// The phases of this axis.
    pub(crate) fn phases(&self, kernel: usize, stride: usize) -> Vec<Phase> {
        let g = Geometry { kernel, stride, padding: [0; 4] };
        let phase = |phase: usize| {
            let reach = self.outputs_of(phase, &g);
            let first = reach.first().map_or(0, |&(out, _)| out) + self.grad_before as isize;
            Phase {
                phase,
                count: (self.input - phase).div_ceil(stride),
                first: usize::try_from(first).unwrap_or(0),
                taps: reach.into_iter().map(|(_, tap)| tap).collect(),
            }
        };
        (0..stride.min(self.input)).map(phase).collect()
    }
}
