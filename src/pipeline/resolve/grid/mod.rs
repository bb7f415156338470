//! The axes and points of a sweep.
//!
//! [`build`] puts them together. [`axis_table`] has each axis and each of its values once, [`points`] are those of
//! `exclude` and `points`, and [`file_value`] is the value of an axis that only points have.

mod axis_table;
mod file_value;
mod points;

use self::{axis_table::AxisTable, points::Blocks};
pub(super) use self::{axis_table::worth_of, file_value::FileValues};
use super::{overlaps, overrides::Overrides, sweeps::Sweep};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    pipeline::{
        resolved::Axis,
        space::{AxisBlock, Space},
    },
};

/// Axes, and which combinations of their values are points.
pub(super) struct Grid<'t> {
    /// The axis of the variants first, then the others in the order of the texts.
    pub axes: Vec<Axis<'t>>,
    /// The points.
    pub space: Space,
}

/// The grid of a sweep, without what `exclude` names, and its explicit points.
pub(super) fn build<'t>(
    sweep: &Sweep<'t>,
    overrides: &Overrides<'t>,
    file: &FileValues<'_, 't>,
    diagnostics: &mut Diagnostics,
) -> Grid<'t> {
    let (mut table, mut blocks) = (AxisTable::default(), Blocks::default());
    let mut zipped: Vec<&str> = Vec::new();
    for group in &sweep.groups {
        let group: Vec<Zipped<'_, 't>> = group
            .iter()
            .filter(|axis| overrides.value(axis.name()).is_none())
            .map(|of_file| Zipped { of_file, given: overrides.axis(of_file.name()) })
            .collect();
        // An axis to which the command line gives other values stays with those that it advances with.
        if group.is_empty() || group.len() == 1 && group[0].given.is_some() {
            continue;
        }
        diagnostics.extend(unequal(&group));
        zipped.extend(group.iter().filter(|axis| axis.given.is_some()).map(|axis| axis.of_file.name()));
        let columns: Vec<(usize, Vec<u32>)> =
            group.iter().map(|axis| (table.axis(axis.of_file), table.values(axis.values()))).collect();
        let length = columns.iter().map(|(_, values)| values.len()).min().unwrap_or_default();
        let axes: Vec<usize> = columns.iter().map(|(axis, _)| *axis).collect();
        let rows = (0..length).flat_map(|row| columns.iter().map(move |(_, values)| values[row])).collect();
        blocks.grid.extend(&axes);
        blocks.all.push(AxisBlock { axes, rows });
    }
    let beside = overrides.axes.iter().filter(|axis| !zipped.contains(&axis.name()));
    for axis in beside.chain(&overrides.repeats) {
        let (index, values) = (table.axis(axis), table.values(axis));
        let rows = if axis.is_variant() { overrides.variants.clone() } else { values };
        blocks.beside.push(AxisBlock { axes: vec![index], rows }.tidy());
    }
    blocks.all.extend(blocks.beside.iter().cloned());
    for entry in sweep.exclude.iter().filter(|entry| entry.complete) {
        points::leave_out(entry, sweep, overrides, &table, &mut blocks.all, diagnostics);
    }
    points::add(sweep, overrides, &mut table, &mut blocks, file, diagnostics);
    diagnostics.extend(overlaps::overlap(&table.axes, "axes"));
    in_order(table.axes, blocks.all)
}

/// An axis of the file, and the one of the command line that takes its place.
struct Zipped<'a, 't> {
    of_file: &'a Axis<'t>,
    given: Option<&'a Axis<'t>>,
}

impl<'a, 't> Zipped<'a, 't> {
    /// The axis whose values count.
    fn values(&self) -> &'a Axis<'t> {
        self.given.unwrap_or(self.of_file)
    }
}

/// The mistake of an axis to which the command line gives another number of values than those that it advances with
/// have.
fn unequal(group: &[Zipped<'_, '_>]) -> Option<Diagnostic> {
    let one = group.iter().find_map(|axis| axis.given)?;
    let other = group.iter().map(Zipped::values).find(|axis| axis.values.len() != one.values.len())?;
    let count = |axis: &Axis<'_>| format!("{} values", axis.values.len());
    let message = format!(
        "`{}` has {} here, and is zipped with `{}`, which has {}",
        one.name(),
        count(one),
        other.name(),
        count(other)
    );
    let diagnostic = Diagnostic::new(one.key.span(), message).label(count(one)).other(other.key.span(), count(other));
    Some(diagnostic.help(format!("give it as many values, or give `{}` others too with `-S`", other.name())))
}

/// The axes in their final order, and blocks that name them by it.
fn in_order<'t>(axes: Vec<Axis<'t>>, mut blocks: Vec<AxisBlock>) -> Grid<'t> {
    // After a mistake an axis may be in no block; what follows counts on one.
    for (axis, found) in axes.iter().enumerate() {
        if !blocks.iter().any(|block| block.axes.contains(&axis)) {
            blocks.push(AxisBlock::alone(axis, found.values.len()));
        }
    }
    let mut axes: Vec<(usize, Axis<'t>)> = axes.into_iter().enumerate().collect();
    axes.sort_by_key(|(_, axis)| (!axis.is_variant(), axis.key.span().start));
    let mut place = vec![0; axes.len()];
    for (to, (from, _)) in axes.iter().enumerate() {
        place[*from] = to;
    }
    for block in &mut blocks {
        block.axes.iter_mut().for_each(|axis| *axis = place[*axis]);
    }
    let blocks = blocks.into_iter().map(AxisBlock::tidy).collect();
    let mut space = Space { blocks };
    space.sort();
    Grid { axes: axes.into_iter().map(|(_, axis)| axis).collect(), space }
}
