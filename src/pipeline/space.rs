//! The points of a sweep, factored: blocks of axes that vary together; every combination of one row of each block is a
//! point. What nothing ties together is never multiplied out here, so ten independent axes cost the sum of their lengths.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Spanned, de::DeValue};

use super::{
    Axis, document,
    points::{add_points, leave_out},
    range,
    sweep::Written,
};
use crate::diagnostic::Diagnostic;

/// All points of a sweep.
#[derive(Clone, Debug, Default)]
pub struct Space {
    /// In the order of their first axes.
    pub blocks: Vec<Block>,
}

/// Axes that vary together. Each row gives each of them one of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Indices into the pipeline's axes, ascending.
    pub axes: Vec<usize>,
    /// Indices of values, row by row.
    pub(super) rows: Vec<u32>,
}

impl Block {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len() / self.axes.len().max(1)
    }

    /// True if `exclude` left nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The indices of values in a row, one for each axis of the block.
    #[must_use]
    pub fn row(&self, row: usize) -> &[u32] {
        &self.rows[row * self.axes.len()..][..self.axes.len()]
    }

    pub(super) fn alone(axis: usize, values: usize) -> Self {
        Self { axes: vec![axis], rows: (0..values as u32).collect() }
    }

    /// Every combination of the rows of some blocks; `None` if there are too many.
    pub(super) fn product(blocks: &[Self]) -> Option<Self> {
        let mut product = Self { axes: Vec::new(), rows: Vec::new() };
        let mut count = 1usize;
        for block in blocks {
            let rows = count.checked_mul(block.len()).filter(|count| *count <= range::MOST)?;
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

/// What the command line does to a sweep.
#[derive(Default)]
pub(super) struct Given<'t> {
    /// Axes beside those of the file: that of the variants first, then those of the command line.
    pub axes: Vec<Axis<'t>>,
    /// The chosen values of the axis of the variants.
    pub variants: Vec<u32>,
    /// Parameters of which it gives the one value (a variant, if one is chosen).
    pub fixed: Vec<(String, Spanned<DeValue<'t>>)>,
}

/// The axes, in the order of the file, and the points of a sweep.
pub(super) fn build<'t>(written: Written<'t>, given: Given<'t>, found: &mut Vec<Diagnostic>) -> (Vec<Axis<'t>>, Space) {
    let is_given = |key: &str| {
        given.fixed.iter().any(|(fixed, _)| fixed == key) || given.axes.iter().any(|axis| axis.key.get_ref() == key)
    };
    let mut table = Table { axes: Vec::new(), known: Vec::new() };
    let mut blocks = Vec::new();
    let mut grid = Vec::new();
    for group in &written.groups {
        let columns: Vec<(usize, Vec<u32>)> = group
            .iter()
            .filter(|axis| !is_given(axis.key.get_ref()))
            .map(|axis| (table.axis(axis), axis.values.iter().map(|value| table.value(axis, value)).collect()))
            .collect();
        let length = columns.iter().map(|(_, values)| values.len()).min().unwrap_or_default();
        if !columns.is_empty() {
            grid.extend(columns.iter().map(|(axis, _)| *axis));
            let rows = (0..length).flat_map(|row| columns.iter().map(move |(_, values)| values[row])).collect();
            blocks.push(Block { axes: columns.iter().map(|(axis, _)| *axis).collect(), rows });
        }
    }
    for axis in &given.axes {
        let index = table.axis(axis);
        let values = axis.values.iter().map(|value| table.value(axis, value)).collect();
        let rows = if axis.is_variant() { given.variants.clone() } else { values };
        blocks.push(Block { axes: vec![index], rows });
    }
    for entry in &written.exclude {
        leave_out(entry, &given, &is_given, &table, &mut blocks, found);
    }
    add_points(&written, &is_given, &mut table, &grid, &mut blocks, found);

    // After a mistake an axis may stand in no block; what follows counts on one.
    for axis in 0..table.axes.len() {
        if !blocks.iter().any(|block| block.axes.contains(&axis)) {
            blocks.push(Block::alone(axis, table.axes[axis].values.len()));
        }
    }

    // From here on axes are named by their final place.
    let mut order: Vec<usize> = (0..table.axes.len()).collect();
    order.sort_by_key(|&axis| (!table.axes[axis].is_variant(), table.axes[axis].key.span().start));
    let mut place = vec![0; order.len()];
    for (to, &from) in order.iter().enumerate() {
        place[from] = to;
    }
    for block in &mut blocks {
        block.axes.iter_mut().for_each(|axis| *axis = place[*axis]);
    }
    let mut blocks: Vec<Block> = blocks.into_iter().map(Block::tidy).collect();
    blocks.sort_by_key(|block| block.axes.first().copied());
    let mut axes: Vec<(usize, Axis<'t>)> = table.axes.into_iter().enumerate().map(|(i, a)| (place[i], a)).collect();
    axes.sort_by_key(|(place, _)| *place);
    (axes.into_iter().map(|(_, axis)| axis).collect(), Space { blocks })
}

/// The axes so far, each value once.
pub(super) struct Table<'t> {
    pub axes: Vec<Axis<'t>>,
    known: Vec<BTreeMap<String, u32>>,
}

impl<'t> Table<'t> {
    pub fn find(&self, key: &str) -> Option<usize> {
        self.axes.iter().position(|axis| axis.key.get_ref() == key)
    }

    pub fn axis(&mut self, axis: &Axis<'t>) -> usize {
        self.find(axis.key.get_ref()).unwrap_or_else(|| {
            self.axes.push(Axis { values: Vec::new(), ..axis.clone() });
            self.known.push(BTreeMap::new());
            self.axes.len() - 1
        })
    }

    pub fn value(&mut self, axis: &Axis<'t>, value: &Spanned<DeValue<'t>>) -> u32 {
        let index = self.axis(axis);
        let name = format!("{} {}", value.get_ref().type_str(), document::display(value.get_ref()));
        let values = &mut self.axes[index].values;
        *self.known[index].entry(name).or_insert_with(|| {
            values.push(value.clone());
            (values.len() - 1) as u32
        })
    }
}
