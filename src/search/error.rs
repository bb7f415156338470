//! Why a search cannot continue.

use crate::store::StoreError;

/// Why a search cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// No result has the metric that the search uses. The message lists those that exist.
    #[error("{0}")]
    NoMetric(String),
    /// The cache cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}
