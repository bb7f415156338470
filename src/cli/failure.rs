//! Why a verb came to no good end, and the exit code that says so.

use std::{io, path::Path, process::ExitCode};

use serde::Serialize;

use super::Console;
use crate::{
    diagnostic::{Diagnostic, Place, Sources},
    report::Styles,
    store::StoreError,
};

/// A stage failed, or the system refused.
pub const FAILED: u8 = 1;
/// The command line or the pipeline file is wrong.
pub const WRONG: u8 = 2;
/// `plan --exit-code` found work to do.
pub const WORK: u8 = 3;
/// The run was interrupted.
pub const INTERRUPTED: u8 = 130;

/// Why a verb came to no good end.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line asks for something that is not there.
    #[error("{0}")]
    Usage(String),
    /// The pipeline file has mistakes.
    #[error("{closing}")]
    Mistakes {
        /// Each of them.
        mistakes: Vec<Mistake>,
        /// How many there are, and where.
        closing: String,
    },
    /// The cache cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Anything else that the system refused, or a request that cannot be met now.
    #[error("{0}")]
    Failed(String),
    /// Standard output cannot be written.
    #[error("failed to write to standard output: {0}")]
    Output(#[from] io::Error),
}

/// A mistake in a pipeline file or in an argument that changes it, or a warning about one.
#[derive(Debug, PartialEq, Serialize)]
pub struct Mistake {
    /// What is wrong.
    pub message: String,
    /// Where.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// What would be right.
    pub help: Option<String>,
    /// All of it with the lines it is about, as people read it.
    #[serde(skip)]
    pub rendered: String,
}

impl Mistake {
    /// A diagnostic with its place and its lines.
    pub fn new(diagnostic: &Diagnostic, sources: &Sources, color: bool) -> Self {
        Self {
            message: diagnostic.message.clone(),
            place: sources.place(&diagnostic.span),
            help: diagnostic.help.clone(),
            rendered: diagnostic.render(sources, color),
        }
    }
}

impl Failure {
    /// That a file has mistakes.
    pub fn mistakes(mistakes: Vec<Mistake>, file: &Path) -> Self {
        let count = match mistakes.len() {
            1 => "1 mistake".to_owned(),
            n => format!("{n} mistakes"),
        };
        let closing = format!("{count} in {}; nothing was run", file.display());
        Self::Mistakes { mistakes, closing }
    }

    /// Says what happened on standard error.
    pub fn report(&self, console: &Console) -> ExitCode {
        let code = match self {
            Self::Usage(_) | Self::Mistakes { .. } => WRONG,
            Self::Store(_) | Self::Failed(_) | Self::Output(_) => FAILED,
        };
        if let Self::Mistakes { mistakes, .. } = self {
            for mistake in mistakes {
                console.note(&format!("{}\n", mistake.rendered));
            }
        }
        let error = Styles::paint(console.errors.failed, "error");
        console.note(&format!("{error}: {self}"));
        ExitCode::from(code)
    }
}
