//! Why an experiment cannot be read, planned or run.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::listener::Refusal;
use crate::{
    diagnostic::{Diagnostic, Place, Sources},
    graph::TargetError,
    search::SearchError,
    store::StoreError,
};

/// Why an experiment cannot be read, planned or run.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// The file cannot be read.
    #[error("failed to read the pipeline file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file, or a change to it, has mistakes.
    #[error("{}", Mistake::closing(mistakes, file))]
    Mistakes {
        /// All mistakes.
        mistakes: Vec<Mistake>,
        /// The file.
        file: PathBuf,
    },
    /// A target names nothing.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Narrow intervals are requested for a sweep that is not repeated over seeds.
    #[error(
        "`--until-ci` needs a sweep that is repeated over seeds: add `seeds = 3` and `vary = [\"…\"]` to the sweep"
    )]
    NoSeeds,
    /// A listener refused the run.
    #[error("{0}")]
    Refused(Refusal),
    /// A search has no score, or the cache cannot be read or written.
    #[error(transparent)]
    Search(#[from] SearchError),
}

impl From<StoreError> for ExperimentError {
    fn from(error: StoreError) -> Self {
        Self::Search(SearchError::Store(error))
    }
}

/// A mistake or a warning about a pipeline file or about a change to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mistake {
    /// What is wrong.
    pub message: String,
    /// Its place in the texts.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// A hint how to correct it.
    pub help: Option<String>,
    /// The whole message, with the source lines that it refers to.
    #[serde(skip)]
    pub rendered: String,
    /// The same text in colours.
    #[serde(skip)]
    pub styled: String,
}

impl Mistake {
    /// Makes a mistake from a diagnostic, with its place and its source lines.
    #[must_use]
    pub fn new(diagnostic: &Diagnostic, sources: &Sources) -> Self {
        Self {
            message: diagnostic.message.clone(),
            place: sources.place(&diagnostic.span),
            help: diagnostic.help.clone(),
            rendered: diagnostic.render(sources, false),
            styled: diagnostic.render(sources, true),
        }
    }

    pub(super) fn closing(mistakes: &[Self], file: &Path) -> String {
        let count = match mistakes.len() {
            1 => "1 mistake".to_owned(),
            n => format!("{n} mistakes"),
        };
        format!("{count} in {}; nothing was run", file.display())
    }
}
