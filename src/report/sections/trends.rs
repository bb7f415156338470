//! The scores over axes of numbers, as lines with intervals.

use serde_json::Value;

use super::capital;
use crate::{
    pipeline::plain,
    report::{
        Figure,
        figure::{Chart, LEGEND, Line},
        page::{Part, slug},
    },
    results::{Catalogue, Estimate, Row, by_seed, score, short, words},
    stage::{Metric, Unit},
};

/// From this ratio of the largest to the smallest value on, an axis of positive numbers is logarithmic.
const LOGARITHMIC: f64 = 20.0;

/// Makes the figures of a score: one for each stage and axis of numbers.
pub(super) fn parts(source: &Catalogue<'_, '_>, metric: &Metric, rows: &[&Row<'_>]) -> Vec<Part> {
    let mut stages: Vec<&str> = rows.iter().map(|row| row.stage).collect();
    stages.dedup();
    let mut figures = Vec::new();
    for stage in stages {
        let rows: Vec<&Row<'_>> = rows.iter().copied().filter(|row| row.stage == stage).collect();
        let axes = source.varying(&rows);
        let numeric = axes.iter().filter(|axis| values(&rows, axis).iter().all(Value::is_number));
        figures.extend(numeric.filter_map(|axis| figure(source, metric, stage, &rows, axis, &axes)));
    }
    figures.into_iter().map(|figure| Part::Figure(Box::new(figure))).collect()
}

fn values(rows: &[&Row<'_>], axis: &str) -> Vec<Value> {
    let mut values: Vec<Value> = Vec::new();
    for value in rows.iter().filter_map(|row| row.axes.get(axis)) {
        if !values.contains(value) {
            values.push(value.clone());
        }
    }
    values.sort_by(|a, b| a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default()));
    values
}

fn figure(
    source: &Catalogue<'_, '_>,
    metric: &Metric,
    stage: &str,
    rows: &[&Row<'_>],
    axis: &str,
    axes: &[&str],
) -> Option<Figure> {
    let others: Vec<&str> = axes.iter().copied().filter(|other| *other != axis).collect();
    let of_words = |axes: &[&'_ str]| -> Vec<String> {
        let is_words = |axis: &&&str| values(rows, axis).iter().any(|value| !value.is_number());
        axes.iter().filter(is_words).map(|axis| (*axis).to_owned()).collect()
    };
    // As many curves as can be told apart: one for each point of the other axes, else of those of words, else one.
    let choices = [others.iter().map(|axis| (*axis).to_owned()).collect(), of_words(&others), Vec::new()];
    let (by, names) = choices.into_iter().find_map(|by: Vec<String>| {
        let names = names(rows, &by);
        (names.len() <= LEGEND).then_some((by, names))
    })?;
    let seeds = source.seeds();
    let factor = source.results().metrics().factor(&metric.name);
    let places = values(rows, axis);
    let line = |name: &String| {
        let mut line = Line { name: if name.is_empty() { stage.to_owned() } else { name.clone() }, ..Line::default() };
        for place in &places {
            let here = rows.iter().copied().filter(|row| row.axes.get(axis) == Some(place) && point(row, &by) == *name);
            let here: Vec<&Row<'_>> = here.collect();
            let Some((mean, interval)) = answer(metric, &here, seeds) else { continue };
            let Some(x) = place.as_f64() else { continue };
            line.points.push((x, factor * mean));
            line.intervals.push(interval.map(|(low, high)| (factor * low, factor * high)));
        }
        line
    };
    let lines: Vec<Line> = names.iter().map(line).filter(|line| !line.points.is_empty()).collect();
    let over: Vec<&str> = others.iter().copied().filter(|axis| !by.iter().any(|own| own == axis)).collect();
    let over: Vec<&str> = over.into_iter().map(short).collect();
    let means = if over.is_empty() { String::new() } else { format!(" Means over {}.", over.join(", ")) };
    let numbers: Vec<f64> = places.iter().filter_map(Value::as_f64).collect();
    let (low, high) = (numbers.first().copied()?, numbers.last().copied()?);
    let of = match seeds {
        Some(_) => "95 % intervals over the seeds, or of the test images where there is one seed",
        None => "95 % intervals of the test images",
    };
    let has_intervals = lines.iter().flat_map(|line| &line.intervals).any(Option::is_some);
    let intervals = if has_intervals { format!(" Bars are {of}.") } else { String::new() };
    (lines.iter().map(|line| line.points.len()).max() > Some(1)).then(|| Figure {
        name: slug(&format!("{stage} {} over {axis}", metric.name)),
        title: format!("{stage}: {} over {}", metric.name.replace('_', " "), short(axis)),
        caption: format!("{} at each value of {axis}.{means}{intervals}", capital(&metric.doc)),
        chart: Chart::Lines {
            x: axis.to_owned(),
            y: source.results().metrics().header(&metric.name),
            lines,
            log: numbers.len() > 2 && low > 0.0 && high / low >= LOGARITHMIC,
        },
    })
}

/// Returns the score of some rows with its interval. Over several points of the sweep, it is the mean of each seed's
/// mean, and only seeds make an interval.
fn answer(metric: &Metric, rows: &[&Row<'_>], seeds: Option<&str>) -> Option<(f64, Option<(f64, f64)>)> {
    let point = |row: &Row<'_>| -> Vec<(String, String)> {
        let axes = row.axes.iter().filter(|(axis, _)| Some(*axis) != seeds);
        axes.map(|(axis, value)| (axis.to_owned(), plain(value))).collect()
    };
    let first = point(rows.first()?);
    if rows.iter().all(|row| point(row) == first) {
        return score(metric, rows);
    }
    let seed = |row: &Row<'_>| seeds.and_then(|seeds| row.axes.get(seeds)).map(plain);
    let each = rows.iter().filter_map(|row| Some((seed(row), *row.metrics.get(&*metric.name)?)));
    let Estimate { mean, interval, .. } = Estimate::of(&by_seed(each))?;
    let bounded = |(low, high): (f64, f64)| match metric.unit {
        Unit::Fraction => (low.max(0.0), high.min(1.0)),
        Unit::Number => (low, high),
    };
    Some((mean, interval.map(bounded)))
}

/// Returns the values of some axes: `policy=random, at=p3`.
fn point(row: &Row<'_>, axes: &[String]) -> String {
    words(
        row.axes
            .iter()
            .filter(|(axis, _)| axes.iter().any(|own| own == axis))
            .map(|(axis, value)| (axis, plain(value))),
    )
}

fn names(rows: &[&Row<'_>], axes: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in rows.iter().map(|row| point(row, axes)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
