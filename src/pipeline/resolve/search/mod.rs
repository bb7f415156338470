//! `method` of a sweep: instead of the whole grid, some of its points.
//!
//! `random` draws `budget` points (Bergstra and Bengio 2012). `halving` starts as many with few epochs, gives `factor`
//! times as many epochs to the best of them, and so on up to the epochs of the file (successive halving, Jamieson and
//! Talwalkar 2016).
//!
//! [`resolve`] finds the points; [`random`] draws them, and [`halving`] adds the rungs.

mod halving;
mod random;

use std::collections::BTreeMap;

use self::random::Draws;
use super::{
    grid::{Grid, worth_of},
    scope::Scope,
    values::computed,
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    pipeline::{
        document,
        limits::MAX_POINTS,
        resolved::{Axis, Halving},
        space::{AxisBlock, Space},
        worth::plain,
        written::{
            Value,
            distribution::{self, Distribution},
            sweep::Search,
            table::Entry,
        },
    },
};

/// A `method` that does not run the whole grid.
struct Method {
    /// True for halving, false for a random search.
    halves: bool,
    /// The place of its name.
    span: Span,
}

/// What a search draws its points from, beside the grid.
pub(super) struct Source<'a, 't> {
    /// The stages and loops.
    pub scope: &'a Scope<'t>,
    /// The pipeline's seed.
    pub seed: Option<&'a Value<'t>>,
    /// The axis of the repeats, which is not searched.
    pub repeats: Option<&'a str>,
}

/// The points that are searched in place of the grid; with halving, also the axis of its rungs.
pub(super) fn resolve<'t>(
    search: &Search<'t>,
    mut grid: Grid<'t>,
    source: &Source<'_, 't>,
    diagnostics: &mut Diagnostics,
) -> (Grid<'t>, Option<Halving>) {
    let Some(method) = diagnostics.take(method(search)) else { return (grid, None) };
    let Some(method) = method else {
        diagnostics.extend(without_method(search, &grid.axes));
        return (grid, None);
    };
    if !method.halves {
        for Entry { key, .. } in search.0.iter().filter(|entry| !["method", "budget"].contains(&&**entry.key.get_ref()))
        {
            let message = format!("`{}` has no meaning in a random search", key.get_ref());
            diagnostics.add(Diagnostic::new(key.span(), message).help("leave it out, or use \"halving\""));
        }
    }
    let budget = search.get("budget").and_then(|entry| diagnostics.take(entry.count(1)));
    // After a mistake there may be nothing to draw from.
    if grid.space.blocks.iter().any(AxisBlock::is_empty) {
        return (grid, None);
    }
    let is_sound = diagnostics.is_empty();
    let Some(Some(block)) = diagnostics.take(sample(&mut grid, budget, &method.span, source, is_sound)) else {
        return (grid, None);
    };
    let halving = if method.halves {
        halving::resolve(search, &method.span, block, &mut grid, source.scope, diagnostics)
    } else {
        None
    };
    (grid, halving)
}

/// The method, or none for the whole grid.
fn method(search: &Search<'_>) -> Result<Option<Method>, Diagnostic> {
    let Some(Entry { value, .. }) = search.get("method") else { return Ok(None) };
    let span = value.span();
    match value.get_ref().as_str() {
        Some("grid") => Ok(None),
        Some("random") => Ok(Some(Method { halves: false, span })),
        Some("halving") => Ok(Some(Method { halves: true, span })),
        _ => Err(Diagnostic::new(span, "`method` must be \"grid\", \"random\" or \"halving\"")),
    }
}

/// The mistakes of what needs a method where there is none.
fn without_method(search: &Search<'_>, axes: &[Axis<'_>]) -> Vec<Diagnostic> {
    let mut mistakes = Vec::new();
    if let Some(Entry { key, .. }) = search.0.iter().find(|entry| entry.key.get_ref() != "method") {
        let message = format!("`{}` says how a sweep is searched, but there is no `method`", key.get_ref());
        mistakes.push(Diagnostic::new(key.span(), message).help("add `method = \"halving\"` or \"random\""));
    }
    for axis in axes {
        let Some((at, _)) = distribution_of(axis) else { continue };
        let message = format!("`{}` is drawn at random, but the sweep has no `method`", axis.name());
        let help = "add `method = \"random\"` and `budget = 20`, or list the values";
        mistakes.push(Diagnostic::new(axis.values[at].span(), message).help(help));
    }
    mistakes
}

/// The value of an axis that is a distribution, if there is one: its index, and the distribution. The other values are
/// those of explicit points.
fn distribution_of<'a>(axis: &'a Axis<'_>) -> Option<(usize, Distribution<'a>)> {
    axis.values.iter().enumerate().find_map(|(at, value)| Some((at, distribution::read(value.get_ref())?)))
}

/// Puts one block in place of those that are searched, with a row for each point that is drawn, and explicit points
/// beside them where an axis is a distribution. Returns the index of the block; none if there is no axis to search,
/// which is a mistake of its own only if everything else `is_sound`.
fn sample<'t>(
    grid: &mut Grid<'t>,
    budget: Option<u64>,
    method: &Span,
    source: &Source<'_, 't>,
    is_sound: bool,
) -> Result<Option<usize>, Diagnostic> {
    let is_fixed = |axis: &usize| grid.axes[*axis].is_variant() || Some(grid.axes[*axis].name()) == source.repeats;
    let (mut rest, searched): (Vec<AxisBlock>, Vec<AxisBlock>) =
        grid.space.blocks.iter().cloned().partition(|block| block.axes.iter().all(is_fixed));
    let index = |axis: &Axis<'t>| Some(distribution_of(axis)?.0 as u32);
    let drawn: BTreeMap<usize, u32> =
        grid.axes.iter().enumerate().filter_map(|(at, axis)| Some((at, index(axis)?))).collect();
    let wrong = |message: String, help: &str| Err(Diagnostic::new(method.clone(), message).help(help));
    if let (None, Some((&axis, _))) = (budget, drawn.first_key_value()) {
        let message = format!("`{}` has no end of values, so the search needs a `budget`", grid.axes[axis].name());
        return wrong(message, "add `budget = 20`, the number of points");
    }
    if searched.is_empty() {
        return if is_sound { wrong("the sweep has no axes to search".to_owned(), "add some") } else { Ok(None) };
    }
    let draws = Draws::new(&source.seed.map(|seed| plain(&document::to_json(seed.get_ref()))).unwrap_or_default());
    let is_drawn =
        |axes: &[usize], row: &[u32]| axes.iter().zip(row).all(|(axis, at)| drawn.get(axis).is_none_or(|of| of == at));
    let open: Vec<AxisBlock> = searched.iter().map(|block| block.filtered(|row| is_drawn(&block.axes, row))).collect();
    let points = open.iter().try_fold(1usize, |product, block| product.checked_mul(block.len()));
    let is_large = |points: u64| points > MAX_POINTS as u64;
    if points.is_none_or(|points| is_large(budget.unwrap_or(u64::MAX).min(points as u64)))
        && budget.is_none_or(is_large)
    {
        let message = format!("the search has more than {MAX_POINTS} points");
        return wrong(message, "add `budget = 20`, the number of points");
    }
    let axes: Vec<usize> = searched.iter().flat_map(|block| block.axes.iter().copied()).collect();
    let mut rows = draws.rows(&open, budget, !drawn.is_empty());
    let count = rows.len();
    if searched.iter().zip(&open).any(|(all, open)| all.len() > open.len()) {
        let Some(all) = AxisBlock::product(&searched) else {
            let message = format!("explicit `points` of a search are tied to more than {MAX_POINTS} others");
            return wrong(message, "give fewer values, or sweep in parts");
        };
        let is_explicit =
            |row: &&[u32]| axes.iter().zip(*row).any(|(axis, at)| drawn.get(axis).is_some_and(|of| of != at));
        rows.extend((0..all.len()).map(|row| all.row(row)).filter(is_explicit).map(<[u32]>::to_vec));
    }
    for axis in drawn.into_keys() {
        let Some(column) = axes.iter().position(|other| *other == axis) else { return Ok(None) };
        let explicit: Vec<u32> = rows[count..].iter().map(|row| row[column]).collect();
        let Some(values) = draw(&mut grid.axes[axis], count, &explicit, &draws, source.scope)? else { return Ok(None) };
        rows.iter_mut().zip(values).for_each(|(row, value)| row[column] = value);
    }
    let block = AxisBlock { axes, rows: rows.concat() }.tidy();
    let first = block.axes.first().copied();
    rest.push(block);
    grid.space = Space { blocks: rest };
    grid.space.sort();
    Ok(grid.space.blocks.iter().position(|block| block.axes.first().copied() == first))
}

/// Gives an axis the values that its distribution draws for so many points, and those of explicit points, whose indices
/// are given. Returns the index of the value of each point.
fn draw<'t>(
    axis: &mut Axis<'t>,
    points: usize,
    explicit: &[u32],
    draws: &Draws,
    scope: &Scope<'t>,
) -> Result<Option<Vec<u32>>, Diagnostic> {
    let Some((at, distribution)) = distribution_of(axis) else { return Ok(None) };
    let span = axis.values[at].span();
    let drawn = draws.values(axis.name(), points, distribution.interval(&span)?);
    let drawn = drawn.into_iter().map(|number| computed(number, &span, scope));
    let explicit = explicit.iter().map(|&at| axis.values.get(at as usize).cloned());
    let Some(all) = drawn.chain(explicit).collect::<Option<Vec<Value<'t>>>>() else { return Ok(None) };
    let (mut values, mut known, mut places) = (Vec::new(), BTreeMap::new(), Vec::new());
    for value in all {
        let place = *known.entry(worth_of(&value)).or_insert(values.len());
        if place == values.len() {
            values.push(value);
        }
        places.push(place as u32);
    }
    axis.values = values;
    Ok(Some(places))
}
