//! The forward convolution: windows are read in place from an image, or from a padded copy that stays in the cache.

use crate::ml::kernels::{
    autograd::source::Source,
    conv::{plan::Plan, tile::Tile, winograd},
    memory::{buffer::in_tasks, scratch::Scratch},
    simd::strip::{Kernel, Strip},
};

/// `y = x * weights` for `weights` packed by [`pack`]; `done` receives the outputs of each unit while they are in the
/// cache, and its results are returned in the order of the units.
pub(crate) fn forward<T: Send>(
    plan: &Plan,
    x: &Source,
    packed: &[f32],
    done: impl Fn(&mut [f32]) -> T + Sync,
) -> (Vec<f32>, Vec<T>) {
    let (whole_in, whole_out) = (plan.whole_input() * plan.inputs, plan.whole_unit() * plan.outputs);
    let per_task = plan.units.div_ceil(64).max(1);
    let (all, task) = (plan.pixels * plan.outputs, (per_task * whole_out).max(1));
    let lengths: Vec<usize> = (0..all).step_by(task).map(|start| task.min(all - start)).collect();
    let (y, results) = in_tasks(&lengths, whole_out, |task, y| {
        let mut tile = plan.needs_padding().then(|| Tile::of_inputs(plan));
        let mut scratch = Scratch::any(0);
        let unit = |(j, y): (usize, &mut [f32])| {
            let unit = task * per_task + j;
            let span = unit * whole_in..x.len().min((unit + 1) * whole_in);
            match &mut tile {
                Some(tile) => {
                    tile.fill(plan, x, span.start, plan.images_of(unit));
                    convolve(plan, unit, &tile.data, packed, y);
                }
                None => convolve(plan, unit, x.chunk(span, &mut scratch), packed, y),
            }
            done(y)
        };
        y.enumerate().map(unit).collect::<Vec<_>>()
    });
    (y, results.into_iter().flatten().collect())
}

/// Computes one unit from its tile of inputs.
pub(crate) fn convolve(plan: &Plan, unit: usize, tile: &[f32], packed: &[f32], y: &mut [f32]) {
    let Plan { inputs, outputs, kernel: k, stride, .. } = *plan;
    let columns = plan.unit_columns(unit);
    let images = plan.images_of(unit);
    if plan.winograd {
        return winograd::forward(plan, images, tile, packed, y);
    }
    let [tile_rows, tile_columns] = plan.tile_size();
    let line = tile_columns * inputs;
    let segments: Vec<usize> = (0..k).map(|ky| ky * line).collect();
    let kernel = Kernel::of(plan.isa, outputs);
    let panels = packed.chunks_exact((k * k * inputs * kernel.width).max(1));
    assert!(y.len() >= images * plan.rows.output * columns * outputs);
    assert!(panels.len() * kernel.width >= outputs);
    let last_row = (images - 1) * tile_rows + (plan.rows.output - 1) * stride + k - 1;
    let last = last_row * line + ((columns - 1) * stride + k) * inputs;
    assert!(tile.len() >= last);
    for (panel, b) in panels.enumerate() {
        let first = panel * kernel.width;
        // All images of the unit read a panel while it is in the cache.
        for (image, row) in (0..images).flat_map(|image| (0..plan.rows.output).map(move |row| (image, row))) {
            let strip = Strip {
                a: tile[(image * tile_rows + row * stride) * line..].as_ptr(),
                a_row: stride * inputs,
                a_step: 1,
                segments: &segments,
                depth: k * inputs,
                b: b.as_ptr(),
                b_row: kernel.width,
                b_segment: k * inputs * kernel.width,
                c: y[(image * plan.rows.output + row) * columns * outputs + first..].as_mut_ptr(),
                c_row: outputs,
                rows: columns,
                cols: kernel.width.min(outputs - first),
                accumulate: false,
            };
            // SAFETY: the last element of `A` is that of the last window, checked above; a panel of `B` holds k * k *
            // inputs rows; `C` is this unit's own slice, its last element checked above.
            unsafe { kernel.run(&strip) };
        }
    }
}

/// Packs the weights `[out, in, k, k]` for the forward product: panels of output channels, and in each panel the rows,
/// columns and input channels of the window.
pub(crate) fn pack(plan: &Plan, weights: &[f32]) -> Vec<f32> {
    if plan.winograd {
        return winograd::pack_forward(plan, weights);
    }
    let (k, inputs) = (plan.kernel, plan.inputs);
    let width = Kernel::of(plan.isa, plan.outputs).width;
    let mut packed = Vec::with_capacity(k * k * inputs * plan.outputs.next_multiple_of(width));
    for panel in (0..plan.outputs).step_by(width) {
        for tap in 0..k * k {
            for i in 0..inputs {
                packed.extend(
                    (panel..panel + width)
                        .map(|o| if o < plan.outputs { weights[(o * inputs + i) * k * k + tap] } else { 0.0 }),
                );
            }
        }
    }
    packed
}
