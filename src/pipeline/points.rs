//! Single points of a sweep: those that `exclude` takes from the grid and those that `points` puts beside it.

use std::collections::BTreeMap;

use toml::{Spanned, de::DeValue};

use super::{
    document, range,
    space::{Block, Given, Table},
    sweep::{Entry, Written},
    variant,
};
use crate::diagnostic::{Diagnostic, suggest};

/// Takes the rows out that an entry of `exclude` names.
pub(super) fn leave_out<'t>(
    entry: &Entry<'t>,
    given: &Given<'t>,
    is_given: &dyn Fn(&str) -> bool,
    table: &Table<'t>,
    blocks: &mut Vec<Block>,
    found: &mut Vec<Diagnostic>,
) {
    let mut tests: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    for axis in &entry.axes {
        let key = axis.key.get_ref().as_str();
        let meant = |value: &Spanned<DeValue<'t>>| axis.values.iter().any(|wanted| same(wanted, value));
        if let Some((_, value)) = given.fixed.iter().find(|(fixed, _)| fixed == key) {
            if !meant(value) {
                return;
            }
        } else if let Some(index) = table.find(key) {
            if axis.is_variant() {
                let names: Vec<&str> = table.axes[index].values.iter().filter_map(|v| v.get_ref().as_str()).collect();
                let unknown = |value: &&Spanned<DeValue<'t>>| !table.axes[index].values.iter().any(|v| same(v, value));
                if let Some(value) = axis.values.iter().find(unknown) {
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
    let kept: Vec<u32> = (0..before).map(|row| block.row(row)).filter(|row| !hit(row)).flatten().copied().collect();
    block.rows = kept;
    let changed = entry.axes.iter().any(|axis| is_given(axis.key.get_ref()));
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

/// Puts explicit points beside the grid.
pub(super) fn add_points<'t>(
    written: &Written<'t>,
    is_given: &dyn Fn(&str) -> bool,
    table: &mut Table<'t>,
    grid: &[usize],
    blocks: &mut Vec<Block>,
    found: &mut Vec<Diagnostic>,
) {
    if written.points.is_empty() {
        return;
    }
    let mut columns = grid.to_vec();
    for axis in written.points.iter().flat_map(|point| &point.axes).filter(|axis| !is_given(axis.key.get_ref())) {
        let index = table.axis(axis);
        if !columns.contains(&index) {
            columns.push(index);
        }
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
            rows.push(table.value(axis, &axis.values[0]));
        }
    }
    if columns.is_empty() {
        return;
    }
    // What `exclude` tied to the grid from outside (variants, axes of the command line) is crossed with the points.
    let (tied, rest): (Vec<Block>, Vec<Block>) =
        std::mem::take(blocks).into_iter().partition(|block| block.axes.iter().any(|axis| grid.contains(axis)));
    let outer: Vec<usize> =
        tied.iter().flat_map(|block| block.axes.iter().copied()).filter(|axis| !grid.contains(axis)).collect();
    let mut factors = vec![Block { axes: columns, rows }];
    factors.extend(outer.iter().map(|&axis| Block::alone(axis, table.axes[axis].values.len())));
    let products = (Block::product(&factors).map(Block::tidy), Block::product(&tied).map(Block::tidy));
    let (Some(mut all), Some(mut block)) = products else {
        let message = format!("`points` ties axes together that have more than {} points", range::MOST);
        let span = written.points[0].span.clone();
        found.push(Diagnostic::new(span, message).help("give fewer values, or sweep in parts"));
        return;
    };
    if !tied.is_empty() {
        block.rows.append(&mut all.rows);
        all = block;
    }
    *blocks = rest;
    blocks.push(all);
}

/// Equal values: numbers by what they are worth, everything else as written.
fn same(one: &Spanned<DeValue<'_>>, other: &Spanned<DeValue<'_>>) -> bool {
    let (one, other) = (document::to_json(one.get_ref()), document::to_json(other.get_ref()));
    one == other || (one.is_number() && one.as_f64() == other.as_f64())
}
