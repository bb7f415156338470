//! What can go wrong in a cache.

use std::{io, path::Path};

use super::ArtifactError;

/// What can go wrong with a cache. Messages are lowercase sentences that name the place.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {action} {place}: {source}")]
    Io {
        /// What was tried: "write", "read", …
        action: &'static str,
        /// The file or folder, or the URL of a blob.
        place: String,
        /// What the system said.
        source: io::Error,
    },
    /// An object or manifest does not hold what its name says.
    #[error("{place} is corrupt: {message}")]
    Corrupt {
        /// The file, or the URL of the blob.
        place: String,
        /// What is wrong with it.
        message: String,
    },
    /// An artifact could not be turned into bytes.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

/// Adds the operation and the path to an error of the system.
pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io { action, place: path.display().to_string(), source }
}
