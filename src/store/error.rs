//! What can go wrong in a cache.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::ArtifactError;

/// What can go wrong with a cache. Messages are lowercase sentences that name the path.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "write", "read", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An object or manifest does not hold what its name says.
    #[error("{} is corrupt: {message}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// An artifact could not be turned into bytes.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io { action, path: path.to_owned(), source }
}
