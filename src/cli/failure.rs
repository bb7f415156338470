//! Why a verb failed, and the exit code for it.

use std::{io, process::ExitCode};

use super::Console;
use crate::{
    experiment::{ExperimentError, Mistake},
    graph::TargetError,
    report::{Styles, files::FileError},
    results::ResultsError,
    search::SearchError,
    store::StoreError,
};

/// A stage failed, or the system refused.
pub(super) const FAILED: u8 = 1;
/// The command line or the pipeline file is wrong.
pub(super) const WRONG: u8 = 2;
/// `plan --exit-code` found work to do.
pub(super) const WORK: u8 = 3;
/// The run was interrupted.
pub(super) const INTERRUPTED: u8 = 130;

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The command line asks for something that does not exist or makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The pipeline file has mistakes.
    #[error("{closing}")]
    Mistakes {
        /// Each of them.
        mistakes: Vec<Mistake>,
        /// The last line: how many there are, and in which file.
        closing: String,
    },
    /// The cache cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Any other failure: the system refused something, or the request cannot be met now.
    #[error("{0}")]
    Failed(String),
    /// Standard output cannot be written.
    #[error("failed to write to standard output: {0}")]
    Output(#[from] io::Error),
}

impl From<ExperimentError> for Failure {
    fn from(error: ExperimentError) -> Self {
        let closing = error.to_string();
        match error {
            ExperimentError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Self::Usage(format!("{closing}\n`strata init` writes one to start from"))
            }
            ExperimentError::Read { .. } | ExperimentError::NoSeeds => Self::Usage(closing),
            ExperimentError::Mistakes { mistakes, .. } => Self::Mistakes { mistakes, closing },
            ExperimentError::Refused(_) => Self::Failed(closing),
            ExperimentError::Target(error) => error.into(),
            ExperimentError::Search(error) => error.into(),
        }
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<SearchError> for Failure {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::NoMetric(message) => Self::Usage(message),
            SearchError::Store(error) => Self::Store(error),
        }
    }
}

impl From<ResultsError> for Failure {
    fn from(error: ResultsError) -> Self {
        match error {
            ResultsError::Target(error) => error.into(),
            ResultsError::Store(error) => Self::Store(error),
            ResultsError::Ask(message) => Self::Usage(message),
            error @ (ResultsError::Missing { .. } | ResultsError::NotFinite { .. }) => Self::Failed(error.to_string()),
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Refused { .. } => Self::Failed(error.to_string()),
            FileError::Occupied(_) => Self::Usage(error.to_string()),
        }
    }
}

impl Failure {
    /// Prints the failure to standard error, and returns its exit code.
    pub(super) fn report(&self, console: &Console) -> ExitCode {
        let code = match self {
            Self::Usage(_) | Self::Mistakes { .. } => WRONG,
            Self::Store(_) | Self::Failed(_) | Self::Output(_) => FAILED,
        };
        if let Self::Mistakes { mistakes, .. } = self {
            for mistake in mistakes {
                let text = if console.color { &mistake.styled } else { &mistake.rendered };
                console.note(&format!("{text}\n"));
            }
        }
        let error = Styles::paint(console.errors.failed, "error");
        console.note(&format!("{error}: {self}"));
        ExitCode::from(code)
    }
}
