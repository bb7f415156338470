//! `strata schema`: describe what a pipeline file may contain, for editors and for people.

use std::process::ExitCode;

use super::{Console, Failure};
use crate::{diagnostic::suggest, pipeline, stage::Registry};

/// Print the JSON schema of pipeline files, or a stage of one kind as TOML: its ports, every parameter with its default
#[derive(clap::Args)]
#[command(after_help = "An editor with TOML support uses the schema where the first line of a file says so:\n\n  \
#:schema ./pipeline.schema.json")]
pub(super) struct Args {
    /// A kind of stage
    #[arg(value_name = "KIND")]
    kind: Option<String>,
}

impl Args {
    /// Prints the schema, or a stage of the kind.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        match &self.kind {
            None => console.json(&pipeline::schema(registry))?,
            Some(name) => {
                let Some(kind) = registry.get(name) else {
                    let names: Vec<&str> = registry.kinds().map(|kind| kind.name).collect();
                    let help = match suggest(name, names.iter().copied()) {
                        Some(like) => format!("did you mean `{like}`?"),
                        None => format!("there are {}", pipeline::quoted(&names)),
                    };
                    return Err(Failure::Usage(format!("there is no kind `{name}`; {help}")));
                };
                console.print(&pipeline::kind_toml(kind))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
