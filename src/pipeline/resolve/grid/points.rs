//! Single points of a sweep: those that `exclude` takes from the grid, and those that `points` puts beside it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    axis_table::{AxisTable, worth_of},
    file_value::FileValues,
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Names},
    pipeline::{
        document,
        limits::MAX_POINTS,
        resolve::{
            overrides::Overrides,
            sweeps::{Point, Sweep},
            variants::no_variant,
        },
        resolved::Axis,
        space::AxisBlock,
    },
};

/// The blocks of a sweep while they are put together.
#[derive(Default)]
pub(super) struct Blocks {
    /// All of them.
    pub all: Vec<AxisBlock>,
    /// The axes of the file's grid.
    pub grid: Vec<usize>,
    /// The blocks beside the grid (variants, repeats, axes of the command line) before anything is excluded.
    pub beside: Vec<AxisBlock>,
}

/// A sweep of explicit points alone has no grid: not even the one point that the file is without any axis.
fn has_grid(sweep: &Sweep<'_>) -> bool {
    !sweep.groups.is_empty() || sweep.points.is_empty()
}

/// Takes the rows out that an entry of `exclude` names.
pub(super) fn leave_out<'t>(
    entry: &Point<'t>,
    sweep: &Sweep<'t>,
    overrides: &Overrides<'t>,
    table: &AxisTable<'t>,
    blocks: &mut Vec<AxisBlock>,
    diagnostics: &mut Diagnostics,
) {
    let Some(Some(excluded)) = diagnostics.take(excluded_values(entry, overrides, table)) else { return };
    let changed = entry.axes.iter().any(|axis| overrides.has(axis.name()));
    if !has_grid(sweep) {
        if !changed {
            let message = "`exclude` takes points from the grid, and this sweep has only explicit `points`";
            diagnostics.add(Diagnostic::new(entry.span.clone(), message).help("take the entry out"));
        }
        return;
    }
    let (tied, rest): (Vec<AxisBlock>, Vec<AxisBlock>) =
        std::mem::take(blocks).into_iter().partition(|block| block.axes.iter().any(|axis| excluded.contains_key(axis)));
    let Some(mut block) = AxisBlock::product(&tied) else {
        let message = format!("`exclude` ties axes together that have more than {MAX_POINTS} points");
        let help = "give fewer values, or sweep in parts";
        diagnostics.add(Diagnostic::new(entry.span.clone(), message).help(help));
        *blocks = [rest, tied].concat();
        return;
    };
    let before = block.len();
    let is_excluded = |row: &[u32]| {
        block.axes.iter().zip(row).all(|(axis, at)| excluded.get(axis).is_none_or(|values| values.contains(at)))
    };
    block = block.filtered(|row| !is_excluded(row));
    if block.len() == before && !changed && !excluded.is_empty() {
        let message = "this entry of `exclude` matches no point of the grid";
        let help = "each key must have a value that its axis has too; or take the entry out";
        diagnostics.add(Diagnostic::new(entry.span.clone(), message).help(help));
    } else if block.is_empty() && before > 0 {
        let message = "`exclude` leaves no point of the grid";
        diagnostics.add(Diagnostic::new(entry.span.clone(), message).help("name fewer values"));
    }
    *blocks = rest;
    if !block.axes.is_empty() {
        blocks.push(block);
    }
}

/// The indices of the values that an entry of `exclude` names, for each axis; `None` if the command line fixes a
/// parameter to a value that it does not name.
fn excluded_values<'t>(
    entry: &Point<'t>,
    overrides: &Overrides<'t>,
    table: &AxisTable<'t>,
) -> Result<Option<BTreeMap<usize, Vec<u32>>>, Diagnostic> {
    let mut excluded = BTreeMap::new();
    for axis in &entry.axes {
        let key = axis.name();
        let named: BTreeSet<String> = axis.values.iter().map(worth_of).collect();
        if let Some(value) = overrides.value(key) {
            if !named.contains(&worth_of(value)) {
                return Ok(None);
            }
            continue;
        }
        let Some(index) = table.find(key) else {
            let names = Names::new(table.axes.iter().map(Axis::name));
            let names = names.otherwise("an entry of `exclude` names axes and values of the grid");
            let diagnostic = Diagnostic::new(axis.key.span(), format!("`{key}` is not an axis of this sweep"));
            return Err(diagnostic.help(names.help(key)));
        };
        let values = &table.axes[index].values;
        if axis.is_variant() {
            let known: BTreeSet<String> = values.iter().map(worth_of).collect();
            if let Some(value) = axis.values.iter().find(|value| !known.contains(&worth_of(value))) {
                let names: Vec<&str> = values.iter().filter_map(|value| value.get_ref().as_str()).collect();
                return Err(no_variant(&document::display(value.get_ref()), value.span(), &names));
            }
        }
        let indices = (0..).zip(values).filter(|(_, value)| named.contains(&worth_of(value))).map(|(at, _)| at);
        excluded.insert(index, indices.collect());
    }
    Ok(Some(excluded))
}

/// Puts explicit points beside the grid. An axis that only they have leaves the grid with the value of the file.
pub(super) fn add<'t>(
    sweep: &Sweep<'t>,
    overrides: &Overrides<'t>,
    table: &mut AxisTable<'t>,
    blocks: &mut Blocks,
    file: &FileValues<'_, 't>,
    diagnostics: &mut Diagnostics,
) {
    if sweep.points.is_empty() {
        return;
    }
    let of_grid: Vec<usize> =
        blocks.grid.iter().copied().filter(|&axis| !overrides.has(table.axes[axis].name())).collect();
    let mut columns = of_grid.clone();
    for axis in sweep.points.iter().flat_map(|point| &point.axes).filter(|axis| !overrides.has(axis.name())) {
        let index = table.axis(axis);
        if !columns.contains(&index) {
            columns.push(index);
        }
    }
    let only_of_points = if has_grid(sweep) { &columns[of_grid.len()..] } else { &[] };
    let of_file = file_row(only_of_points, sweep, table, file);
    if sweep.points.iter().any(|point| !point.complete) {
        return;
    }
    let Some(rows) = diagnostics.take(rows(&columns, sweep, table)) else { return };
    // What `exclude` took from axes beside the grid (variants, seeds, the command line) it took from the grid alone.
    let (mut tied, rest): (Vec<AxisBlock>, Vec<AxisBlock>) = std::mem::take(&mut blocks.all)
        .into_iter()
        .partition(|block| block.axes.iter().any(|axis| blocks.grid.contains(axis)) || !blocks.beside.contains(block));
    blocks.all = rest;
    let outer = tied.iter().flat_map(|block| block.axes.iter().copied()).filter(|axis| !columns.contains(axis));
    let full = |axis: usize| {
        let beside = blocks.beside.iter().find(|block| block.axes == [axis]).cloned();
        beside.unwrap_or_else(|| AxisBlock::alone(axis, table.axes[axis].values.len()))
    };
    let mut factors: Vec<AxisBlock> = outer.map(full).collect();
    if !columns.is_empty() {
        factors.insert(0, AxisBlock { axes: columns, rows });
    }
    if !of_file.is_empty() {
        tied.push(AxisBlock::row_of(of_file));
    }
    let product = |blocks: &[AxisBlock]| match blocks {
        [] => Some(None),
        blocks => AxisBlock::product(blocks).map(|block| Some(block.tidy())),
    };
    let (Some(points), Some(grid)) = (product(&factors), product(&tied)) else {
        let message = format!("`points` ties axes together that have more than {MAX_POINTS} points");
        let diagnostic = Diagnostic::new(sweep.points[0].span.clone(), message);
        diagnostics.add(diagnostic.help("give fewer values, or sweep in parts"));
        return;
    };
    match (grid, points) {
        (Some(mut grid), Some(mut points)) => {
            grid.rows.append(&mut points.rows);
            blocks.all.push(grid.tidy());
        }
        (one, other) => blocks.all.extend(one.or(other)),
    }
}

/// The values of the file for axes that only points have: the index of each axis, and that of its value.
fn file_row<'t>(
    axes: &[usize],
    sweep: &Sweep<'t>,
    table: &mut AxisTable<'t>,
    file: &FileValues<'_, 't>,
) -> Vec<(usize, u32)> {
    let of_points = sweep.points.iter().flat_map(|point| &point.axes);
    let all: Vec<Axis<'t>> = table.axes.iter().chain(of_points).map(Axis::keyed).collect();
    let mut row = Vec::new();
    for &axis in axes {
        let value = match file.of(&table.axes[axis], &all) {
            Some(value) => table.value(axis, &value),
            None => table.own(axis),
        };
        row.push((axis, value));
    }
    row
}

/// The indices of the values of all points, row by row.
fn rows<'t>(columns: &[usize], sweep: &Sweep<'t>, table: &mut AxisTable<'t>) -> Result<Vec<u32>, Diagnostic> {
    let mut rows = Vec::new();
    for point in &sweep.points {
        for &column in columns {
            let key = table.axes[column].name();
            let Some(axis) = point.axes.iter().find(|axis| axis.name() == key) else {
                let message = format!("this point does not say `{key}`");
                let help = "every point names every axis of the sweep: those of the grid and those of the other points";
                return Err(Diagnostic::new(point.span.clone(), message).help(help));
            };
            rows.push(table.value(column, &axis.values[0]));
        }
    }
    Ok(rows)
}
