//! The points of a sweep, factored: blocks of axes that vary together; every combination of one row of each block is a
//! point. What nothing ties together is never multiplied out here, so ten independent axes cost the sum of their lengths.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Spanned, de::DeValue};

use super::{
    Axis, document,
    points::{add_points, leave_out},
    range, reach,
    sweep::Written,
    worth::worth,
};
use crate::diagnostic::Diagnostic;

/// How the value that a stage has itself is shown, where an axis leaves a parameter as it is.
const OWN: &str = "own";

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
    pub(in crate::pipeline) rows: Vec<u32>,
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

    /// One row.
    pub(in crate::pipeline) fn row_of(values: Vec<(usize, u32)>) -> Self {
        let (axes, rows) = values.into_iter().unzip();
        Self { axes, rows }
    }

    /// Some of the rows.
    pub(in crate::pipeline) fn filtered(&self, keep: impl Fn(&[u32]) -> bool) -> Self {
        let rows = (0..self.len()).map(|row| self.row(row)).filter(|row| keep(row)).flatten().copied().collect();
        Self { axes: self.axes.clone(), rows }
    }

    pub(in crate::pipeline) fn alone(axis: usize, values: usize) -> Self {
        Self { axes: vec![axis], rows: (0..values as u32).collect() }
    }

    /// Every combination of the rows of some blocks; `None` if there are too many.
    pub(in crate::pipeline) fn product(blocks: &[Self]) -> Option<Self> {
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
    pub(in crate::pipeline) fn tidy(self) -> Self {
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
pub(in crate::pipeline) struct Given<'t> {
    /// Axes beside those of the file: that of the variants first, then those of the command line.
    pub axes: Vec<Axis<'t>>,
    /// The axis over seeds.
    pub repeats: Option<Axis<'t>>,
    /// The chosen values of the axis of the variants.
    pub variants: Vec<u32>,
    /// True if the command line chose them.
    pub chosen: bool,
    /// Parameters of which it gives the one value (a variant, if one is chosen).
    pub fixed: Vec<Axis<'t>>,
}

impl<'t> Given<'t> {
    /// True if the command line gives the values of an axis.
    pub fn has(&self, key: &str) -> bool {
        self.value(key).is_some() || self.axis(key).is_some_and(|axis| !axis.is_variant() || self.chosen)
    }

    /// The one value that it gives a parameter.
    pub fn value(&self, key: &str) -> Option<&Spanned<DeValue<'t>>> {
        self.fixed.iter().find(|fixed| fixed.key.get_ref() == key)?.values.first()
    }

    fn axis(&self, key: &str) -> Option<&Axis<'t>> {
        self.axes.iter().find(|axis| axis.key.get_ref() == key)
    }
}

/// The value that a parameter has where nothing varies it; the other axes may have a part of it, and then it is not one.
pub(in crate::pipeline) type Own<'a, 't> = dyn Fn(&Axis<'t>, &[Axis<'t>]) -> Option<Spanned<DeValue<'t>>> + 'a;

/// The blocks of a sweep while they are put together.
pub(in crate::pipeline) struct Blocks {
    /// All of them.
    pub all: Vec<Block>,
    /// The axes of the file's grid.
    pub grid: Vec<usize>,
    /// The blocks beside the grid (variants, repeats, axes of the command line) before anything is excluded.
    pub beside: Vec<Block>,
}

/// The axes, in the order of the file, the points of a sweep, and what is wrong with it.
pub(in crate::pipeline) fn build<'t>(
    written: Written<'t>,
    given: Given<'t>,
    own: &Own<'_, 't>,
) -> (Vec<Axis<'t>>, Space, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let mut table = Table { axes: Vec::new(), known: Vec::new() };
    let mut blocks = Blocks { all: Vec::new(), grid: Vec::new(), beside: Vec::new() };
    let mut zipped: Vec<&str> = Vec::new();
    for group in &written.groups {
        let group = group.iter().filter(|axis| given.value(axis.key.get_ref()).is_none());
        let group: Vec<(&Axis<'t>, Option<&Axis<'t>>)> =
            group.map(|axis| (axis, given.axis(axis.key.get_ref()))).collect();
        // An axis that the command line gives other values stays with those that it advances with.
        if matches!(group[..], [] | [(_, Some(_))]) {
            continue;
        }
        found.extend(unequal(&group));
        zipped.extend(group.iter().filter_map(|(axis, other)| other.map(|_| axis.key.get_ref().as_str())));
        let columns: Vec<(usize, Vec<u32>)> =
            group.iter().map(|(axis, other)| (table.axis(axis), table.values(other.unwrap_or(axis)))).collect();
        let length = columns.iter().map(|(_, values)| values.len()).min().unwrap_or_default();
        let axes: Vec<usize> = columns.iter().map(|(axis, _)| *axis).collect();
        let rows = (0..length).flat_map(|row| columns.iter().map(move |(_, values)| values[row])).collect();
        blocks.grid.extend(&axes);
        blocks.all.push(Block { axes, rows });
    }
    let beside = given.axes.iter().filter(|axis| !zipped.contains(&axis.key.get_ref().as_str()));
    for axis in beside.chain(&given.repeats) {
        let (index, values) = (table.axis(axis), table.values(axis));
        let rows = if axis.is_variant() { given.variants.clone() } else { values };
        blocks.beside.push(Block { axes: vec![index], rows }.tidy());
    }
    blocks.all.extend(blocks.beside.iter().cloned());
    for entry in written.exclude.iter().filter(|entry| entry.complete) {
        leave_out(entry, &written, &given, &table, &mut blocks.all, &mut found);
    }
    add_points(&written, &given, &mut table, &mut blocks, own, &mut found);
    found.extend(reach::overlap(&table.axes, "axes"));
    let mut blocks = blocks.all;

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
    (axes.into_iter().map(|(_, axis)| axis).collect(), Space { blocks }, found)
}

/// The mistake of axes that the command line gives another number of values than those that they advance with.
fn unequal<'a, 't>(group: &[(&'a Axis<'t>, Option<&'a Axis<'t>>)]) -> Option<Diagnostic> {
    let one = group.iter().find_map(|(_, other)| *other)?;
    let mut all = group.iter().map(|(axis, other)| other.unwrap_or(axis));
    let other = all.find(|axis| axis.values.len() != one.values.len())?;
    let count = |axis: &Axis<'_>| format!("{} values", axis.values.len());
    let message = format!(
        "`{}` has {} here, and is zipped with `{}`, which has {}",
        one.key.get_ref(),
        count(one),
        other.key.get_ref(),
        count(other)
    );
    let diagnostic = Diagnostic::new(one.key.span(), message).label(count(one)).other(other.key.span(), count(other));
    Some(diagnostic.help(format!("give it as many values, or give `{}` others too with `-S`", other.key.get_ref())))
}

/// The axes so far, each value once.
pub(in crate::pipeline) struct Table<'t> {
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

    /// The index of a value among those of its axis; values that are worth the same are one.
    pub fn value(&mut self, index: usize, value: &Spanned<DeValue<'t>>) -> u32 {
        let values = &mut self.axes[index].values;
        *self.known[index].entry(worth(&document::to_json(value.get_ref()))).or_insert_with(|| {
            values.push(value.clone());
            (values.len() - 1) as u32
        })
    }

    /// The indices of all values of an axis.
    fn values(&mut self, axis: &Axis<'t>) -> Vec<u32> {
        let index = self.axis(axis);
        axis.values.iter().map(|value| self.value(index, value)).collect()
    }

    /// The index of what stands for the value that the stage has itself, where that is not one value.
    pub fn own(&mut self, index: usize) -> u32 {
        let axis = &mut self.axes[index];
        if axis.own.is_none() {
            axis.own = Some(axis.values.len() as u32);
            axis.values.push(Spanned::new(axis.key.span(), DeValue::String(OWN.into())));
        }
        axis.own.unwrap_or_default()
    }
}
