//! What can go wrong while computing.

use std::path::PathBuf;

use super::data::{Fault, Faults};

/// An error of the `ml` floor. Messages are fragments that fit behind "failed to …:".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor operation failed (shapes, memory, device).
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A file or folder could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Files of a dataset are not as they should be: everything that is wrong, with remedies.
    #[error("{0}")]
    Data(Faults),
    /// The inputs do not fit each other or the parameters.
    #[error("{0}")]
    Invalid(String),
    /// A number that should be finite is not.
    #[error("{} in {what}; the training that it comes from may have diverged", noun(*value))]
    NotFinite {
        /// Where it was found: a parameter, the features of a row, the logits of an image.
        what: String,
        /// The number.
        value: f64,
    },
    /// A training has left the finite numbers.
    #[error("{what} became {} at epoch {epoch}{}; {remedy}", word(*value), of_step(*step))]
    Diverged {
        /// What is not finite: the loss, a parameter, a value of the evaluation.
        what: String,
        /// The number that it became.
        value: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1; none where the end of the epoch showed it.
        step: Option<usize>,
        /// What may help.
        remedy: String,
    },
    /// The observer asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Data(Faults(vec![fault]))
    }
}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::Data(faults)
    }
}

/// Result of the `ml` floor.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A number that is not finite, in words.
#[must_use]
pub fn word(value: f64) -> &'static str {
    if value.is_nan() { "NaN" } else { "infinite" }
}

fn noun(value: f64) -> &'static str {
    if value.is_nan() { "NaN" } else { "an infinite number" }
}

fn of_step(step: Option<usize>) -> String {
    step.map(|step| format!(", step {step}")).unwrap_or_default()
}
