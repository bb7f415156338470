//! `strata log`: what a stage printed and reported.

use std::{collections::BTreeMap, process::ExitCode};

use serde::Serialize;

use super::{
    Console, Failure,
    args::{CacheArgs, PipelineArgs, TextOrJson},
};
use crate::{
    amount::number,
    digest::StageKey,
    plan::{self, Verdict},
    report::{Styles, one_line},
    stage::Registry,
    store::{Manifest, Series},
};

/// Show what a stage printed when it last ran, and its events: metrics, curves and warnings
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// A stage (all of its instances), an instance or `STAGE@axis=value,…`
    #[arg(value_name = "INSTANCE")]
    instance: String,
    #[command(flatten)]
    cache: CacheArgs,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: TextOrJson,
}

#[derive(Serialize)]
struct Document<'a> {
    pipeline: &'a str,
    stages: Vec<Entry>,
}

/// What is kept of one instance.
#[derive(Serialize)]
struct Entry {
    instance: String,
    key: Option<StageKey>,
    /// What it printed; null if nothing is kept. Bytes that are not UTF-8 are replaced.
    log: Option<String>,
    /// The file that holds it.
    path: Option<String>,
    metrics: BTreeMap<String, f64>,
    series: BTreeMap<String, Series>,
    warnings: Vec<String>,
}

impl Args {
    /// Prints the logs. That nothing is known of any instance is a failure.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let experiment = self.cache.experiment(&self.pipeline, registry)?;
        let (graph, store) = (experiment.graph()?, experiment.store());
        let selection = graph.select(std::slice::from_ref(&self.instance))?;
        let plan = plan::plan(&graph, &selection, &store, false)?;
        let mut stages = Vec::new();
        for &index in &selection.targets {
            let Some(planned) = plan.get(index) else { continue };
            let decision = &planned.decision;
            let made = match &decision.verdict {
                Verdict::Cached(manifest) => Some(manifest.as_ref()),
                _ => None,
            };
            let log = decision.key().map(|key| store.log(&key)).transpose()?.flatten();
            let path = decision.key().filter(|_| log.is_some()).map(|key| store.log_place(&key));
            let log = log.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            if log.is_some() || made.is_some() {
                stages.push(Entry::new(graph.instances[index].name.to_string(), decision.key(), (log, path), made));
            }
        }
        if stages.is_empty() {
            let run = self.pipeline.run(&[&self.instance]);
            return Err(Failure::Failed(format!("`{}` has not run as it is now; `{run}` runs it", self.instance)));
        }
        match self.output {
            TextOrJson::Json => console.json(&Document { pipeline: &graph.pipeline.name, stages })?,
            TextOrJson::Text => {
                let several = stages.len() > 1;
                console.print(&stages.iter().map(|entry| entry.text(several, console)).collect::<String>())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Entry {
    fn new(
        instance: String,
        key: Option<StageKey>,
        (log, path): (Option<String>, Option<String>),
        made: Option<&Manifest>,
    ) -> Self {
        let made = made.cloned();
        let (metrics, series, warnings) =
            made.map(|made| (made.metrics, made.series, made.warnings)).unwrap_or_default();
        Self { instance, key, log, path, metrics, series, warnings }
    }

    fn text(&self, several: bool, console: &Console) -> String {
        let styles = &console.results;
        let mut text = String::new();
        if several {
            text.push_str(&format!("{}\n", Styles::paint(styles.strong, &one_line(&self.instance))));
        }
        match &self.log {
            Some(log) => text.push_str(log),
            None => text.push_str(&Styles::paint(styles.faint, "it printed nothing")),
        }
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let mut event = |line: String| text.push_str(&format!("{}\n", Styles::paint(styles.faint, &line)));
        for warning in &self.warnings {
            event(format!("warning: {}", one_line(warning)));
        }
        for (name, points) in &self.series {
            let points: Vec<String> =
                points.iter().map(|(epoch, value)| format!("{epoch}: {}", number(*value))).collect();
            event(format!("series {}: {}", one_line(name), points.join(", ")));
        }
        for (name, value) in &self.metrics {
            event(format!("metric {}: {}", one_line(name), number(*value)));
        }
        text
    }
}
