//! Why results cannot be shown as requested.

use crate::{amount::listed, graph::TargetError, store::StoreError};

/// Why results cannot be shown as requested.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// An arm, a baseline or a target names nothing.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The cache cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A metric or an axis does not exist, or arms cannot be told apart. The message lists those that exist.
    #[error("{0}")]
    Ask(String),
    /// Instances of an arm have no value of the metric.
    #[error("`{arm}` cannot be compared: {} of its {all} instances have no `{metric}`: {}", missing.len(), listed(missing))]
    Missing {
        /// The arm, as written.
        arm: String,
        /// The metric.
        metric: String,
        /// How many instances the arm has.
        all: usize,
        /// The instances without a value.
        missing: Vec<String>,
    },
    /// Instances of an arm have a value that is not finite.
    #[error("`{arm}` cannot be compared: `{metric}` is not a finite number in {}", listed(broken))]
    NotFinite {
        /// The arm, as written.
        arm: String,
        /// The metric.
        metric: String,
        /// The instances with such a value.
        broken: Vec<String>,
    },
}
