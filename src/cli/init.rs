//! `strata init`: write a pipeline to start from.

use std::{path::PathBuf, process::ExitCode};

use super::{Console, Failure};
use crate::report::files;

/// A pipeline with one example each of a stage, a link, a parameter and an axis.
const STARTER: &str = include_str!("starter.toml");

/// Write a small commented pipeline that runs as it is, on generated images
#[derive(clap::Args)]
pub(super) struct Args {
    /// The file to write; an existing file is left alone
    #[arg(value_name = "FILE", default_value = "pipelines/starter.toml", value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
}

impl Args {
    /// Writes the file, and says what to do next.
    pub(super) fn execute(&self, console: &Console) -> Result<ExitCode, Failure> {
        let file = self.file.display();
        if let Some(folder) = self.file.parent() {
            files::make_folder(folder)?;
        }
        if !files::create(&self.file, STARTER.as_bytes())? {
            return Err(Failure::Usage(format!("{file} is there already; `strata init FILE` writes another")));
        }
        if !console.quiet {
            console.print(&format!("wrote {file}; now: strata run {file}\n"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
