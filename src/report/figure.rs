//! The content of figures, independent of how they are drawn. The page draws them with Plotly; papers get SVG and PNG.

use crate::results::{Align, Grid};

/// The most names in a legend. A longer one leaves no room for the curves.
pub const LEGEND: usize = 12;

/// A figure with its title and caption.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its name in links and files: letters, digits, `-`.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// An explanation of how to read it.
    pub caption: String,
    /// The numbers.
    pub chart: Chart,
}

/// The numbers of a figure, and the form they take.
#[derive(Clone, Debug, PartialEq)]
pub enum Chart {
    /// Curves over a common axis.
    Lines {
        /// The label of the horizontal axis.
        x: String,
        /// The label of the vertical axis.
        y: String,
        /// The curves.
        lines: Vec<Line>,
        /// Whether equal factors, not equal differences, are equally far apart along the horizontal axis.
        log: bool,
    },
    /// Points in groups.
    Points {
        /// The label of the horizontal axis.
        x: String,
        /// The label of the vertical axis.
        y: String,
        /// The groups.
        groups: Vec<Line>,
        /// Whether the diagonal x = y is drawn.
        diagonal: bool,
        /// For each point of each group, the tile of a sprite on the page that shows its image.
        tiles: Option<Tiles>,
    },
    /// A value over two axes.
    Heatmap {
        /// The name and the values of the vertical axis.
        rows: (String, Vec<String>),
        /// The name and the values of the horizontal axis.
        columns: (String, Vec<String>),
        /// The label of the colours.
        value: String,
        /// The cells, row by row; `None` where there is no value.
        cells: Vec<Vec<Option<f64>>>,
    },
    /// Values with their intervals.
    Bars {
        /// The label of the values.
        value: String,
        /// The bars.
        bars: Vec<Bar>,
    },
    /// Many parallel axes, with a line for each result.
    Parallel {
        /// The axes. The last one determines the colours.
        axes: Vec<Dimension>,
    },
}

/// A named row of points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// The name of the curve or group.
    pub name: String,
    /// The points.
    pub points: Vec<(f64, f64)>,
    /// Both ends of the interval of each point, if they have intervals: as many as points, or none at all.
    pub intervals: Vec<Option<(f64, f64)>>,
}

/// The images that belong to the points of a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Tiles {
    /// The sprite, as an index into those of the page.
    pub sprite: usize,
    /// For each group, the tiles of its points.
    pub of: Vec<Vec<usize>>,
}

/// A value with its interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// The name of the bar.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Both ends of its interval, if it has one.
    pub interval: Option<(f64, f64)>,
}

/// One of many parallel axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Dimension {
    /// The name of the axis.
    pub name: String,
    /// The position of each result on it.
    pub values: Vec<f64>,
    /// The labels at 0, 1, 2, … if its values are words.
    pub words: Option<Vec<String>>,
}

impl Figure {
    /// Returns true if two figures of this form fit side by side.
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        match &self.chart {
            Chart::Lines { .. } => true,
            Chart::Points { tiles, .. } => tiles.is_none(),
            Chart::Heatmap { columns, .. } => columns.1.len() <= 10,
            Chart::Bars { .. } | Chart::Parallel { .. } => false,
        }
    }

    /// Returns a sentence about values that cannot be drawn because they are not finite, or an empty string if there
    /// are none.
    #[must_use]
    pub fn gaps(&self) -> String {
        let odd = |value: f64| !value.is_finite();
        let names: Vec<&str> = match &self.chart {
            Chart::Lines { lines: groups, .. } | Chart::Points { groups, .. } => {
                let is_odd = |line: &&Line| line.points.iter().any(|point| odd(point.1));
                groups.iter().filter(is_odd).map(|line| line.name.as_str()).collect()
            }
            Chart::Heatmap { rows, cells, .. } => {
                let is_odd = |row: &[Option<f64>]| row.iter().flatten().any(|value| odd(*value));
                let rows = cells.iter().zip(&rows.1).filter(|(row, _)| is_odd(row));
                rows.map(|(_, name)| name.as_str()).collect()
            }
            // Bars name such values themselves.
            Chart::Bars { .. } => Vec::new(),
            Chart::Parallel { axes } => {
                let is_odd = |axis: &&Dimension| axis.values.iter().any(|value| odd(*value));
                axes.iter().filter(is_odd).map(|axis| axis.name.as_str()).collect()
            }
        };
        if names.is_empty() {
            String::new()
        } else {
            format!("Values that are NaN or infinite are left out of {}.", names.join("; "))
        }
    }

    /// Returns the numbers as a table.
    #[must_use]
    pub fn data(&self) -> Grid {
        let left = |name: &str| (name.to_owned(), Align::Left);
        let right = |name: &str| (name.to_owned(), Align::Right);
        match &self.chart {
            Chart::Lines { x, y, lines: groups, .. } | Chart::Points { x, y, groups, .. } => {
                let has_intervals = groups.iter().any(|line| !line.intervals.is_empty());
                let ends = [right("low"), right("high")].into_iter().filter(|_| has_intervals);
                let mut grid = Grid::new([left("of"), right(x), right(y)].into_iter().chain(ends));
                for line in groups {
                    for (at, (x, y)) in line.points.iter().enumerate() {
                        let mut row = vec![line.name.clone(), x.to_string(), y.to_string()];
                        if has_intervals {
                            let ends = line.intervals.get(at).copied().flatten();
                            let end = |end: Option<f64>| end.map(|end| end.to_string()).unwrap_or_default();
                            row.extend([end(ends.map(|ends| ends.0)), end(ends.map(|ends| ends.1))]);
                        }
                        grid.push(row);
                    }
                }
                grid
            }
            Chart::Heatmap { rows, columns, cells, .. } => {
                let corner = format!("{} \\ {}", rows.0, columns.0);
                let headers = columns.1.iter().map(|value| right(value));
                let mut grid = Grid::new([left(&corner)].into_iter().chain(headers));
                for (name, cells) in rows.1.iter().zip(cells) {
                    let cells = cells.iter().map(|cell| cell.map(|value| value.to_string()).unwrap_or_default());
                    grid.push([name.clone()].into_iter().chain(cells).collect());
                }
                grid
            }
            Chart::Bars { value, bars } => {
                let mut grid = Grid::new([left("of"), right(value), right("low"), right("high")]);
                for bar in bars {
                    let end = |end: Option<f64>| end.map(|end| end.to_string()).unwrap_or_default();
                    let (low, high) = (bar.interval.map(|ends| ends.0), bar.interval.map(|ends| ends.1));
                    grid.push(vec![bar.name.clone(), bar.value.to_string(), end(low), end(high)]);
                }
                grid
            }
            Chart::Parallel { axes } => {
                let mut grid = Grid::new(axes.iter().map(|axis| left(&axis.name)));
                for row in 0..axes.first().map_or(0, |axis| axis.values.len()) {
                    grid.push(axes.iter().map(|axis| axis.word(row)).collect());
                }
                grid
            }
        }
    }
}

impl Bar {
    /// Returns its name, with the value if that cannot be drawn.
    #[must_use]
    pub fn words(&self) -> String {
        if self.value.is_finite() { self.name.clone() } else { format!("{}: {}", self.name, self.value) }
    }
}

impl Dimension {
    fn word(&self, row: usize) -> String {
        let value = self.values[row];
        let word = self.words.as_ref().and_then(|words| words.get(value as usize));
        word.cloned().unwrap_or_else(|| value.to_string())
    }
}

/// Returns the texts in the cells of a heatmap: about three significant digits, and as many decimals in every cell.
/// Returns `None` if there are too many cells to read.
#[must_use]
pub fn cell_words(cells: &[Vec<Option<f64>>]) -> Option<Vec<Vec<String>>> {
    const READABLE: usize = 400;
    let values = || cells.iter().flatten().flatten().filter(|value| value.is_finite());
    let digits = match values().fold(0.0f64, |largest, value| largest.max(value.abs())) {
        _ if values().all(|value| value.fract() == 0.0) => 0,
        largest if largest >= 10.0 => 1,
        largest if largest >= 1.0 => 2,
        _ => 3,
    };
    let word = |cell: &Option<f64>| cell.map(|value| format!("{value:.digits$}")).unwrap_or_default();
    let count: usize = cells.iter().map(Vec::len).sum();
    (count <= READABLE).then(|| cells.iter().map(|row| row.iter().map(word).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_is_told() {
        let line = |name: &str, last: f64| Line {
            name: name.to_owned(),
            points: vec![(1.0, 2.0), (2.0, last)],
            ..Line::default()
        };
        let lines = vec![line("lr=0.1", 1.0), line("lr=9", f64::NAN)];
        let chart = Chart::Lines { x: "epoch".to_owned(), y: "loss".to_owned(), lines, log: false };
        let figure = Figure { name: "loss".to_owned(), title: String::new(), caption: String::new(), chart };
        assert_eq!(figure.gaps(), "Values that are NaN or infinite are left out of lr=9.");
        assert!(figure.data().csv().ends_with("lr=9,2,NaN\n"), "{}", figure.data().csv());
        let cells = vec![vec![Some(1.0), Some(f64::NAN)], vec![None, Some(2.0)]];
        assert_eq!(
            cell_words(&cells),
            Some(vec![vec!["1".to_owned(), "NaN".to_owned()], vec![String::new(), "2".to_owned()]])
        );
    }
}
