//! The tables of the arms and of the controls.

use std::collections::BTreeMap;

use super::{capital, trends};
use crate::{
    amount::number,
    pipeline::plain,
    report::{
        Figure,
        figure::{Bar, Chart},
        page::{Part, slug},
    },
    results::{Align, Catalogue, Grid, Metrics, Row, score, short, words},
    stage::{Metric, Role, Unit},
};

/// The most bars that remain legible.
const BARS: usize = 40;

/// The most arms in a table. If there are more, the table shows only the `BEST`.
const ROWS: usize = 24;
const BEST: usize = 10;

/// A value with its interval.
struct Answer {
    value: f64,
    interval: Option<(f64, f64)>,
}

/// The axes of an arm with their values; empty for a control.
pub(super) type Arm<'a> = Vec<(&'a str, String)>;

/// Makes the parts about what the pipeline asks: each score of its final stages.
pub(super) fn parts(source: &Catalogue<'_, '_>) -> Vec<Part> {
    let answers = source.results().answers();
    if answers.is_empty() {
        return source
            .results()
            .tables(true)
            .into_iter()
            .map(|(kind, grid)| Part::Table(kind.to_owned(), grid))
            .collect();
    }
    let mut parts: Vec<Part> = answers.iter().flat_map(|(metric, rows)| about(source, metric, rows)).collect();
    parts.push(Part::Folded("All results".to_owned(), source.results().flat()));
    parts
}

/// Makes the parts about one score.
fn about<'a>(source: &'a Catalogue<'_, '_>, metric: &'a Metric, rows: &[&'a Row<'a>]) -> Vec<Part> {
    let split = Split::of(source, metric, rows);
    let mut parts = Vec::new();
    let words = split.differences(rows);
    if !words.is_empty() {
        parts.push(Part::List(words));
    }
    let (title, arms, controls) = split.tables(rows);
    if !arms.is_empty() {
        parts.push(Part::Table(title, arms));
    }
    if !controls.is_empty() {
        let title = if parts.is_empty() { split.title() } else { "Controls on the same data".to_owned() };
        parts.push(Part::Table(title, controls));
    }
    parts.extend(trends::parts(source, metric, rows));
    parts.extend(split.bars(rows));
    parts
}

/// The axes by their role in a table.
pub(super) struct Split<'a> {
    /// The level of the features: `probe.at`.
    level: Option<&'a str>,
    pub(super) seeds: Option<&'a str>,
    /// The score of the arms.
    pub(super) metric: &'a Metric,
    pub(super) metrics: &'a Metrics,
}

impl<'a> Split<'a> {
    fn of(source: &'a Catalogue<'_, '_>, metric: &'a Metric, rows: &[&'a Row<'a>]) -> Self {
        let is_level = |axis: &&str| axis.ends_with(".at");
        let level = rows.iter().flat_map(|row| row.axes.iter().map(|(axis, _)| axis)).find(is_level);
        Self { level, seeds: source.seeds(), metric, metrics: source.results().metrics() }
    }

    fn header(&self) -> String {
        self.metrics.header(&self.metric.name)
    }

    fn title(&self) -> String {
        let interval = match (&self.metric.role, self.seeds) {
            (Role::Score { interval: Some(_) }, _) => {
                ", with its 95 % interval: over seeds where there are several, else of the test images"
            }
            (_, Some(_)) => ", with its 95 % interval over the seeds",
            (_, None) => "",
        };
        format!("{}{interval}", capital(&self.header()))
    }

    /// Returns the score of a group, in the unit of its header.
    fn answer(&self, group: &[&Row<'_>]) -> Option<Answer> {
        let factor = self.metrics.factor(&self.metric.name);
        let (mean, interval) = score(self.metric, group)?;
        Some(Answer { value: factor * mean, interval: interval.map(|(low, high)| (factor * low, factor * high)) })
    }

    fn words(&self, answer: &Answer) -> String {
        let number = |value: f64| match self.metric.unit {
            Unit::Fraction => format!("{value:.1}"),
            Unit::Number => number(value),
        };
        let interval = answer.interval.map(|(low, high)| format!(" [{}, {}]", number(low), number(high)));
        format!("{}{}", number(answer.value), interval.unwrap_or_default())
    }

    /// Returns the axes that distinguish arms, with the values of a row.
    pub(super) fn arm(&self, row: &Row<'a>) -> Arm<'a> {
        let own = |axis: &str| Some(axis) != self.level && Some(axis) != self.seeds;
        row.axes.iter().filter(|(axis, _)| own(axis)).map(|(axis, value)| (axis, plain(value))).collect()
    }

    /// Returns the column of a row: its stage, and its level if it has one.
    pub(super) fn column(&self, row: &Row<'a>) -> String {
        let level = self.level.and_then(|level| row.axes.get(level)).map(plain);
        level.map_or_else(|| row.stage.to_owned(), |level| format!("{} {level}", row.stage))
    }

    /// Returns the title and the table of the arms, and the table of the controls. If there are many arms, the table
    /// has the best ones.
    fn tables(&self, rows: &[&Row<'a>]) -> (String, Grid, Grid) {
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
        arms.retain(|arm| !arm.is_empty());
        let mut title = self.title();
        if arms.len() > ROWS {
            let by = judge(&columns);
            let all = arms.len();
            keep_best(&mut arms, |arm| self.answer(cells.get(&(arm.clone(), by.to_owned()))?));
            title.push_str(&format!(
                ". The {BEST} best of {all} by {by}: picked by what they are judged by, which flatters them"
            ));
        }
        for arm in &arms {
            let value = |axis: &&str| arm.iter().find(|(own, _)| own == axis).map(|(_, value)| value.clone());
            let start = axes.iter().map(|axis| value(axis).unwrap_or_default());
            let words = columns.iter().map(|column| {
                let group = cells.get(&(arm.clone(), column.clone()));
                group.and_then(|group| self.answer(group)).map(|answer| self.words(&answer)).unwrap_or_default()
            });
            table.push(start.chain(words).collect());
        }
        let mut controls = Grid::new([(String::new(), Align::Left), (self.header(), Align::Right)]);
        for ((_, column), group) in cells.iter().filter(|((arm, _), _)| arm.is_empty()) {
            controls
                .push(vec![column.clone(), self.answer(group).map(|answer| self.words(&answer)).unwrap_or_default()]);
        }
        (title, table, controls)
    }

    fn bars(&self, rows: &[&Row<'a>]) -> Option<Part> {
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
            let Answer { value, interval } = self.answer(group)?;
            Some(Bar { name: name.clone(), value, interval })
        };
        let bars: Vec<Bar> = groups.iter().filter_map(bar).collect();
        let mut stages: Vec<&str> = rows.iter().map(|row| row.stage).collect();
        stages.dedup();
        let name = self.metric.name.replace('_', " ");
        match bars.len() {
            0 | 1 => None,
            all if all > BARS => Some(Part::Words(format!(
                "{}: a chart of {all} bars could not be read, so there is none; the table of all results has them.",
                capital(&name)
            ))),
            _ => Some(Part::Figure(Box::new(Figure {
                name: slug(&self.metric.name),
                title: format!("{}: {name}", stages.join(", ")),
                caption: "Bars end at the mean; lines are 95 % intervals.".to_owned(),
                chart: Chart::Bars { value: self.header(), bars },
            }))),
        }
    }
}

/// Returns the column that arms are ordered by: the deepest level of the first stage.
fn judge(columns: &[String]) -> &str {
    let stage = |column: &String| column.split(' ').next().map(str::to_owned);
    let first = columns.first().map(stage);
    columns.iter().rfind(|column| first.as_ref() == Some(&stage(column))).map_or("", |column| column)
}

fn keep_best(arms: &mut Vec<Arm<'_>>, answer: impl Fn(&Arm<'_>) -> Option<Answer>) {
    let value = |arm: &Arm<'_>| answer(arm).map(|answer| answer.value).filter(|value| value.is_finite());
    let value = |arm: &Arm<'_>| value(arm).unwrap_or(f64::NEG_INFINITY);
    arms.sort_by(|one, other| value(other).total_cmp(&value(one)));
    arms.truncate(BEST);
}
