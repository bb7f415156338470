//! Curves over epochs: one figure for each stage and series, with a curve for each arm.

use std::collections::{BTreeMap, BTreeSet};

use super::spread;
use crate::{
    graph::InstanceId,
    report::{
        Figure,
        figure::{Chart, Line},
        page::{Part, slug},
    },
    results::Catalogue,
};

/// The most curves that can be told apart.
const CURVES: usize = 24;

/// Makes the figures of all curves.
pub(super) fn parts(source: &Catalogue<'_, '_>) -> Vec<Part> {
    let mut stages: Vec<&str> = Vec::new();
    for &index in source.made().keys() {
        let stage = source.stage(index);
        if !stages.contains(&stage) {
            stages.push(stage);
        }
    }
    let mut parts = Vec::new();
    for stage in stages {
        let made = source.made().iter().filter(|(index, _)| source.stage(**index) == stage);
        let made: Vec<InstanceId> = made.map(|(&index, _)| index).collect();
        let names: BTreeSet<&str> =
            made.iter().flat_map(|index| source.made()[index].series.keys().map(String::as_str)).collect();
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_by_key(|name| source.results().metrics().rank(name));
        parts.extend(
            names.into_iter().filter_map(|name| figure(source, stage, name, &made)).map(|f| Part::Figure(Box::new(f))),
        );
    }
    parts
}

fn figure(source: &Catalogue<'_, '_>, stage: &str, series: &str, made: &[InstanceId]) -> Option<Figure> {
    let mut arms: Vec<(String, Vec<InstanceId>)> = Vec::new();
    for &index in made {
        let name = source.arm(index);
        match arms.iter_mut().find(|(known, _)| *known == name) {
            Some((_, indices)) => indices.push(index),
            None => arms.push((name, vec![index])),
        }
    }
    let metrics = source.results().metrics();
    // The unit is that of the header.
    let unit = metrics.factor(series);
    let line = |(name, indices): &(String, Vec<InstanceId>)| {
        let mut sums: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
        for (epoch, value) in indices.iter().filter_map(|index| source.made()[index].series.get(series)).flatten() {
            let sum = sums.entry(*epoch).or_default();
            *sum = (sum.0 + value, sum.1 + 1.0);
        }
        let points = sums.into_iter().map(|(epoch, (sum, count))| (epoch as f64, unit * sum / count)).collect();
        Line { name: name.clone(), points, ..Line::default() }
    };
    let mut lines: Vec<Line> = arms.iter().map(line).filter(|line| !line.points.is_empty()).collect();
    let mut values = lines.iter().flat_map(|line| &line.points).map(|point| point.1);
    let first = values.next()?;
    // A curve that never changes, such as a constant learning rate; the mean over seeds may round it.
    if values.all(|value| (value - first).abs() <= 1e-12 * first.abs()) {
        return None;
    }
    let all = lines.len();
    let lines: Vec<Line> = spread(all, CURVES).into_iter().map(|at| std::mem::take(&mut lines[at])).collect();
    let shown = lines.len();
    let most = if shown < all { format!(" {shown} of {all} arms, spread over the sweep.") } else { String::new() };
    let mean = if source.seeds().is_some() { " Means over the seeds." } else { "" };
    (!lines.is_empty()).then(|| Figure {
        name: slug(&format!("{stage} {series}")),
        title: format!("{stage}: {}", series.replace('_', " ")),
        caption: format!("The mean of each epoch.{mean}{most}"),
        chart: Chart::Lines { x: "epoch".to_owned(), y: metrics.header(series), lines, log: false },
    })
}
