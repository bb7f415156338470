//! Figures of a sweep: metrics over two axes, scatter plots of rates, and all axes in parallel.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    pipeline::plain,
    report::{
        Figure,
        figure::{Chart, Dimension, Line},
        page::{Part, slug},
    },
    results::{Catalogue, Metrics, Row, short},
    stage::{Metric, Prediction},
};

/// Makes all figures of the sweep.
pub(super) fn parts(source: &Catalogue<'_, '_>) -> Vec<Part> {
    let (rows, metrics) = (source.results().rows(), source.results().metrics());
    // A metric that explains a score is of interest where the experiment changes it on purpose.
    let explaining: Vec<&str> =
        metrics.explaining().map(|metric| &*metric.name).filter(|name| source.varies_by_own(name)).collect();
    let predicting = metrics.iter().filter(|metric| source.varies_by_own(&metric.name));
    let mut figures: Vec<Figure> = Vec::new();
    let answers = source.results().answers();
    for (at, (score, scored)) in answers.iter().enumerate() {
        figures.extend(heatmaps(source, scored, &[&*score.name]));
        figures.extend(parallel(source, &score.name, scored, at == 0));
    }
    if let Some((score, scored)) = answers.first() {
        let maps = heatmaps(source, scored, &explaining).into_iter();
        figures.extend(maps.filter(depends_on_both));
        figures.extend(explaining.iter().filter_map(|name| against(metrics, name, &score.name, scored)));
    }
    figures.extend(predicting.filter_map(|metric| predicted(metrics, metric, rows)));
    figures.into_iter().map(|figure| Part::Figure(Box::new(figure))).collect()
}

/// Returns a metric of a row, or of one of its dependencies.
fn metric(row: &Row<'_>, name: &str) -> Option<f64> {
    row.metrics.get(name).or_else(|| row.beneath.get(name)).copied()
}

fn values(rows: &[&Row<'_>], axis: &str) -> Vec<Value> {
    let mut values: Vec<Value> = Vec::new();
    for value in rows.iter().filter_map(|row| row.axes.get(axis)) {
        if !values.contains(value) {
            values.push(value.clone());
        }
    }
    values
}

fn heatmaps(source: &Catalogue<'_, '_>, scored: &[&Row<'_>], mapped: &[&str]) -> Vec<Figure> {
    let mut stages: Vec<&str> = scored.iter().map(|row| row.stage).collect();
    stages.dedup();
    let mut figures = Vec::new();
    for stage in stages {
        let of_stage: Vec<&Row<'_>> = scored.iter().copied().filter(|row| row.stage == stage).collect();
        let axes = source.varying(&of_stage);
        let numeric = |axis: &str| values(&of_stage, axis).iter().all(Value::is_number);
        // Two axes of numbers, or one of numbers and one of words.
        let (numbers, words): (Vec<&str>, Vec<&str>) = axes.iter().partition(|axis| numeric(axis));
        let (down, along) = match (&numbers[..], &words[..]) {
            ([down, along, ..], _) => (*down, *along),
            ([along], [down, ..]) => (*down, *along),
            _ => continue,
        };
        let metrics = source.results().metrics();
        figures.extend(mapped.iter().filter_map(|name| heatmap(metrics, stage, &of_stage, (down, along), name)));
    }
    figures
}

fn heatmap(
    metrics: &Metrics,
    stage: &str,
    rows: &[&Row<'_>],
    (down, along): (&str, &str),
    name: &str,
) -> Option<Figure> {
    let (lines, columns) = (values(rows, down), values(rows, along));
    let factor = metrics.factor(name);
    let cell = |line: &Value, column: &Value| {
        let here = rows.iter().filter(|row| row.axes.get(down) == Some(line) && row.axes.get(along) == Some(column));
        let found: Vec<f64> = here.filter_map(|row| metric(row, name)).collect();
        let mean = factor * found.iter().sum::<f64>() / found.len() as f64;
        // A colour cannot show that a number is missing or not finite. The tables show that.
        Some(mean).filter(|mean| mean.is_finite())
    };
    let cells: Vec<Vec<Option<f64>>> =
        lines.iter().map(|line| columns.iter().map(|column| cell(line, column)).collect()).collect();
    let words = |values: &[Value]| values.iter().map(plain).collect();
    cells.iter().flatten().any(Option::is_some).then(|| Figure {
        name: slug(&format!("{stage} {name} map")),
        title: format!("{stage}: {} by {} and {}", name.replace('_', " "), short(down), short(along)),
        caption: "The mean of each cell over all other axes.".to_owned(),
        chart: Chart::Heatmap {
            rows: (short(down).to_owned(), words(&lines)),
            columns: (short(along).to_owned(), words(&columns)),
            value: metrics.header(name),
            cells,
        },
    })
}

/// Plots the measured values of a metric against the metric that predicts it.
fn predicted(metrics: &Metrics, by: &Metric, rows: &[Row<'_>]) -> Option<Figure> {
    let Prediction { of, where_zero } = by.predicts.as_ref()?;
    let mut groups: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows {
        let holds = |name: &str| row.metrics.get(name).is_none_or(|value| *value <= 0.0);
        if !where_zero.iter().all(|name| holds(name)) {
            continue;
        }
        if let Some((predicted, measured)) = row.metrics.get(&*by.name).zip(row.metrics.get(&**of)).filter(are_finite) {
            let factor = metrics.factor(of);
            groups.entry(row.stage).or_default().push((factor * predicted, factor * measured));
        }
    }
    let groups: Vec<Line> = groups.into_iter().map(group).collect();
    let stages = groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(", ");
    let (words, unit) = (of.replace('_', " "), if metrics.factor(of) > 1.0 { " %" } else { "" });
    (groups.iter().map(|group| group.points.len()).sum::<usize>() > 1).then(|| Figure {
        name: slug(&format!("{of} predicted")),
        title: format!("{stages}: {words}, predicted and measured"),
        caption: format!("Predicted by {}; on the dotted line both agree.", by.doc),
        chart: Chart::Points {
            x: format!("predicted{unit}"),
            y: format!("measured{unit}"),
            groups,
            diagonal: true,
            tiles: None,
        },
    })
}

/// Makes a group of points.
fn group((name, points): (&str, Vec<(f64, f64)>)) -> Line {
    Line { name: name.to_owned(), points, ..Line::default() }
}

/// Returns whether a heatmap varies along both of its axes. A metric of a stage above may not know one of them.
fn depends_on_both(figure: &Figure) -> bool {
    let Chart::Heatmap { cells, .. } = &figure.chart else { return true };
    let differs = |one: &Option<f64>, other: &Option<f64>| {
        one.zip(*other).is_some_and(|(a, b)| (a - b).abs() > 1e-12 * a.abs().max(b.abs()))
    };
    let along = cells.iter().any(|row| row.windows(2).any(|pair| differs(&pair[0], &pair[1])));
    let down = cells.windows(2).any(|rows| rows[0].iter().zip(&rows[1]).any(|(a, b)| differs(a, b)));
    along && down
}

/// Returns true if both numbers are finite, so that they have a position in a plot.
fn are_finite((x, y): &(&f64, &f64)) -> bool {
    x.is_finite() && y.is_finite()
}

/// Plots the score against a metric that explains it.
fn against(metrics: &Metrics, name: &str, score: &str, rows: &[&Row<'_>]) -> Option<Figure> {
    let mut groups: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows {
        if let Some((x, y)) = row.beneath.get(name).zip(row.metrics.get(score)).filter(are_finite) {
            groups.entry(row.stage).or_default().push((metrics.factor(name) * x, metrics.factor(score) * y));
        }
    }
    let groups: Vec<Line> = groups.into_iter().map(group).collect();
    let stages = groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(", ");
    let spread = groups.iter().flat_map(|group| &group.points).map(|point| point.0);
    let (low, high) = spread.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    (low < high).then(|| Figure {
        name: slug(&format!("{score} by {name}")),
        title: format!("{stages}: {} by {}", score.replace('_', " "), name.replace('_', " ")),
        caption: format!("Each result, over the {} of a stage that it depends on.", name.replace('_', " ")),
        chart: Chart::Points {
            x: metrics.header(name),
            y: metrics.header(score),
            groups,
            diagonal: false,
            tiles: None,
        },
    })
}

/// Plots more than two axes in parallel.
fn parallel(source: &Catalogue<'_, '_>, score: &str, rows: &[&Row<'_>], is_first: bool) -> Option<Figure> {
    let scored = |stage: &str| {
        let is_drawn = |row: &&Row<'_>| row.stage == stage && row.metrics[score].is_finite();
        rows.iter().copied().filter(is_drawn).collect::<Vec<_>>()
    };
    let mut stages: Vec<&str> = rows.iter().map(|row| row.stage).collect();
    stages.dedup();
    let (stage, rows) =
        stages.into_iter().map(|stage| (stage, scored(stage))).find(|(_, rows)| source.varying(rows).len() > 2)?;
    let metrics = source.results().metrics();
    let mut axes: Vec<Dimension> = source
        .varying(&rows)
        .into_iter()
        .filter(|axis| rows.iter().all(|row| row.axes.contains_key(axis)))
        .map(|axis| dimension(&rows, axis))
        .collect();
    axes.push(Dimension {
        name: metrics.header(score),
        values: rows.iter().map(|row| metrics.factor(score) * row.metrics[score]).collect(),
        words: None,
    });
    Some(Figure {
        name: if is_first { "axes".to_owned() } else { slug(&format!("{score} axes")) },
        title: format!("{stage}: {} over all axes", score.replace('_', " ")),
        caption: "A line for each result. Drag along an axis to choose, drag its name to move it.".to_owned(),
        chart: Chart::Parallel { axes },
    })
}

fn dimension(rows: &[&Row<'_>], axis: &str) -> Dimension {
    let known = values(rows, axis);
    let of_row = |row: &&Row<'_>| row.axes.get(axis).cloned().unwrap_or_default();
    let name = short(axis).to_owned();
    if known.iter().all(Value::is_number) {
        return Dimension { name, values: rows.iter().filter_map(|row| of_row(row).as_f64()).collect(), words: None };
    }
    let place = |value: Value| known.iter().position(|one| *one == value).unwrap_or(0) as f64;
    let values = rows.iter().map(|row| place(of_row(row))).collect();
    Dimension { name, values, words: Some(known.iter().map(plain).collect()) }
}
