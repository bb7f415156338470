//! The points of a sweep, factored: blocks of axes that vary together. Every combination of one row of each block is a
//! point. Blocks that nothing ties together are never multiplied out, so ten independent axes cost the sum of their
//! lengths.

use std::collections::BTreeSet;

use super::limits::MAX_POINTS;

/// All points of a sweep.
#[derive(Clone, Debug, Default)]
pub struct Space {
    /// In the order of their first axes.
    pub blocks: Vec<AxisBlock>,
}

impl Space {
    /// Puts the blocks in the order of their first axes.
    pub(super) fn sort(&mut self) {
        self.blocks.sort_by_key(|block| block.axes.first().copied());
    }
}

/// Axes that vary together. Each row gives each of them one of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AxisBlock {
    /// Indices into the pipeline's axes, ascending.
    pub axes: Vec<usize>,
    /// Indices of values, row by row.
    pub(super) rows: Vec<u32>,
}

impl AxisBlock {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len() / self.axes.len().max(1)
    }

    /// True if there is no row: `exclude` removed all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The indices of values in a row, one for each axis of the block.
    #[must_use]
    pub fn row(&self, row: usize) -> &[u32] {
        &self.rows[row * self.axes.len()..][..self.axes.len()]
    }

    /// One row.
    pub(super) fn row_of(values: Vec<(usize, u32)>) -> Self {
        let (axes, rows) = values.into_iter().unzip();
        Self { axes, rows }
    }

    /// Some of the rows.
    pub(super) fn filtered(&self, keep: impl Fn(&[u32]) -> bool) -> Self {
        let rows = (0..self.len()).map(|row| self.row(row)).filter(|row| keep(row)).flatten().copied().collect();
        Self { axes: self.axes.clone(), rows }
    }

    pub(super) fn alone(axis: usize, values: usize) -> Self {
        Self { axes: vec![axis], rows: (0..values as u32).collect() }
    }

    /// Every combination of the rows of some blocks; `None` if there are too many.
    pub(super) fn product(blocks: &[Self]) -> Option<Self> {
        let mut product = Self { axes: Vec::new(), rows: Vec::new() };
        let mut count = 1usize;
        for block in blocks {
            let rows = count.checked_mul(block.len()).filter(|count| *count <= MAX_POINTS)?;
            let width = product.axes.len();
            let left = (0..count).map(|row| &product.rows[row * width..][..width]);
            let joined = left.flat_map(|left| (0..block.len()).flat_map(move |row| left.iter().chain(block.row(row))));
            product.rows = joined.copied().collect();
            product.axes.extend(&block.axes);
            count = rows;
        }
        Some(product)
    }

    /// The columns in ascending order of the axes, and each row once.
    pub(super) fn tidy(self) -> Self {
        let mut order: Vec<usize> = (0..self.axes.len()).collect();
        order.sort_by_key(|&column| self.axes[column]);
        let mut rows = Vec::with_capacity(self.rows.len());
        let mut seen = BTreeSet::new();
        for row in (0..self.len()).map(|row| self.row(row)) {
            let row: Vec<u32> = order.iter().map(|&column| row[column]).collect();
            if !seen.contains(&row) {
                rows.extend(&row);
                seen.insert(row);
            }
        }
        Self { axes: order.iter().map(|&column| self.axes[column]).collect(), rows }
    }
}
