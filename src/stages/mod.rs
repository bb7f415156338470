//! The kinds of stages: thin glue between the contract and `ml`.
//!
//! A new kind is one file and one line in [`registry`].

use crate::{
    ml,
    stage::{Registry, StageError, StageKind},
};

/// Every kind that a pipeline file may use.
#[must_use]
pub fn registry() -> Registry {
    let kinds: [StageKind; 0] = [];
    kinds.into_iter().collect()
}

impl From<ml::Error> for StageError {
    fn from(error: ml::Error) -> Self {
        match error {
            ml::Error::Tensor(error) => Self::Tensor(error),
            ml::Error::Cancelled => Self::Cancelled,
            other => Self::Failed(other.to_string()),
        }
    }
}
