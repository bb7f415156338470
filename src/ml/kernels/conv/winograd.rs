//! Convolution with 3x3 windows by Winograd's F(2x2, 3x3), forward and both gradients: 16 products for four outputs
//! instead of 36.
//!
//! The images of a unit become 16 matrices `[tiles, channels]`, one for each frequency. Each is multiplied by its
//! matrix of weights, a panel of outputs at a time, and the panel is transformed back while it is in the cache. The
//! weight gradient is the gradient of these steps, so it needs as few products.

use rayon::prelude::*;

use crate::ml::kernels::{
    conv::{
        plan::Plan,
        tile::Tile,
        transform::{FREQUENCIES, Grid, Panel, gather, of_window, scatter, spread, to_window},
    },
    memory::scratch::Scratch,
    simd::strip::{Kernel, Strip},
};

/// Floats of the weights of all frequencies: matrices of `inner` rows and `outer` columns, in panels.
fn packed_len(inner: usize, outer: usize, kernel: Kernel) -> usize {
    FREQUENCIES * inner * outer.next_multiple_of(kernel.width)
}

/// The frequencies of the weights, `[panel of outer][16][inner][width]`; `window(inner, outer)` is one window.
fn pack(inner: usize, outer: usize, kernel: Kernel, window: impl Fn(usize, usize) -> [[f32; 3]; 3] + Sync) -> Vec<f32> {
    let mut packed = vec![0f32; packed_len(inner, outer, kernel)];
    let width = kernel.width;
    packed.par_chunks_mut(FREQUENCIES * inner * width).enumerate().for_each(|(panel, packed)| {
        for (lane, o) in (panel * width..outer.min((panel + 1) * width)).enumerate() {
            for i in 0..inner {
                for (f, x) in of_window(window(i, o)).into_iter().enumerate() {
                    packed[(f * inner + i) * width + lane] = x;
                }
            }
        }
    });
    packed
}

/// Packs weights `[out, in, 3, 3]` for [`forward`].
pub(crate) fn pack_forward(plan: &Plan, weights: &[f32]) -> Vec<f32> {
    let kernel = Kernel::of(plan.isa, plan.outputs);
    pack(plan.inputs, plan.outputs, kernel, |i, o| {
        let w = &weights[(o * plan.inputs + i) * 9..][..9];
        [[w[0], w[1], w[2]], [w[3], w[4], w[5]], [w[6], w[7], w[8]]]
    })
}

/// Packs weights `[out, in, 3, 3]` for [`input_gradient`], which needs each window rotated by 180 degrees.
pub(crate) fn pack_backward(plan: &Plan, weights: &[f32]) -> Vec<f32> {
    let kernel = Kernel::of(plan.isa, plan.inputs);
    pack(plan.outputs, plan.inputs, kernel, |o, i| {
        let w = &weights[(o * plan.inputs + i) * 9..][..9];
        [[w[8], w[7], w[6]], [w[5], w[4], w[3]], [w[2], w[1], w[0]]]
    })
}

/// Floats of a partial weight gradient: `[panel of outputs][16][inputs][width]`.
pub(crate) fn partial_len(plan: &Plan) -> usize {
    packed_len(plan.inputs, plan.outputs, Kernel::of(plan.isa, plan.outputs))
}

/// Computes the outputs of one unit from its tile of inputs.
pub(crate) fn forward(plan: &Plan, count: usize, tile: &[f32], packed: &[f32], y: &mut [f32]) {
    let from = Images { count, size: plan.tile_size(), origin: [0, 0], channels: plan.inputs };
    let to = Images { count, size: [plan.rows.output, plan.columns.output], origin: [0, 0], channels: plan.outputs };
    let to = Results { floats: y, images: to, accumulate: false };
    convolve(plan, Operand { floats: tile, images: from }, packed, to);
}

/// Computes the gradient of the inputs of one unit from its tile of output gradients.
pub(crate) fn input_gradient(plan: &Plan, count: usize, gradients: &Tile, packed: &[f32], dx: &mut [f32], add: bool) {
    // The windows of the full convolution begin two pixels before an output; the tile has only as many zeros as are
    // needed.
    let origin = [plan.rows, plan.columns].map(|axis| axis.grad_before + axis.before - 2);
    let size = [plan.rows.grad_padded, plan.columns.grad_padded];
    let from = Images { count, size, origin, channels: plan.outputs };
    let to = Images { count, size: [plan.rows.input, plan.columns.input], origin: [0, 0], channels: plan.inputs };
    let to = Results { floats: dx, images: to, accumulate: add };
    convolve(plan, Operand { floats: &gradients.data, images: from }, packed, to);
}

/// Adds the share of one unit to the partial weight gradient.
pub(crate) fn weight_gradient(plan: &Plan, count: usize, tile: &[f32], gradients: &Tile, partial: &mut [f32]) {
    let (inner, outer) = (plan.inputs, plan.outputs);
    let kernel = Kernel::of(plan.isa, outer);
    let width = kernel.width;
    let size = [plan.rows.output, plan.columns.output];
    let x = Images { count, size: plan.tile_size(), origin: [0, 0], channels: inner };
    let padded = [plan.rows.grad_padded, plan.columns.grad_padded];
    let dy = Images { count, size: padded, origin: [plan.rows.grad_before, plan.columns.grad_before], channels: outer };
    let tiles = count * size[0] * size[1] / 4;
    let patches = Operand { floats: tile, images: x }.gather(plan, size);
    let patches = Matrix { floats: &patches, rows: inner, depth: tiles, row: 1, step: inner };
    let mut panel_of_dy = Scratch::any(FREQUENCIES * tiles * width);
    assert!(partial.len() >= partial_len(plan));
    for (panel, partial) in partial.chunks_exact_mut(FREQUENCIES * inner * width).enumerate() {
        let first = panel * width;
        let panel = Panel { channels: width.min(outer - first), width };
        for image in 0..count {
            spread(plan.isa, &gradients.data, dy.grid(image, size, first), panel, &mut panel_of_dy);
        }
        multiply(kernel, patches, &panel_of_dy, partial, true);
    }
}

/// The weight gradient `[out, in, 3, 3]` from the sum of the partial weight gradients.
pub(crate) fn unpack(plan: &Plan, sum: &[f32]) -> Vec<f32> {
    let width = Kernel::of(plan.isa, plan.outputs).width;
    let mut weights = vec![0f32; plan.weights()];
    weights.par_chunks_mut(9 * plan.inputs).enumerate().for_each(|(o, weights)| {
        for (i, window) in weights.chunks_exact_mut(9).enumerate() {
            let at = |f| ((o / width * FREQUENCIES + f) * plan.inputs + i) * width + o % width;
            window.copy_from_slice(&to_window(std::array::from_fn(|f| sum[at(f)])));
        }
    });
    weights
}

/// Consecutive images of `[size, channels]`, of which the part from `origin` on is read or written.
#[derive(Clone, Copy)]
struct Images {
    count: usize,
    size: [usize; 2],
    origin: [usize; 2],
    channels: usize,
}

impl Images {
    /// The tiles of one of the images, for results of `size`, from channel `first` on.
    fn grid(self, image: usize, size: [usize; 2], first: usize) -> Grid {
        let [rows, columns] = [size[0] / 2, size[1] / 2];
        let line = self.size[1] * self.channels;
        let start = (image * self.size[0] + self.origin[0]) * line + self.origin[1] * self.channels + first;
        let tiles = rows * columns;
        Grid { rows, columns, start, line, pixel: self.channels, first: image * tiles, all: self.count * tiles }
    }
}

/// The images that a convolution reads.
struct Operand<'a> {
    floats: &'a [f32],
    images: Images,
}

impl Operand<'_> {
    /// The patches of all images, `[16][tiles][channels]`, for results of `size`.
    fn gather(&self, plan: &Plan, size: [usize; 2]) -> Scratch {
        let Images { count, channels, .. } = self.images;
        let mut patches = Scratch::any(FREQUENCIES * count * size[0] * size[1] / 4 * channels);
        for image in 0..count {
            gather(plan.isa, self.floats, self.images.grid(image, size, 0), channels, &mut patches);
        }
        patches
    }
}

/// The images that a convolution writes, or adds to.
struct Results<'a> {
    floats: &'a mut [f32],
    images: Images,
    accumulate: bool,
}

/// `to = from * packed`, or added to it.
fn convolve(plan: &Plan, from: Operand, packed: &[f32], to: Results) {
    let (inner, outer) = (from.images.channels, to.images.channels);
    let Images { count, size, .. } = to.images;
    let kernel = Kernel::of(plan.isa, outer);
    let width = kernel.width;
    let tiles = count * size[0] * size[1] / 4;
    let patches = from.gather(plan, size);
    let patches = Matrix { floats: &patches, rows: tiles, depth: inner, row: inner, step: 1 };
    let mut products = Scratch::any(FREQUENCIES * tiles * width);
    assert!(packed.len() >= packed_len(inner, outer, kernel));
    for (panel, weights) in packed.chunks_exact(FREQUENCIES * inner * width).enumerate() {
        multiply(kernel, patches, weights, &mut products, false);
        let first = panel * width;
        let panel = Panel { channels: width.min(outer - first), width };
        for image in 0..count {
            scatter(plan.isa, &products, to.images.grid(image, size, first), panel, to.accumulate, to.floats);
        }
    }
}

/// A matrix of `rows` by `depth` for each frequency, whose elements lie `row` and `step` floats apart.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    floats: &'a [f32],
    rows: usize,
    depth: usize,
    row: usize,
    step: usize,
}

/// `c = a b`, or added to it, for each frequency; `b` is a matrix of `a.depth` by one panel.
fn multiply(kernel: Kernel, a: Matrix, b: &[f32], c: &mut [f32], accumulate: bool) {
    let width = kernel.width;
    let Matrix { floats, rows, depth, row, step } = a;
    assert!((rows - 1) * row + (depth - 1) * step < rows * depth && floats.len() >= FREQUENCIES * rows * depth);
    assert!(b.len() >= FREQUENCIES * depth * width && c.len() >= FREQUENCIES * rows * width);
    for f in 0..FREQUENCIES {
        let strip = Strip {
            a: floats[f * rows * depth..].as_ptr(),
            a_row: row,
            a_step: step,
            segments: &[0],
            depth,
            b: b[f * depth * width..].as_ptr(),
            b_row: width,
            b_segment: 0,
            c: c[f * rows * width..].as_mut_ptr(),
            c_row: width,
            rows,
            cols: width,
            accumulate,
        };
        // SAFETY: the last element of `a` is that of its last row and column, and `b` and `c` hold whole panels of
        // depth and of rows for each frequency, all checked above; `c` is borrowed for this product alone.
        unsafe { kernel.run(&strip) };
    }
}
