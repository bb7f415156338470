//! The table of the arms, that of the controls, and the differences in words.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, short, words};
use crate::{
    cli::{
        compare::by_seed,
        results::{Row, SCORE, plain, score},
    },
    report::{
        Align, Estimate, Figure, Grid, differs,
        figure::{Bar, Chart},
        holm,
        page::Part,
        paired_p, percent,
    },
};

/// So many bars can be read.
const BARS: usize = 40;

/// A value with its interval, in percent.
struct Answer {
    value: f64,
    interval: Option<(f64, f64)>,
}

/// The axes of an arm with their values; none for a control.
type Arm<'a> = Vec<(&'a str, String)>;

/// Everything about accuracy.
pub fn parts(source: &Source<'_, '_>) -> Vec<Part> {
    let rows: Vec<&Row<'_>> = source.results.rows().iter().filter(|row| row.metrics.contains_key(SCORE)).collect();
    if rows.is_empty() {
        return source
            .results
            .tables(true)
            .into_iter()
            .map(|(kind, grid)| Part::Table(kind.to_owned(), grid))
            .collect();
    }
    let split = Split::of(source, &rows);
    let mut parts = Vec::new();
    let words = split.differences(&rows);
    if !words.is_empty() {
        parts.push(Part::List(words));
    }
    let (arms, controls) = split.tables(&rows);
    let unit =
        "Test accuracy in %, with its 95 % interval: over seeds where there are several, else of the test images";
    if !arms.is_empty() {
        parts.push(Part::Table(unit.to_owned(), arms));
    }
    if !controls.is_empty() {
        parts.push(Part::Table("Beside them, on the same data".to_owned(), controls));
    }
    parts.extend(split.bars(&rows).map(|figure| Part::Figure(Box::new(figure))));
    parts.push(Part::Folded("All results".to_owned(), source.results.flat()));
    parts
}

/// The axes by what they do to a table.
struct Split<'a> {
    /// The level of the features: `probe.at`.
    level: Option<&'a str>,
    seeds: Option<&'a str>,
}

impl<'a> Split<'a> {
    fn of(source: &'a Source<'_, '_>, rows: &[&'a Row<'a>]) -> Self {
        let is_level = |axis: &&str| axis.ends_with(".at");
        let level = rows.iter().flat_map(|row| row.axes.iter().map(|(axis, _)| axis)).find(is_level);
        Self { level, seeds: source.graph.pipeline.repeats.as_deref() }
    }

    /// The axes that make an arm.
    fn arm(&self, row: &Row<'a>) -> Arm<'a> {
        let own = |axis: &str| Some(axis) != self.level && Some(axis) != self.seeds;
        row.axes.iter().filter(|(axis, _)| own(axis)).map(|(axis, value)| (axis, plain(value))).collect()
    }

    /// The column: the stage, and the level if it has one.
    fn column(&self, row: &Row<'a>) -> String {
        let level = self.level.and_then(|level| row.axes.get(level)).map(plain);
        level.map_or_else(|| row.stage.to_owned(), |level| format!("{} {level}", row.stage))
    }

    fn tables(&self, rows: &[&Row<'a>]) -> (Grid, Grid) {
        let mut columns: Vec<String> = Vec::new();
        let mut arms: Vec<Arm<'_>> = Vec::new();
        let mut cells: BTreeMap<(Arm<'_>, String), Vec<&Row<'_>>> = BTreeMap::new();
        for row in rows {
            let (arm, column) = (self.arm(row), self.column(row));
            if !arm.is_empty() && !columns.contains(&column) {
                columns.push(column.clone());
            }
            if !arms.contains(&arm) {
                arms.push(arm.clone());
            }
            cells.entry((arm, column)).or_default().push(row);
        }
        let axes: Vec<&str> = arms.iter().flatten().map(|(axis, _)| *axis).fold(Vec::new(), |mut axes, axis| {
            if !axes.contains(&axis) {
                axes.push(axis);
            }
            axes
        });
        let left = axes.iter().map(|axis| (short(axis).to_owned(), Align::Left));
        let mut table = Grid::new(left.chain(columns.iter().map(|column| (column.clone(), Align::Right))));
        for arm in arms.iter().filter(|arm| !arm.is_empty()) {
            let value = |axis: &&str| arm.iter().find(|(own, _)| own == axis).map(|(_, value)| value.clone());
            let start = axes.iter().map(|axis| value(axis).unwrap_or_default());
            let words = columns.iter().map(|column| {
                let group = cells.get(&(arm.clone(), column.clone()));
                group.and_then(|group| answer(group)).map(|answer| answer.words()).unwrap_or_default()
            });
            table.push(start.chain(words).collect());
        }
        let mut controls = Grid::new([("", Align::Left), ("test accuracy %", Align::Right)]);
        for ((_, column), group) in cells.iter().filter(|((arm, _), _)| arm.is_empty()) {
            controls.push(vec![column.clone(), answer(group).map(|answer| answer.words()).unwrap_or_default()]);
        }
        (table, controls)
    }

    fn bars(&self, rows: &[&Row<'a>]) -> Option<Figure> {
        let mut groups: Vec<(String, Vec<&Row<'_>>)> = Vec::new();
        for row in rows {
            let (column, arm) = (self.column(row), words(self.arm(row).into_iter()));
            let name = if arm.is_empty() { column } else { format!("{column}, {arm}") };
            match groups.iter_mut().find(|(known, _)| *known == name) {
                Some((_, group)) => group.push(row),
                None => groups.push((name, vec![row])),
            }
        }
        let bar = |(name, group): &(String, Vec<&Row<'_>>)| {
            let Answer { value, interval } = answer(group)?;
            Some(Bar { name: name.clone(), value, interval })
        };
        let bars: Vec<Bar> = groups.iter().filter_map(bar).collect();
        (2..=BARS).contains(&bars.len()).then(|| Figure {
            name: "accuracy".to_owned(),
            title: "Test accuracy".to_owned(),
            caption: "Bars end at the mean; lines are 95 % intervals.".to_owned(),
            chart: Chart::Bars { value: "test accuracy %".to_owned(), bars },
        })
    }

    /// For each axis of words: its other values against the first, paired by everything else.
    fn differences(&self, rows: &[&Row<'a>]) -> Vec<String> {
        let mut found = Vec::new();
        let axes: BTreeSet<&str> = rows.iter().flat_map(|row| self.arm(row)).map(|(axis, _)| axis).collect();
        for axis in axes {
            let mut values: Vec<String> = Vec::new();
            for value in rows.iter().filter_map(|row| row.axes.get(axis)) {
                let is_word = value.is_string() || value.is_boolean();
                let value = plain(value);
                if is_word && !values.contains(&value) {
                    values.push(value);
                }
            }
            let Some((first, others)) = values.split_first() else { continue };
            let columns: BTreeSet<String> =
                rows.iter().filter(|row| row.axes.contains_key(axis)).map(|row| self.column(row)).collect();
            for column in columns {
                let of = |value: &str| -> BTreeMap<Arm<'_>, f64> {
                    let is_one = |row: &&&Row<'_>| {
                        self.column(row) == column && row.axes.get(axis).map(plain).as_deref() == Some(value)
                    };
                    let pairing = |row: &Row<'a>| {
                        row.axes
                            .iter()
                            .filter(|(own, _)| *own != axis)
                            .map(|(own, value)| (own, plain(value)))
                            .collect()
                    };
                    rows.iter().filter(is_one).map(|row| (pairing(row), row.metrics[SCORE])).collect()
                };
                let base = of(first);
                for other in others {
                    let seed = |key: &Arm<'_>| {
                        key.iter().find(|(axis, _)| Some(*axis) == self.seeds).map(|(_, seed)| seed.clone())
                    };
                    let pairs = of(other);
                    let pairs = pairs.iter().filter_map(|(key, value)| Some((seed(key), value - base.get(key)?)));
                    let differences = by_seed(pairs);
                    if !differences.is_empty() {
                        found.push((format!("{column}: {axis}={other} against {first}"), differences));
                    }
                }
            }
        }
        let tested: Vec<usize> = (0..found.len()).filter(|&at| found[at].1.len() > 1).collect();
        let p: Vec<f64> = tested.iter().filter_map(|&at| paired_p(&found[at].1)).collect();
        let adjusted: BTreeMap<usize, f64> = tested.into_iter().zip(holm(&p)).collect();
        found
            .iter()
            .enumerate()
            .filter_map(|(at, (what, values))| said(what, values, adjusted.get(&at).copied()))
            .collect()
    }
}

/// A difference in words.
fn said(what: &str, differences: &[f64], p: Option<f64>) -> Option<String> {
    let Estimate { mean, interval, n } = Estimate::of(differences)?;
    let side = if mean < 0.0 { "lower" } else { "higher" };
    let size = percent(mean.abs());
    let Some(((low, high), p)) = interval.zip(p) else {
        return Some(format!("{what}: {size} points {side}, with one seed, which says nothing; repeat over more."));
    };
    let verdict = if differs(p) { "a difference" } else { "no difference shown" };
    let (low, high) = (percent(low), percent(high));
    Some(format!(
        "{what}: {size} points {side} (95 % interval {low} to {high} over {n} seeds; p = {p:.3}, corrected for all of these): {verdict}."
    ))
}

fn answer(group: &[&Row<'_>]) -> Option<Answer> {
    let (mean, interval) = score(group)?;
    Some(Answer { value: 100.0 * mean, interval: interval.map(|(low, high)| (100.0 * low, 100.0 * high)) })
}

impl Answer {
    fn words(&self) -> String {
        let interval = self.interval.map(|(low, high)| format!(" [{low:.1}, {high:.1}]"));
        format!("{:.1}{}", self.value, interval.unwrap_or_default())
    }
}
