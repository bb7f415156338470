//! What can be known of artifacts before anything runs.

use std::collections::BTreeMap;

/// What is known of one artifact before anything runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Foreseen {
    /// How many rows (images, feature vectors, …) it has.
    pub rows: Option<usize>,
    /// The levels of features, or those that a network gives; none where they are not known.
    pub levels: Vec<String>,
    /// Channels, rows and columns of images.
    pub size: Option<[usize; 3]>,
    /// For a network: what the sides of its images must be multiples of.
    pub sides: Option<usize>,
    /// For an optional output that is not made: the parameter that leaves it out.
    pub left_out_by: Option<&'static str>,
}

impl Foreseen {
    /// An artifact of so many rows, where that is known.
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

/// What is known of artifacts by port. At the inputs of a stage every port that is joined to something has an entry.
pub type Foresight = BTreeMap<&'static str, Foreseen>;
