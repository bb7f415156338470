//! The error of this room.

use std::path::PathBuf;

use super::data::{Fault, Faults};

/// An error of `ml`. Messages are fragments that fit after "failed to …:".
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
        /// The error of the system.
        source: std::io::Error,
    },
    /// The files of a dataset have faults; the message names all of them with remedies.
    #[error("{0}")]
    Data(Faults),
    /// The inputs do not fit each other or the parameters.
    #[error("{0}")]
    Invalid(String),
    /// A number that should be finite is not.
    #[error("{} in {what}; the training that it comes from may have diverged", noun(*value))]
    NotFinite {
        /// The place of the number: a parameter, the features of a row, the logits of an image.
        what: String,
        /// The number.
        value: f64,
    },
    /// A training diverged: a number is no longer finite.
    #[error("{what} became {} at epoch {epoch}{}; {remedy}", word(*value), of_step(*step))]
    Diverged {
        /// The name of the number: the loss, a parameter, a value of the evaluation.
        what: String,
        /// The number.
        value: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1; `None` if it was noticed at the end of the epoch.
        step: Option<usize>,
        /// What the user should try.
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

/// A result of `ml`.
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
