//! `strata log`: what a stage printed and reported, and for scripts also its parameters and where its outputs are.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{
    Console, Failure,
    args::TextOrJson,
    look::{Look, LookArgs},
};
use crate::{
    amount::number,
    digest::{ArtifactHash, StageKey},
    graph::{Axes, Instance},
    plan::{self, Verdict},
    report::{Styles, one_line},
    stage::{Form, Registry},
    store::{Manifest, Real, Series, Store, StoreError, reals},
};

/// Show what a stage printed when it last ran, and its events: metrics, curves and warnings
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    look: LookArgs,
    /// A stage (all of its instances), an instance or `STAGE@axis=value,…`
    #[arg(value_name = "INSTANCE")]
    instance: String,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: TextOrJson,
}

#[derive(Serialize)]
struct Document<'a> {
    pipeline: &'a str,
    stages: Vec<Entry<'a>>,
    /// The instances that were asked for and of which nothing is kept.
    missing: Vec<&'a str>,
}

/// What is kept of one instance.
#[derive(Serialize)]
struct Entry<'a> {
    stage: &'a str,
    instance: &'a str,
    kind: &'a str,
    axes: &'a Axes,
    key: Option<StageKey>,
    /// Whether its result is in the cache; if not, there is only the log of a run that failed or was stopped.
    cached: bool,
    /// All parameters, those without effect too.
    params: Value,
    outputs: BTreeMap<String, Output>,
    /// What it printed; null if nothing is kept. Bytes that are not UTF-8 are replaced.
    log: Option<String>,
    /// The file that holds it.
    path: Option<String>,
    #[serde(serialize_with = "reals::serialize")]
    metrics: BTreeMap<String, f64>,
    #[serde(serialize_with = "curves")]
    series: BTreeMap<String, Series>,
    warnings: Vec<String>,
}

/// An artifact or file that it made.
#[derive(Serialize)]
struct Output {
    /// The form that the kind declares, if it is one.
    form: Option<Form>,
    hash: ArtifactHash,
    bytes: u64,
    /// The file that holds it; null if it is evicted, or the cache is not a local folder.
    path: Option<PathBuf>,
}

fn curves<S: Serializer>(series: &BTreeMap<String, Series>, to: S) -> Result<S::Ok, S::Error> {
    let curve = |points: &Series| points.iter().map(|(epoch, value)| (*epoch, Real(*value))).collect::<Vec<_>>();
    to.collect_map(series.iter().map(|(name, points)| (name, curve(points))))
}

impl Args {
    /// Prints the logs. That nothing is known of any instance is a failure.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let Look { experiment, pipeline, .. } = self.look.open(registry, console)?;
        let (graph, store) = (experiment.graph()?, experiment.store());
        let selection = graph.select(std::slice::from_ref(&self.instance))?;
        let plan = plan::plan(&graph, &selection, &store, false)?;
        let (mut stages, mut missing) = (Vec::new(), Vec::new());
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
                stages.push(Entry::new(&graph.instances[index], decision.key(), (log, path), (made, &store))?);
            } else {
                missing.push(graph.instances[index].name.as_ref());
            }
        }
        if stages.is_empty() {
            let run = pipeline.run(&[&self.instance]);
            return Err(Failure::Failed(format!("`{}` has not run as it is now; `{run}` runs it", self.instance)));
        }
        match self.output {
            TextOrJson::Json => console.json(&Document { pipeline: &graph.pipeline.name, stages, missing })?,
            TextOrJson::Text => {
                let several = stages.len() > 1;
                console.print(&stages.iter().map(|entry| entry.text(several, console)).collect::<String>())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl<'a> Entry<'a> {
    fn new(
        instance: &'a Instance<'_>,
        key: Option<StageKey>,
        (log, path): (Option<String>, Option<String>),
        (made, store): (Option<&Manifest>, &Store),
    ) -> Result<Self, StoreError> {
        let mut outputs = BTreeMap::new();
        for (port, made) in made.iter().flat_map(|made| &made.outputs) {
            let path = store.object_path(&made.hash)?.map(|path| std::path::absolute(&path).unwrap_or(path));
            let form =
                instance.kind.output(port).and_then(|port| if let [form] = port.forms { Some(*form) } else { None });
            outputs.insert(port.clone(), Output { form, hash: made.hash, bytes: made.bytes, path });
        }
        let cached = made.is_some();
        let made = made.cloned();
        let (metrics, series, warnings) =
            made.map(|made| (made.metrics, made.series, made.warnings)).unwrap_or_default();
        Ok(Self {
            stage: &instance.stage,
            instance: instance.name.as_ref(),
            kind: instance.kind.name,
            axes: &instance.axes,
            key,
            cached,
            params: instance.work.params(),
            outputs,
            log,
            path,
            metrics,
            series,
            warnings,
        })
    }

    fn text(&self, several: bool, console: &Console) -> String {
        let styles = &console.results;
        let mut text = String::new();
        if several {
            text.push_str(&format!("{}\n", Styles::paint(styles.strong, &one_line(self.instance))));
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
