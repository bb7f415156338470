//! What can go wrong while computing.

use std::path::PathBuf;

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
    Data(super::data::Faults),
    /// The inputs do not fit each other or the parameters.
    #[error("{0}")]
    Invalid(String),
    /// The loss is no longer a finite number.
    #[error("the loss became {value} at epoch {epoch}, step {step}; a lower learning rate may help")]
    Diverged {
        /// The loss.
        value: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1.
        step: usize,
    },
    /// The observer asked to stop.
    #[error("cancelled")]
    Cancelled,
}

/// Result of the `ml` floor.
pub type Result<T, E = Error> = std::result::Result<T, E>;
