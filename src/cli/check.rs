//! `strata check`: every mistake in a file, before any work.

use std::{collections::BTreeSet, process::ExitCode};

use serde::Serialize;

use super::{
    Console, Failure,
    args::{PipelineArgs, TextOrJson},
    open,
};
use crate::stage::Registry;

/// Check a pipeline file: every mistake with its line, before any work
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// The form of the answer
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: TextOrJson,
}

#[derive(Serialize)]
struct Answer<'a> {
    pipeline: &'a str,
    stages: usize,
    instances: usize,
    axes: usize,
}

impl Args {
    /// Prints what the file holds; mistakes are a failure.
    pub fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let texts = open::texts(&self.pipeline)?;
        let graph = texts.graph(registry, console)?;
        let stages: BTreeSet<&str> = graph.instances.iter().map(|instance| instance.stage.as_str()).collect();
        let answer = Answer {
            pipeline: &graph.pipeline.name,
            stages: stages.len(),
            instances: graph.instances.len(),
            axes: graph.pipeline.axes.len(),
        };
        match self.output {
            TextOrJson::Json => console.json(&answer)?,
            TextOrJson::Text => console.print(&format!(
                "ok: {}, {}, {}\n",
                counted(answer.stages, "stage", "stages"),
                counted(answer.instances, "instance", "instances"),
                counted(answer.axes, "axis", "axes"),
            ))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
