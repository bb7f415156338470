//! The gradients of a convolution, unit by unit. The gradient of the outputs is computed once in a tile that fits the
//! L2 cache, and both products read it there.

use std::ops::Range;

use rayon::prelude::*;

use crate::ml::kernels::{
    autograd::source::Source,
    conv::{
        plan::{Phase, Plan},
        tile::Tile,
        winograd,
    },
    memory::{buffer::in_tasks, scratch::Scratch},
    simd::strip::{Kernel, Strip},
};

/// Largest number of floats in all partial weight gradients together.
const PARTIALS: usize = 1 << 20;

/// The weights for the gradient of the inputs: one matrix for each pair of phases.
pub(crate) struct Transposed {
    rows: Vec<Phase>,
    columns: Vec<Phase>,
    packed: Vec<Vec<f32>>,
}

impl Transposed {
    /// Packs `weights` `[out, in, k, k]`.
    pub(crate) fn new(plan: &Plan, weights: &[f32]) -> Self {
        let rows = plan.rows.phases(plan.kernel, plan.stride);
        let columns = plan.columns.phases(plan.kernel, plan.stride);
        let packed = rows.iter().flat_map(|r| columns.iter().map(move |c| pack(plan, weights, r, c))).collect();
        Self { rows, columns, packed }
    }
}

/// Where the gradient of the inputs goes.
pub(crate) struct Target<'a> {
    pub transposed: &'a Transposed,
    /// The gradient so far, to which this one is added.
    pub sum: Option<Vec<f32>>,
}

/// The gradients of one convolution.
pub(crate) struct Gradients<T> {
    /// Of the weights, `[out, in, k, k]`.
    pub weights: Vec<f32>,
    /// Of the inputs, if there was a target, added to its sum.
    pub inputs: Option<Vec<f32>>,
    /// What `finish` returned for each unit of the inputs, in their order.
    pub finished: Vec<T>,
}

/// Computes the gradients of the weights and, if there is a target, of the inputs.
///
/// `fill(first output pixel, line)` writes the gradient of the convolution's outputs for consecutive pixels.
/// `finish(first element, gradients)` receives each unit of the inputs' gradient while it is in the cache.
pub(crate) fn backward<T: Send>(
    plan: &Plan,
    x: &Source,
    target: Option<Target>,
    fill: impl Fn(usize, &mut [f32]) + Sync,
    finish: impl Fn(usize, &mut [f32]) -> T + Sync,
) -> Gradients<T> {
    let groups = groups(plan);
    let whole_in = plan.whole_input() * plan.inputs;
    let units = |group: usize| group * plan.units / groups..(group + 1) * plan.units / groups;
    let floats = |units: Range<usize>| (units.end * whole_in).min(x.len()) - units.start * whole_in;
    let lengths: Vec<usize> = (0..groups).map(|group| floats(units(group))).collect();
    let (transposed, sum) = target.map_or((None, None), |target| (Some(target.transposed), Some(target.sum)));
    let pass = Pass { plan, x, transposed, accumulate: sum.as_ref().is_some_and(Option::is_some), fill, finish };
    let (inputs, results) = match sum {
        None => {
            let groups = (0..groups).into_par_iter().map(|group| pass.group(units(group), std::iter::empty()));
            (None, groups.collect::<Vec<_>>())
        }
        Some(None) => {
            let (inputs, results) = in_tasks(&lengths, whole_in, |group, dx| pass.group(units(group), dx));
            (Some(inputs), results)
        }
        Some(Some(mut sum)) => {
            let mut rest = &mut sum[..];
            let mut parts = Vec::with_capacity(groups);
            for &length in &lengths {
                let (own, after) = rest.split_at_mut(length);
                rest = after;
                parts.push(own);
            }
            let group = |(group, dx): (usize, &mut [f32])| pass.group(units(group), dx.chunks_mut(whole_in));
            let results = parts.into_par_iter().enumerate().map(group).collect();
            (Some(sum), results)
        }
    };
    let (partials, finished): (Vec<_>, Vec<_>) = results.into_iter().unzip();
    Gradients { weights: reduce(plan, &partials), inputs, finished: finished.into_iter().flatten().collect() }
}

/// A backward pass over all units.
struct Pass<'a, F, D> {
    plan: &'a Plan,
    x: &'a Source<'a>,
    transposed: Option<&'a Transposed>,
    accumulate: bool,
    fill: F,
    finish: D,
}

impl<F: Fn(usize, &mut [f32]) + Sync, D: Sync> Pass<'_, F, D> {
    /// The partial weight gradient of a group of units, and what `finish` returned. `dx` are the units' inputs'
    /// gradients: zeros, or sums to which they are added.
    fn group<'d, T>(&self, units: Range<usize>, dx: impl IntoIterator<Item = &'d mut [f32]>) -> (Scratch, Vec<T>)
    where
        D: Fn(usize, &mut [f32]) -> T,
    {
        let Self { plan, x, .. } = *self;
        let whole_in = plan.whole_input() * plan.inputs;
        let mut partial = Scratch::zeros(partial_len(plan));
        let mut gradients = Tile::of_gradients(plan);
        let mut packed = Vec::new();
        let mut scratch = Scratch::any(0);
        let mut padded = plan.needs_padding().then(|| Tile::of_inputs(plan));
        let mut dx = dx.into_iter();
        let mut finished = Vec::new();
        for unit in units {
            let first = unit * whole_in;
            let span = first..x.len().min((unit + 1) * whole_in);
            let (images, columns) = (plan.images_of(unit), plan.unit_columns(unit));
            for line in 0..images * plan.rows.output {
                let (image, row) = (line / plan.rows.output, line % plan.rows.output);
                (self.fill)(unit * plan.whole_unit() + line * columns, gradients.row(image, row, columns));
            }
            let tile = match &mut padded {
                Some(tile) => {
                    tile.fill(plan, x, first, images);
                    &tile.data
                }
                None => x.chunk(span, &mut scratch),
            };
            if plan.winograd {
                winograd::weight_gradient(plan, images, tile, &gradients, &mut partial);
            } else if plan.inputs_in_lanes() {
                pointwise_weight_gradient(plan, columns, tile, &gradients, &mut partial);
            } else {
                weight_gradient(plan, unit, tile, &gradients, &mut packed, &mut partial);
            }
            if let (Some(transposed), Some(dx)) = (self.transposed, dx.next()) {
                input_gradient(plan, unit, &gradients, transposed, dx, self.accumulate);
                finished.push((self.finish)(first, dx));
            }
        }
        (partial, finished)
    }
}

/// Adds one unit's share to the weight gradient, laid out `[ky, kx, in, out]`. `packed` is scratch memory.
fn weight_gradient(
    plan: &Plan,
    unit: usize,
    tile: &[f32],
    gradients: &Tile,
    packed: &mut Vec<f32>,
    partial: &mut [f32],
) {
    let Plan { inputs, outputs, kernel: k, stride, .. } = *plan;
    let (images, columns) = (plan.images_of(unit), plan.unit_columns(unit));
    let kernel = Kernel::of(plan.isa, outputs);
    let [tile_rows, tile_columns] = plan.tile_size();
    let line = tile_columns * inputs;
    let rows = plan.rows.output;
    let starts: Vec<[usize; 2]> = (0..images * rows)
        .map(|index| (index / rows, index % rows))
        .map(|(image, row)| [(image * tile_rows + row * stride) * line, gradients.position(image, row, 0)])
        .collect();
    let last_row = (images - 1) * tile_rows + (rows - 1) * stride + k - 1;
    assert!(tile.len() >= last_row * line + ((columns - 1) * stride + k) * inputs);
    assert!(gradients.data.len() >= gradients.position(images - 1, rows - 1, columns) + kernel.width);
    assert!(partial.len() >= plan.weights());
    // Rows of a panel that are far apart share few sets of the L1 cache, so they are copied next to each other.
    let pack = plan.many_weights();
    // A band of a panel that is not packed has one stride between its rows, so it ends where its image ends.
    let bands = starts.chunks(if pack { plan.band() } else { rows }).flat_map(|image| image.chunks(plan.band()));
    for band in bands {
        let segments: Vec<usize> = band.iter().map(|&[tile, _]| tile).collect();
        for first in (0..outputs).step_by(kernel.width) {
            let cols = kernel.width.min(outputs - first);
            let (b, b_row, b_segment) = if pack {
                packed.clear();
                for pixel in band.iter().flat_map(|&[_, start]| (0..columns).map(move |x| start + x * outputs + first))
                {
                    packed.extend_from_slice(&gradients.data[pixel..pixel + kernel.width]);
                }
                (packed.as_ptr(), kernel.width, columns * kernel.width)
            } else {
                (gradients.data[band[0][1] + first..].as_ptr(), outputs, plan.columns.grad_padded * outputs)
            };
            for ky in 0..k {
                let strip = Strip {
                    a: tile[ky * line..].as_ptr(),
                    a_row: 1,
                    a_step: stride * inputs,
                    segments: &segments,
                    depth: columns,
                    b,
                    b_row,
                    b_segment,
                    c: partial[ky * k * inputs * outputs + first..].as_mut_ptr(),
                    c_row: outputs,
                    rows: k * inputs,
                    cols,
                    accumulate: true,
                };
                // SAFETY: the last elements of the operands are checked above: `A` ends with the last window of the
                // tile, `B` is packed in whole rows or followed by slack for one, `C` is this task's own.
                unsafe { kernel.run(&strip) };
            }
        }
    }
}

/// The same for a pointwise convolution of many inputs and few outputs, laid out `[out, in]`.
fn pointwise_weight_gradient(plan: &Plan, columns: usize, x: &[f32], gradients: &Tile, partial: &mut [f32]) {
    let Plan { inputs, outputs, .. } = *plan;
    let kernel = Kernel::of(plan.isa, inputs);
    assert!(x.len() >= columns * inputs && inputs.is_multiple_of(kernel.width));
    assert!(gradients.data.len() >= columns * outputs);
    assert!(partial.len() >= inputs * outputs);
    for first in (0..inputs).step_by(kernel.width) {
        let strip = Strip {
            a: gradients.data.as_ptr(),
            a_row: 1,
            a_step: outputs,
            segments: &[0],
            depth: columns,
            b: x[first..].as_ptr(),
            b_row: inputs,
            b_segment: 0,
            c: partial[first..].as_mut_ptr(),
            c_row: inputs,
            rows: outputs,
            cols: kernel.width,
            accumulate: true,
        };
        // SAFETY: the operands have `columns` pixels and the weights' elements, checked above; panels of `B` are whole,
        // because the inputs are a multiple of their width.
        unsafe { kernel.run(&strip) };
    }
}

/// One unit's gradient of the inputs.
fn input_gradient(plan: &Plan, unit: usize, gradients: &Tile, weights: &Transposed, dx: &mut [f32], add: bool) {
    let Plan { inputs, outputs, stride, .. } = *plan;
    let (images, columns) = (plan.images_of(unit), plan.unit_columns(unit));
    if plan.winograd {
        return winograd::input_gradient(plan, images, gradients, &weights.packed[0], dx, add);
    }
    let kernel = Kernel::of(plan.isa, inputs);
    let grad_line = plan.columns.grad_padded * outputs;
    let width = if plan.pointwise { columns } else { plan.columns.input };
    assert!(dx.len() >= images * plan.rows.input * width * inputs);
    let pairs = weights.rows.iter().flat_map(|r| weights.columns.iter().map(move |c| (r, c)));
    for ((r, c), packed) in pairs.zip(&weights.packed) {
        let depth = c.taps.len() * outputs;
        if r.taps.is_empty() || depth == 0 {
            continue;
        }
        let segments: Vec<usize> = (0..r.taps.len()).map(|t| t * grad_line).collect();
        let count = if plan.pointwise { columns } else { c.count };
        let last_row = (images - 1) * plan.rows.grad_padded + r.first + r.count - 1 + r.taps.len() - 1;
        let last = last_row * grad_line + (c.first + count - 1) * outputs + depth;
        assert!(gradients.data.len() >= last);
        for (panel, b) in packed.chunks_exact(r.taps.len() * depth * kernel.width).enumerate() {
            let first = panel * kernel.width;
            for (image, m) in (0..images).flat_map(|image| (0..r.count).map(move |m| (image, m))) {
                let (from, to) =
                    (image * plan.rows.grad_padded + r.first + m, image * plan.rows.input + r.phase + m * stride);
                let strip = Strip {
                    a: gradients.data[from * grad_line + c.first * outputs..].as_ptr(),
                    a_row: outputs,
                    a_step: 1,
                    segments: &segments,
                    depth,
                    b: b.as_ptr(),
                    b_row: kernel.width,
                    b_segment: depth * kernel.width,
                    c: dx[(to * width + c.phase) * inputs + first..].as_mut_ptr(),
                    c_row: stride * inputs,
                    rows: count,
                    cols: kernel.width.min(inputs - first),
                    accumulate: add,
                };
                // SAFETY: the last element of `A` is checked above; a panel of `B` holds taps * depth rows; the inputs
                // of a phase lie in this unit's own `dx`, whose length is checked above.
                unsafe { kernel.run(&strip) };
            }
        }
    }
}

/// The sum of the partial gradients in the order of their groups, as `[out, in, k, k]`.
fn reduce(plan: &Plan, partials: &[Scratch]) -> Vec<f32> {
    let Plan { inputs, outputs, kernel: k, .. } = *plan;
    let mut sum = vec![0f32; partial_len(plan)];
    sum.par_chunks_mut(4096).enumerate().for_each(|(chunk, sum)| {
        for partial in partials {
            for (sum, &x) in sum.iter_mut().zip(&partial[chunk * 4096..]) {
                *sum += x;
            }
        }
    });
    if plan.inputs_in_lanes() {
        return sum;
    }
    if plan.winograd {
        return winograd::unpack(plan, &sum);
    }
    let mut weights = vec![0f32; plan.weights()];
    weights.par_chunks_mut((inputs * k * k).max(1)).enumerate().for_each(|(o, weights)| {
        for (i, weights) in weights.chunks_mut(k * k).enumerate() {
            for (tap, weight) in weights.iter_mut().enumerate() {
                *weight = sum[(tap * inputs + i) * outputs + o];
            }
        }
    });
    weights
}

/// Packs the weights for the gradient of the inputs, for one phase of rows and one of columns: panels of input
/// channels, and in each panel the taps of the phases and the output channels.
fn pack(plan: &Plan, weights: &[f32], rows: &Phase, columns: &Phase) -> Vec<f32> {
    if plan.winograd {
        return winograd::pack_backward(plan, weights);
    }
    let (k, inputs) = (plan.kernel, plan.inputs);
    let width = Kernel::of(plan.isa, inputs).width;
    let depth = rows.taps.len() * columns.taps.len() * plan.outputs;
    let mut packed = Vec::with_capacity(depth * inputs.next_multiple_of(width));
    for panel in (0..inputs).step_by(width) {
        for &ky in &rows.taps {
            for &kx in &columns.taps {
                for o in 0..plan.outputs {
                    packed.extend(
                        (panel..panel + width)
                            .map(|i| if i < inputs { weights[((o * inputs + i) * k + ky) * k + kx] } else { 0.0 }),
                    );
                }
            }
        }
    }
    packed
}

/// Number of groups of units, each with a partial weight gradient. It depends on the sizes and never on the threads.
fn groups(plan: &Plan) -> usize {
    (PARTIALS / partial_len(plan).max(1)).clamp(8, 64).min(plan.units.max(1))
}

/// Floats of a partial weight gradient.
fn partial_len(plan: &Plan) -> usize {
    if plan.winograd { winograd::partial_len(plan) } else { plan.weights() }
}
