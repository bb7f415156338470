//! `strata why`: why a stage would run, or why it is cached.

use std::process::ExitCode;

use serde::Serialize;

use super::{
    Console, Failure,
    args::TextOrJson,
    look::{Look, LookArgs},
};
use crate::{
    amount::duration,
    diagnostic::Place,
    graph::Graph,
    plan::{
        self, PlanStatus, Reason,
        explain::{Cause, Explanation, Located, Made, Tracer},
    },
    report::{Lines, Styles, one_line},
    stage::Registry,
};

/// Show why a stage would run, or why it is cached: the field, its old and new value, and the line of the file
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    look: LookArgs,
    /// A stage (all of its instances) or an instance
    #[arg(value_name = "STAGE")]
    stage: String,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: TextOrJson,
}

#[derive(Serialize)]
struct Document<'a> {
    pipeline: &'a str,
    stages: &'a [Explanation],
}

impl Args {
    /// Prints the reasons.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let Look { experiment, .. } = self.look.open(registry, console)?;
        let graph = experiment.graph()?;
        let store = experiment.store();
        let selection = graph.select(std::slice::from_ref(&self.stage))?;
        let plan = plan::plan(&graph, &selection, &store, false)?;
        let mut tracer = Tracer::new(&graph, &plan, &store);
        let explained = selection.targets.iter().map(|&index| tracer.explain(index)).collect::<Result<Vec<_>, _>>()?;
        match self.output {
            TextOrJson::Json => console.json(&Document { pipeline: &graph.pipeline.name, stages: &explained })?,
            TextOrJson::Text => {
                let words = Words { graph: &graph, lines: console.lines(), verbose: console.verbose };
                console.print(&explained.iter().map(|one| words.explanation(one)).collect::<String>())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

struct Words<'a, 't> {
    graph: &'a Graph<'t>,
    lines: Lines,
    verbose: bool,
}

impl Words<'_, '_> {
    fn explanation(&self, one: &Explanation) -> String {
        let styles = &self.lines.styles;
        let (word, style) = match one.status {
            PlanStatus::Cached => ("cached", styles.cached),
            PlanStatus::Run => ("run", styles.work),
            PlanStatus::Waiting => ("waiting", styles.held),
        };
        let mut text =
            format!("{}  {}\n", self.lines.word(word, style), Styles::paint(styles.strong, &one_line(&one.instance)));
        if let Some(made) = &one.made {
            text.push_str(&self.made(one, made));
        }
        // An instance that waits is explained by its causes, whose paths include what it waits for.
        for located in &one.reasons {
            if one.causes.is_empty() || !matches!(located.reason, Reason::Waiting { .. }) {
                text.push_str(&self.located(located, 10));
            }
        }
        for cause in &one.causes {
            text.push_str(&self.cause(cause));
        }
        text
    }

    fn made(&self, one: &Explanation, made: &Made) -> String {
        let since = made.provenance.finished.split('.').next().unwrap_or_default().replace('T', " ");
        let took = duration(made.seconds);
        let key = one.key.map(|key| key.short()).unwrap_or_default();
        let recipe = &made.recipe;
        let mut text = format!(
            "{:10}since {since} UTC, made by {} in {took}\n{:10}key {key}: nothing in its recipe changed (kind `{}` version {}, \
             {} parameters, {} inputs)\n",
            "",
            one_line(&made.provenance.instance),
            "",
            recipe.kind,
            recipe.version,
            recipe.params.as_object().map_or(0, serde_json::Map::len),
            recipe.inputs.len() + recipe.sources.len(),
        );
        if self.verbose {
            let recipe = serde_json::to_string_pretty(recipe).unwrap_or_default();
            text.extend(recipe.lines().map(|line| format!("{:10}{line}\n", "")));
        }
        text
    }

    fn cause(&self, cause: &Cause) -> String {
        let mut text = format!("{:10}because of {}\n", "", one_line(&cause.path.join(" -> ")));
        for located in &cause.reasons {
            text.push_str(&self.located(located, 12));
        }
        text
    }

    fn located(&self, located: &Located, indent: usize) -> String {
        let mut text = format!("{:indent$}{}\n", "", one_line(&located.reason.to_string()));
        if let Some(place) = &located.place {
            let Place { file, line, column } = place;
            let place = format!("--> {file}:{line}:{column}");
            let place = Styles::paint(self.lines.styles.faint, &place);
            let line = self.line(file, *line);
            text.push_str(&format!("{:indent$}{place}{line}\n", ""));
        }
        text
    }

    /// The text of a line of the pipeline file.
    fn line(&self, file: &str, number: usize) -> String {
        let first = self.graph.pipeline.sources.texts().next();
        let found = first.filter(|_| file != "command line").and_then(|(_, text)| text.lines().nth(number - 1));
        found.map(|line| format!("  {}", line.trim())).unwrap_or_default()
    }
}
