//! Convolution with 3x3 windows by Winograd's F(2x2, 3x3), forward and both gradients: 16 products for four outputs
//! instead of 36.
//!
//! A unit's images become 16 matrices `[tiles, channels]`, one for each frequency; each is multiplied by its matrix of
//! weights, a panel of outputs at a time, and the panel is transformed back while it is in the cache. The weight gradient
//! is the gradient of just that, so that it needs as few products.

use rayon::prelude::*;

use super::plan::Plan;
use super::strip::{Kernel, Strip};
use super::tile::{Scratch, Tile};
use super::transform::{FREQUENCIES, Grid, Place, gather, of_window, scatter, spread, to_window};

/// Floats of a matrix of weights for each frequency, for `inner` rows and `outer` columns in panels.
fn packed_len(inner: usize, outer: usize, kernel: Kernel) -> usize {
    FREQUENCIES * inner * outer.next_multiple_of(kernel.width)
}

/// The weights' frequencies as `[panel of outer][16][inner][width]`; `window(inner, outer)` is one window.
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

/// Weights `[out, in, 3, 3]` for [`forward`].
pub(super) fn pack_forward(plan: &Plan, weights: &[f32]) -> Vec<f32> {
    let kernel = Kernel::of(plan.isa, plan.outputs);
    pack(plan.inputs, plan.outputs, kernel, |i, o| {
        let w = &weights[(o * plan.inputs + i) * 9..][..9];
        [[w[0], w[1], w[2]], [w[3], w[4], w[5]], [w[6], w[7], w[8]]]
    })
}

/// Weights `[out, in, 3, 3]` for [`input_gradient`]: windows turned around.
pub(super) fn pack_backward(plan: &Plan, weights: &[f32]) -> Vec<f32> {
    let kernel = Kernel::of(plan.isa, plan.inputs);
    pack(plan.outputs, plan.inputs, kernel, |o, i| {
        let w = &weights[(o * plan.inputs + i) * 9..][..9];
        [[w[8], w[7], w[6]], [w[5], w[4], w[3]], [w[2], w[1], w[0]]]
    })
}

/// Floats of a partial weight gradient: `[panel of outputs][16][inputs][width]`.
pub(super) fn partial_len(plan: &Plan) -> usize {
    packed_len(plan.inputs, plan.outputs, Kernel::of(plan.isa, plan.outputs))
}

/// One unit's outputs from its tile of inputs.
pub(super) fn forward(plan: &Plan, images: usize, tile: &[f32], packed: &[f32], y: &mut [f32]) {
    let from = Images { size: plan.tile_size(), origin: [0, 0], channels: plan.inputs };
    let to = Images { size: [plan.rows.output, plan.columns.output], origin: [0, 0], channels: plan.outputs };
    convolve(plan, images, (tile, from), packed, (y, to), false);
}

/// One unit's gradient of the inputs from its tile of output gradients.
pub(super) fn input_gradient(plan: &Plan, images: usize, gradients: &Tile, packed: &[f32], dx: &mut [f32], add: bool) {
    // Windows of the full convolution begin two pixels before an output; the tile has no more zeros than are needed.
    let origin = [plan.rows, plan.columns].map(|axis| axis.grad_before + axis.before - 2);
    let size = [plan.rows.grad_padded, plan.columns.grad_padded];
    let from = Images { size, origin, channels: plan.outputs };
    let to = Images { size: [plan.rows.input, plan.columns.input], origin: [0, 0], channels: plan.inputs };
    convolve(plan, images, (&gradients.data, from), packed, (dx, to), add);
}

/// Adds one unit's share to the partial weight gradient.
pub(super) fn weight_gradient(plan: &Plan, images: usize, tile: &[f32], gradients: &Tile, partial: &mut [f32]) {
    let (inner, outer) = (plan.inputs, plan.outputs);
    let kernel = Kernel::of(plan.isa, outer);
    let width = kernel.width;
    let size = [plan.rows.output, plan.columns.output];
    let x = Images { size: plan.tile_size(), origin: [0, 0], channels: inner };
    let padded = [plan.rows.grad_padded, plan.columns.grad_padded];
    let dy = Images { size: padded, origin: [plan.rows.grad_before, plan.columns.grad_before], channels: outer };
    let tiles = images * size[0] * size[1] / 4;
    let patches = x.gather(plan, images, size, tile);
    let mut panel_of_dy = Scratch::any(FREQUENCIES * tiles * width);
    assert!(partial.len() >= partial_len(plan));
    for (panel, partial) in partial.chunks_exact_mut(FREQUENCIES * inner * width).enumerate() {
        let first = panel * width;
        for image in 0..images {
            let (grid, place) = dy.grid(image, images, size, first);
            spread(plan.isa, &gradients.data, grid, place, width.min(outer - first), width, &mut panel_of_dy);
        }
        multiply(kernel, [inner, tiles], &patches, [1, inner], &panel_of_dy, partial, true);
    }
}

/// The weight gradient `[out, in, 3, 3]` from the sum of the partial ones.
pub(super) fn unpack(plan: &Plan, sum: &[f32]) -> Vec<f32> {
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

/// Images of `[size, channels]` behind each other, of which the part from `origin` on is looked at.
#[derive(Clone, Copy)]
struct Images {
    size: [usize; 2],
    origin: [usize; 2],
    channels: usize,
}

impl Images {
    /// The tiles of one of `images` images, for results of `size`, from channel `first` on.
    fn grid(self, image: usize, images: usize, size: [usize; 2], first: usize) -> (Grid, Place) {
        let [rows, columns] = [size[0] / 2, size[1] / 2];
        let line = self.size[1] * self.channels;
        let start = (image * self.size[0] + self.origin[0]) * line + self.origin[1] * self.channels + first;
        let tiles = rows * columns;
        let place = Place { first: image * tiles, all: images * tiles };
        (Grid { rows, columns, start, line, pixel: self.channels }, place)
    }

    /// The patches of all images, `[16][tiles][channels]`.
    fn gather(self, plan: &Plan, images: usize, size: [usize; 2], data: &[f32]) -> Scratch {
        let mut patches = Scratch::any(FREQUENCIES * images * size[0] * size[1] / 4 * self.channels);
        for image in 0..images {
            let (grid, place) = self.grid(image, images, size, 0);
            gather(plan.isa, data, grid, place, self.channels, &mut patches);
        }
        patches
    }
}

/// `to = from * packed`, or added to it.
fn convolve(
    plan: &Plan,
    images: usize,
    (data, from): (&[f32], Images),
    packed: &[f32],
    (out, to): (&mut [f32], Images),
    accumulate: bool,
) {
    let (inner, outer) = (from.channels, to.channels);
    let kernel = Kernel::of(plan.isa, outer);
    let width = kernel.width;
    let tiles = images * to.size[0] * to.size[1] / 4;
    let patches = from.gather(plan, images, to.size, data);
    let mut products = Scratch::any(FREQUENCIES * tiles * width);
    assert!(packed.len() >= packed_len(inner, outer, kernel));
    for (panel, weights) in packed.chunks_exact(FREQUENCIES * inner * width).enumerate() {
        multiply(kernel, [tiles, inner], &patches, [inner, 1], weights, &mut products, false);
        let first = panel * width;
        for image in 0..images {
            let (grid, place) = to.grid(image, images, to.size, first);
            scatter(plan.isa, &products, grid, place, width.min(outer - first), width, accumulate, out);
        }
    }
}

/// `c = a b`, or added to it, for each frequency: matrices of `rows` by `depth`, whose elements lie `a_row` and `a_step`
/// apart, and of `depth` by one panel.
fn multiply(
    kernel: Kernel,
    [rows, depth]: [usize; 2],
    a: &[f32],
    [a_row, a_step]: [usize; 2],
    b: &[f32],
    c: &mut [f32],
    accumulate: bool,
) {
    let width = kernel.width;
    assert!((rows - 1) * a_row + (depth - 1) * a_step < rows * depth && a.len() >= FREQUENCIES * rows * depth);
    assert!(b.len() >= FREQUENCIES * depth * width && c.len() >= FREQUENCIES * rows * width);
    for f in 0..FREQUENCIES {
        let strip = Strip {
            a: a[f * rows * depth..].as_ptr(),
            a_row,
            a_step,
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
        // SAFETY: the last element of `a` is that of its last row and column, and `b` and `c` hold whole panels of depth and
        // of rows for each frequency, all checked above; `c` is borrowed for this product alone.
        unsafe { kernel.run(&strip) };
    }
}
