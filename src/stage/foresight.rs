//! What is known about artifacts before anything runs.

use std::collections::BTreeMap;

use super::Form;

/// What is known about one artifact before anything runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Foreseen {
    /// The number of its rows (images, feature vectors, …).
    pub rows: Option<usize>,
    /// The levels of features, or those that a network can produce; empty if unknown.
    pub levels: Vec<String>,
    /// Channels, rows and columns of images.
    pub size: Option<[usize; 3]>,
    /// Whether images, or the images of features, have labels.
    pub labelled: Option<bool>,
    /// For a network: the height and width of its images must be multiples of this.
    pub sides: Option<usize>,
    /// For a network: its description as JSON, for the kinds that make or take networks; graphs only pass it on.
    pub network: Option<String>,
    /// For an output whose port has several forms: the form that it has, and the parameter that decides it.
    pub form: Option<(Form, &'static str)>,
    /// For an optional output that is not made: the parameter that leaves it out.
    pub left_out_by: Option<&'static str>,
}

impl Foreseen {
    /// An artifact with this many rows, if the number is known.
    #[must_use]
    pub fn rows(rows: impl Into<Option<usize>>) -> Self {
        Self { rows: rows.into(), ..Self::default() }
    }

    /// A network, or its features, with these levels.
    #[must_use]
    pub fn levels(levels: &[&str]) -> Self {
        Self { levels: levels.iter().map(|&level| level.to_owned()).collect(), ..Self::default() }
    }
}

/// What is known about artifacts, by port. Among the inputs of a stage, every connected port has an entry.
pub type Foresight = BTreeMap<&'static str, Foreseen>;
