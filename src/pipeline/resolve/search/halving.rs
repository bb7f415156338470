//! Successive halving: its rungs, and what decides between points.

use serde_json::Value as Json;
use toml::Spanned;

use crate::{
    diagnostic::{Diagnostic, Diagnostics, Names, Span},
    pipeline::{
        document,
        resolve::{grid::Grid, overlaps::overlap, scope::Scope, values::computed},
        resolved::{Axis, Halving},
        space::AxisBlock,
        written::sweep::Search,
    },
};

/// Adds the axis of the rungs to a grid whose points are the rows of `block`. `method` is the place of `"halving"`.
pub(super) fn resolve<'t>(
    search: &Search<'t>,
    method: &Span,
    block: usize,
    grid: &mut Grid<'t>,
    scope: &Scope<'t>,
    diagnostics: &mut Diagnostics,
) -> Option<Halving> {
    let rule = diagnostics.take(rule(search, method))?;
    let axis = Axis::new(rule.over, Vec::new());
    if !scope.can_vary(&axis, diagnostics) {
        return None;
    }
    let most = diagnostics.take(most(&axis, rule.start, scope))?;
    if grid.axes.iter().any(|other| other.name() == axis.name()) {
        let message = format!("`{}` is an axis of the sweep, and `over` varies it too", axis.name());
        diagnostics.add(Diagnostic::new(axis.key.span(), message).help("keep one of the two"));
        return None;
    }
    let all: Vec<Axis<'t>> = grid.axes.iter().chain([&axis]).cloned().collect();
    let overlaps = overlap(&all, "axes");
    if !overlaps.is_empty() {
        diagnostics.extend(overlaps);
        return None;
    }
    let (stage, metric) = diagnostics.take(score(&rule.score, scope))?;
    let rungs = rungs(most, rule.start, rule.factor, grid.space.blocks[block].len());
    let (over, span) = (axis.name().to_owned(), axis.key.span());
    let values: Vec<_> = rungs.iter().filter_map(|rung| computed(rung.to_string(), &span, scope)).collect();
    grid.space.blocks.push(AxisBlock::alone(grid.axes.len(), values.len()));
    grid.axes.push(Axis { values, ..axis });
    let Rule { factor, score, lowest, .. } = rule;
    Some(Halving { block, over, rungs, factor, stage, metric, score: score.span(), lowest })
}

/// What the file says of halving.
struct Rule {
    over: Spanned<String>,
    score: Spanned<String>,
    factor: usize,
    start: u64,
    lowest: bool,
}

fn rule(search: &Search<'_>, method: &Span) -> Result<Rule, Diagnostic> {
    let over = search.text("over", "simclr.epochs", method)?;
    let score = search.text("score", "probe.test_accuracy", method)?;
    let number = |key: &str, least: u64| search.get(key).map(|entry| entry.count(least)).transpose();
    let factor = number("factor", 2)?.unwrap_or(3) as usize;
    let start = number("start", 1)?.unwrap_or(1);
    let lowest = match search.get("goal").map(|entry| (entry.value.get_ref().as_str(), entry.value.span())) {
        None | Some((Some("maximize"), _)) => false,
        Some((Some("minimize"), _)) => true,
        Some((_, span)) => return Err(Diagnostic::new(span, "`goal` must be \"maximize\" or \"minimize\"")),
    };
    Ok(Rule { over, score, factor, start, lowest })
}

/// The value of the last rung: that of the file or the default, a whole number of at least `start`.
fn most(axis: &Axis<'_>, start: u64, scope: &Scope<'_>) -> Result<u64, Diagnostic> {
    whole_value(axis, scope).filter(|most| *most >= start).ok_or_else(|| {
        let message = format!("`{}` must be a whole number of at least {start} to be halved over", axis.name());
        let help = "the value in `[stage…]` is that of the last rung; `start` that of the first";
        Diagnostic::new(axis.key.span(), message).help(help)
    })
}

/// The value that the file or the defaults give to a parameter, if it is a whole number.
fn whole_value(axis: &Axis<'_>, scope: &Scope<'_>) -> Option<u64> {
    let stage = scope.stage(&axis.stage)?;
    let mut written = stage.params.get(axis.path.first()?.as_str());
    for key in &axis.path[1..] {
        written = written.and_then(|value| value.get_ref().as_table()?.get(key.as_str()));
    }
    match written {
        Some(value) => document::to_json(value.get_ref()).as_u64(),
        None => {
            let defaults = stage.kind.default_stage().params();
            axis.path.iter().try_fold(&defaults, |value: &Json, key| value.get(key))?.as_u64()
        }
    }
}

/// The stage and the metric that decide.
fn score(score: &Spanned<String>, scope: &Scope<'_>) -> Result<(String, String), Diagnostic> {
    let Some((stage, metric)) = score.get_ref().split_once('.') else {
        let message = "`score` must name a stage and one of its metrics";
        return Err(Diagnostic::new(score.span(), message).help("write `score = \"probe.test_accuracy\"`"));
    };
    if scope.stage(stage).is_none() && !scope.unread.contains(stage) {
        let names = Names::new(scope.stage_names()).between("`", format!(".{metric}`"));
        let names = names.otherwise("`score` names a stage and one of its metrics");
        let diagnostic = Diagnostic::new(score.span(), format!("there is no stage `{stage}`"));
        return Err(diagnostic.help(names.help(stage)));
    }
    Ok((stage.to_owned(), metric.to_owned()))
}

/// The values of the rungs, rising to `most`: as many as it takes until one of the points is left, as far down as
/// `start` allows.
fn rungs(most: u64, start: u64, factor: usize, points: usize) -> Vec<u64> {
    let (mut rungs, mut left) = (vec![most], points);
    while left >= factor {
        let below = (most as f64 / (factor as f64).powi(rungs.len() as i32)).round() as u64;
        if below < start.max(1) || rungs.last() == Some(&below) {
            break;
        }
        rungs.push(below);
        left /= factor;
    }
    rungs.reverse();
    rungs
}

#[cfg(test)]
mod tests {
    use super::rungs;

    #[test]
    fn rungs_rise_to_the_value_of_the_file_and_end_with_one_point() {
        assert_eq!(rungs(9, 1, 3, 9), [1, 3, 9]);
        assert_eq!(rungs(27, 1, 3, 9), [3, 9, 27], "no more rungs than it takes until one point is left");
        assert_eq!(rungs(100, 20, 2, 64), [25, 50, 100], "not below the start");
        assert_eq!(rungs(5, 1, 3, 100), [1, 2, 5], "a rung is not repeated");
        assert_eq!(rungs(10, 1, 3, 2), [10], "too few points to leave one out");
    }
}
