//! Tiles of scratch memory, each with the padded operand of one unit. The next unit uses them again.

use crate::ml::kernels::{autograd::source::Source, conv::plan::Plan, memory::scratch::Scratch};

/// The images of a unit, of `rows` by `columns` padded pixels each, whose interiors start at `(top, left)`.
pub(crate) struct Tile {
    pub data: Scratch,
    rows: usize,
    columns: usize,
    top: usize,
    left: usize,
    channels: usize,
}

impl Tile {
    /// A tile for the padded inputs of `plan`.
    pub(crate) fn of_inputs(plan: &Plan) -> Self {
        let (rows, columns, channels) = (plan.rows, plan.columns, plan.inputs);
        let data = Scratch::zeros(plan.unit_images * rows.padded * columns.padded * channels);
        Self { data, rows: rows.padded, columns: columns.padded, top: rows.before, left: columns.before, channels }
    }

    /// A tile for the padded gradients of the outputs of `plan`.
    pub(crate) fn of_gradients(plan: &Plan) -> Self {
        let (rows, columns, channels) = (plan.rows, plan.columns, plan.outputs);
        let data = Scratch::zeros(plan.unit_images * rows.grad_padded * columns.grad_padded * channels);
        Self {
            data,
            rows: rows.grad_padded,
            columns: columns.grad_padded,
            top: rows.grad_before,
            left: columns.grad_before,
            channels,
        }
    }

    /// The first `pixels` pixels of the interior of a row.
    pub(crate) fn row(&mut self, image: usize, row: usize, pixels: usize) -> &mut [f32] {
        let start = self.position(image, row, 0);
        &mut self.data[start..start + pixels * self.channels]
    }

    /// The position of a pixel of the interior.
    pub(crate) fn position(&self, image: usize, row: usize, column: usize) -> usize {
        ((image * self.rows + row + self.top) * self.columns + column + self.left) * self.channels
    }

    /// Reads `images` images of `[rows, columns, channels]`, from element `first` on, into the interiors. Pixels that
    /// do not fit are left out.
    pub(crate) fn fill(&mut self, plan: &Plan, source: &Source, first: usize, images: usize) {
        let (rows, columns) = (plan.rows, plan.columns);
        let fit = columns.input.min(columns.padded - columns.before);
        let line = columns.input * self.channels;
        for image in 0..images {
            for row in 0..rows.input.min(rows.padded - rows.before) {
                source.read(first + (image * rows.input + row) * line, self.row(image, row, fit));
            }
        }
    }
}
