//! Why a search cannot go on.

use crate::store::StoreError;

/// Why a search cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// No result has the metric that the search goes by; the message says what there is.
    #[error("{0}")]
    NoMetric(String),
    /// The cache cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}
