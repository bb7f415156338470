//! What a sweep shows: metrics over two axes, rates against each other, and all axes side by side.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    pipeline::plain,
    report::{
        Figure,
        figure::{Chart, Dimension, Line},
        page::{Part, slug},
    },
    results::{Catalogue, Row, SCORE, header, short},
};

const RATE: &str = "false_negative_rate";
/// Metrics that are worth a map over two axes, of an instance or of what it stands on.
const MAPPED: [&str; 4] = [SCORE, RATE, "nmi", "contrastive_top1"];

/// All figures of the sweep.
pub fn parts(source: &Catalogue<'_, '_>) -> Vec<Part> {
    let rows = source.results().rows();
    let mut figures = heatmaps(source, rows);
    figures.extend(predicted(rows));
    figures.extend(against_rate(rows));
    figures.extend(parallel(source, rows));
    figures.into_iter().map(|figure| Part::Figure(Box::new(figure))).collect()
}

/// A metric of a row, or of what it stands on.
fn metric(row: &Row<'_>, name: &str) -> Option<f64> {
    row.metrics.get(name).or_else(|| row.beneath.get(name)).copied()
}

/// The axes that vary among rows, in the order of the file.
fn varying<'a>(source: &'a Catalogue<'_, '_>, rows: &[&Row<'_>]) -> Vec<&'a str> {
    let seeds = source.seeds();
    let keys = source.axes();
    keys.filter(|key| Some(*key) != seeds && values(rows, key).len() > 1).collect()
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

fn heatmaps(source: &Catalogue<'_, '_>, rows: &[Row<'_>]) -> Vec<Figure> {
    let mut stages: Vec<&str> = rows.iter().map(|row| row.stage).collect();
    stages.dedup();
    let mut figures = Vec::new();
    for stage in stages {
        let of_stage: Vec<&Row<'_>> =
            rows.iter().filter(|row| row.stage == stage && row.metrics.contains_key(SCORE)).collect();
        let axes = varying(source, &of_stage);
        let numeric = |axis: &str| values(&of_stage, axis).iter().all(Value::is_number);
        // Two axes of numbers, or one of them and one of words.
        let (numbers, words): (Vec<&str>, Vec<&str>) = axes.iter().partition(|axis| numeric(axis));
        let (down, along) = match (&numbers[..], &words[..]) {
            ([down, along, ..], _) => (*down, *along),
            ([along], [down, ..]) => (*down, *along),
            _ => continue,
        };
        for name in MAPPED {
            figures.extend(heatmap(stage, &of_stage, (down, along), name));
        }
    }
    figures
}

fn heatmap(stage: &str, rows: &[&Row<'_>], (down, along): (&str, &str), name: &str) -> Option<Figure> {
    let (lines, columns) = (values(rows, down), values(rows, along));
    let percent = if header(name).ends_with('%') { 100.0 } else { 1.0 };
    let cell = |line: &Value, column: &Value| {
        let here = rows.iter().filter(|row| row.axes.get(down) == Some(line) && row.axes.get(along) == Some(column));
        let found: Vec<f64> = here.filter_map(|row| metric(row, name)).collect();
        let mean = percent * found.iter().sum::<f64>() / found.len() as f64;
        // A colour cannot say that a number is not finite, or that there is none; the tables do.
        Some(mean).filter(|mean| mean.is_finite())
    };
    let cells: Vec<Vec<Option<f64>>> =
        lines.iter().map(|line| columns.iter().map(|column| cell(line, column)).collect()).collect();
    let words = |values: &[Value]| values.iter().map(plain).collect();
    cells.iter().flatten().any(Option::is_some).then(|| Figure {
        name: slug(&format!("{stage} {name} map")),
        title: format!("{stage}: {} by {} and {}", name.replace('_', " "), short(down), short(along)),
        caption: "Means over all other axes.".to_owned(),
        chart: Chart::Heatmap {
            rows: (short(down).to_owned(), words(&lines)),
            columns: (short(along).to_owned(), words(&columns)),
            value: header(name),
            cells,
        },
    })
}

/// The closed form against what was counted.
fn predicted(rows: &[Row<'_>]) -> Option<Figure> {
    let mut groups: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows {
        let expected = row.metrics.get("false_negative_rate_expected");
        // The closed form of a sampler is that of batches without two of one cluster.
        if row.metrics.get("same_cluster_rate").is_some_and(|rate| *rate > 0.0) {
            continue;
        }
        if let Some((expected, measured)) = expected.zip(row.metrics.get(RATE)).filter(are_finite) {
            groups.entry(row.stage).or_default().push((100.0 * expected, 100.0 * measured));
        }
    }
    let groups: Vec<Line> = groups.into_iter().map(|(name, points)| Line { name: name.to_owned(), points }).collect();
    (groups.iter().map(|group| group.points.len()).sum::<usize>() > 1).then(|| Figure {
        name: "false-negatives".to_owned(),
        title: "False negatives: predicted and measured".to_owned(),
        caption: "The share of negatives of an image's own class. Predicted for batches without two of one cluster \
                  (samplers) or for the mask (simclr); on the dotted line both agree."
            .to_owned(),
        chart: Chart::Points {
            x: "predicted %".to_owned(),
            y: "measured %".to_owned(),
            groups,
            diagonal: true,
            tiles: None,
        },
    })
}

/// Only finite numbers have a place in a plane.
fn are_finite((x, y): &(&f64, &f64)) -> bool {
    x.is_finite() && y.is_finite()
}

fn against_rate(rows: &[Row<'_>]) -> Option<Figure> {
    let mut groups: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows {
        if let Some((rate, score)) = row.beneath.get(RATE).zip(row.metrics.get(SCORE)).filter(are_finite) {
            groups.entry(row.stage).or_default().push((100.0 * rate, 100.0 * score));
        }
    }
    let groups: Vec<Line> = groups.into_iter().map(|(name, points)| Line { name: name.to_owned(), points }).collect();
    let spread = groups.iter().flat_map(|group| &group.points).map(|point| point.0);
    let (low, high) = spread.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    (low < high).then(|| Figure {
        name: "accuracy-by-false-negatives".to_owned(),
        title: "Accuracy by false negatives".to_owned(),
        caption: "Every result over the rate of false negatives that it was trained with.".to_owned(),
        chart: Chart::Points {
            x: "false negatives %".to_owned(),
            y: "test accuracy %".to_owned(),
            groups,
            diagonal: false,
            tiles: None,
        },
    })
}

/// More than two axes side by side.
fn parallel(source: &Catalogue<'_, '_>, rows: &[Row<'_>]) -> Option<Figure> {
    let scored = |stage: &str| {
        let is_drawn =
            |row: &&Row<'_>| row.stage == stage && row.metrics.get(SCORE).is_some_and(|score| score.is_finite());
        rows.iter().filter(is_drawn).collect::<Vec<_>>()
    };
    let mut stages: Vec<&str> = rows.iter().map(|row| row.stage).collect();
    stages.dedup();
    let (stage, rows) =
        stages.into_iter().map(|stage| (stage, scored(stage))).find(|(_, rows)| varying(source, rows).len() > 2)?;
    let mut axes: Vec<Dimension> = varying(source, &rows)
        .into_iter()
        .filter(|axis| rows.iter().all(|row| row.axes.contains_key(axis)))
        .map(|axis| dimension(&rows, axis))
        .collect();
    axes.push(Dimension {
        name: "test accuracy %".to_owned(),
        values: rows.iter().map(|row| 100.0 * row.metrics[SCORE]).collect(),
        words: None,
    });
    Some(Figure {
        name: "axes".to_owned(),
        title: format!("{stage}: all axes"),
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
