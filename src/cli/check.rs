//! `strata check`: list every mistake in a file, before anything runs.

use std::{collections::BTreeSet, process::ExitCode};

use serde::Serialize;

use super::{
    Console, Failure,
    args::{PipelineArgs, TextOrJson},
};
use crate::{
    experiment::{ExperimentError, Mistake},
    graph::Graph,
    stage::Registry,
};

/// Check a pipeline file: list every mistake with its line, before anything runs
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: TextOrJson,
}

#[derive(Serialize)]
struct Answer<'a> {
    pipeline: &'a str,
    stages: usize,
    instances: usize,
    axes: usize,
    /// Stages whose training more epochs would continue, and stages whose training would start again.
    extends: Extends<'a>,
    /// Always empty: for a file with mistakes, the answer is a [`Refusal`].
    mistakes: [(); 0],
    /// Parts of the file that work but are probably not meant.
    warnings: Vec<Mistake>,
}

#[derive(Serialize)]
struct Refusal<'a> {
    mistakes: &'a [Mistake],
}

#[derive(Default, Serialize)]
struct Extends<'a> {
    yes: BTreeSet<&'a str>,
    no: BTreeSet<&'a str>,
}

impl Args {
    /// Prints what the file contains. Mistakes are a failure; with JSON they are printed as the answer, too.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let experiment = self.pipeline.experiment(registry)?;
        let graph = match (experiment.graph(), experiment.mistakes_of_other_sweeps()?) {
            (Ok(graph), mistakes) if mistakes.is_empty() => graph,
            (Ok(_), mistakes) => return self.refuse(mistakes, console),
            (Err(ExperimentError::Mistakes { mut mistakes, .. }), more) => {
                mistakes.extend(more);
                return self.refuse(mistakes, console);
            }
            (Err(error), _) => return Err(error.into()),
        };
        console.notes(&graph);
        let stages: BTreeSet<&str> = graph.instances.iter().map(|instance| instance.stage.as_str()).collect();
        let answer = Answer {
            pipeline: &graph.pipeline.name,
            stages: stages.len(),
            instances: graph.instances.len(),
            axes: graph.pipeline.axes.len(),
            extends: extends(&graph),
            mistakes: [],
            warnings: graph.warnings.iter().map(|found| Mistake::new(found, graph.pipeline.sources)).collect(),
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
        if self.output == TextOrJson::Text && !console.quiet {
            console.print(&answer.extends.words())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn refuse(&self, found: Vec<Mistake>, console: &Console) -> Result<ExitCode, Failure> {
        // A mistake that all sweeps share is found once for each of them.
        let mut mistakes: Vec<Mistake> = Vec::new();
        for mistake in found {
            if !mistakes.contains(&mistake) {
                mistakes.push(mistake);
            }
        }
        if self.output == TextOrJson::Json {
            console.json(&Refusal { mistakes: &mistakes })?;
        }
        Err(ExperimentError::Mistakes { mistakes, file: self.pipeline.file.clone() }.into())
    }
}

fn extends<'a>(graph: &'a Graph<'_>) -> Extends<'a> {
    let mut extends = Extends::default();
    for instance in &graph.instances {
        match instance.work.extent() {
            Some(extent) if extent.extends => extends.yes.insert(instance.stage.as_str()),
            Some(_) => extends.no.insert(instance.stage.as_str()),
            None => continue,
        };
    }
    extends
}

impl Extends<'_> {
    fn words(&self) -> String {
        let list = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
        let mut words = String::new();
        if !self.yes.is_empty() {
            words.push_str(&format!("more epochs go on where fewer ended: {}\n", list(&self.yes)));
        }
        if !self.no.is_empty() {
            words.push_str(&format!(
                "more epochs start anew: {} (the learning rate falls over all epochs; `schedule.horizon` fixes that)\n",
                list(&self.no)
            ));
        }
        words
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
