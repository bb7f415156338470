//! Single points of a sweep: those that `exclude` takes from the grid and those that `points` puts beside it.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Spanned, de::DeValue};

use super::{
    Axis, document, range,
    space::{Block, Blocks, Given, Own, Table},
    sweep::{Entry, Written},
    variant,
    worth::worth,
};
use crate::diagnostic::{Diagnostic, suggest};

/// Takes the rows out that an entry of `exclude` names.
pub(in crate::pipeline) fn leave_out<'t>(
    entry: &Entry<'t>,
    written: &Written<'t>,
    given: &Given<'t>,
    table: &Table<'t>,
    blocks: &mut Vec<Block>,
    found: &mut Vec<Diagnostic>,
) {
    let mut tests: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    for axis in &entry.axes {
        let key = axis.key.get_ref().as_str();
        let wanted: BTreeSet<String> = axis.values.iter().map(of).collect();
        let meant = |value: &Spanned<DeValue<'t>>| wanted.contains(&of(value));
        if let Some(value) = given.value(key) {
            if !meant(value) {
                return;
            }
        } else if let Some(index) = table.find(key) {
            if axis.is_variant() {
                let names: Vec<&str> = table.axes[index].values.iter().filter_map(|v| v.get_ref().as_str()).collect();
                let known: BTreeSet<String> = table.axes[index].values.iter().map(of).collect();
                if let Some(value) = axis.values.iter().find(|value| !known.contains(&of(value))) {
                    let word = document::display(value.get_ref());
                    found.push(variant::no_variant(&word, value.span(), &names));
                    return;
                }
            }
            let values = table.axes[index].values.iter().enumerate();
            tests.insert(index, values.filter(|(_, value)| meant(value)).map(|(at, _)| at as u32).collect());
        } else {
            let keys = table.axes.iter().map(|axis| axis.key.get_ref().as_str());
            let diagnostic = Diagnostic::new(axis.key.span(), format!("`{key}` is no axis of this sweep"));
            let help = match suggest(key, keys) {
                Some(like) => format!("did you mean `{like}`?"),
                None => "an entry of `exclude` names axes and values of the grid".to_owned(),
            };
            found.push(diagnostic.help(help));
            return;
        }
    }
    let changed = entry.axes.iter().any(|axis| given.has(axis.key.get_ref()));
    if !has_grid(written) {
        if !changed {
            let message = "`exclude` takes points from the grid, and this sweep has only explicit `points`";
            found.push(Diagnostic::new(entry.span.clone(), message).help("take the entry out"));
        }
        return;
    }
    let (tied, rest): (Vec<Block>, Vec<Block>) =
        std::mem::take(blocks).into_iter().partition(|block| block.axes.iter().any(|axis| tests.contains_key(axis)));
    let Some(mut block) = Block::product(&tied) else {
        let message = format!("`exclude` ties axes together that have more than {} points", range::MOST);
        found.push(Diagnostic::new(entry.span.clone(), message).help("give fewer values, or sweep in parts"));
        *blocks = [rest, tied].concat();
        return;
    };
    let before = block.len();
    let hit = |row: &[u32]| block.axes.iter().zip(row).all(|(axis, at)| tests.get(axis).is_none_or(|t| t.contains(at)));
    block = block.filtered(|row| !hit(row));
    if block.len() == before && !changed && !tests.is_empty() {
        let message = "this entry of `exclude` matches no point of the grid";
        let help = "each key must have a value that its axis has too; or take the entry out";
        found.push(Diagnostic::new(entry.span.clone(), message).help(help));
    } else if block.is_empty() && before > 0 {
        let message = "`exclude` leaves no point of the grid";
        found.push(Diagnostic::new(entry.span.clone(), message).help("name fewer values"));
    }
    *blocks = rest;
    if !block.axes.is_empty() {
        blocks.push(block);
    }
}

/// A sweep of explicit points alone has no grid: not even the one point that the file is without any axis.
fn has_grid(written: &Written<'_>) -> bool {
    !written.groups.is_empty() || written.points.is_empty()
}

/// An axis without its values.
fn keyed<'t>(axis: &Axis<'t>) -> Axis<'t> {
    Axis::new(axis.key.clone(), Vec::new())
}

/// What a value is worth.
fn of(value: &Spanned<DeValue<'_>>) -> String {
    worth(&document::to_json(value.get_ref()))
}

/// Puts explicit points beside the grid. An axis that only they have leaves the grid with the value of the file.
pub(in crate::pipeline) fn add_points<'t>(
    written: &Written<'t>,
    given: &Given<'t>,
    table: &mut Table<'t>,
    blocks: &mut Blocks,
    own: &Own<'_, 't>,
    found: &mut Vec<Diagnostic>,
) {
    if written.points.is_empty() {
        return;
    }
    let of_grid: Vec<usize> =
        blocks.grid.iter().copied().filter(|&axis| !given.has(table.axes[axis].key.get_ref())).collect();
    let of_points = || written.points.iter().flat_map(|point| &point.axes);
    let mut columns = of_grid.clone();
    for axis in of_points().filter(|axis| !given.has(axis.key.get_ref())) {
        let index = table.axis(axis);
        if !columns.contains(&index) {
            columns.push(index);
        }
    }
    let mut grid_only = Vec::new();
    if has_grid(written) {
        for &column in &columns[of_grid.len()..] {
            let known: Vec<Axis<'t>> = table.axes.iter().map(keyed).chain(of_points().map(keyed)).collect();
            let value = own(&table.axes[column], &known);
            let index = match value {
                Some(value) => table.value(column, &value),
                None => table.own(column),
            };
            grid_only.push((column, index));
        }
    }
    if written.points.iter().any(|point| !point.complete) {
        return;
    }
    let mut rows = Vec::new();
    for point in &written.points {
        for &column in &columns {
            let key = table.axes[column].key.get_ref().clone();
            let Some(axis) = point.axes.iter().find(|axis| *axis.key.get_ref() == key) else {
                let message = format!("this point does not say `{key}`");
                let help = "every point names every axis of the sweep: those of the grid and those of the other points";
                found.push(Diagnostic::new(point.span.clone(), message).help(help));
                return;
            };
            rows.push(table.value(column, &axis.values[0]));
        }
    }
    // What `exclude` took from axes beside the grid (variants, seeds, the command line) it took from the grid alone.
    let (mut tied, rest): (Vec<Block>, Vec<Block>) = std::mem::take(&mut blocks.all)
        .into_iter()
        .partition(|block| block.axes.iter().any(|axis| blocks.grid.contains(axis)) || !blocks.beside.contains(block));
    let outer = tied.iter().flat_map(|block| block.axes.iter().copied()).filter(|axis| !columns.contains(axis));
    let full = |axis: usize| {
        let beside = blocks.beside.iter().find(|block| block.axes == [axis]).cloned();
        beside.unwrap_or_else(|| Block::alone(axis, table.axes[axis].values.len()))
    };
    let mut factors: Vec<Block> = outer.map(full).collect();
    if !columns.is_empty() {
        factors.insert(0, Block { axes: columns, rows });
    }
    if !grid_only.is_empty() {
        tied.push(Block::row_of(grid_only));
    }
    let product = |blocks: &[Block]| match blocks {
        [] => Some(None),
        blocks => Block::product(blocks).map(|block| Some(block.tidy())),
    };
    let (Some(points), Some(grid)) = (product(&factors), product(&tied)) else {
        let message = format!("`points` ties axes together that have more than {} points", range::MOST);
        let span = written.points[0].span.clone();
        found.push(Diagnostic::new(span, message).help("give fewer values, or sweep in parts"));
        blocks.all = rest;
        return;
    };
    blocks.all = rest;
    match (grid, points) {
        (Some(mut grid), Some(mut points)) => {
            grid.rows.append(&mut points.rows);
            blocks.all.push(grid.tidy());
        }
        (one, other) => blocks.all.extend(one.or(other)),
    }
}
