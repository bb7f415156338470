//! `strata schema`: what a pipeline file may hold, for editors.

use std::process::ExitCode;

use super::{Console, Failure};
use crate::{pipeline, stage::Registry};

/// Print the JSON schema of pipeline files, with every kind and parameter documented
#[derive(clap::Args)]
#[command(after_help = "An editor with TOML support uses it where the first line of a file says so:\n\n  \
#:schema ./pipeline.schema.json")]
pub struct Args {}

impl Args {
    /// Prints the schema.
    pub fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        console.json(&pipeline::schema(registry))?;
        Ok(ExitCode::SUCCESS)
    }
}
