//! `strata run`: resolve, run, show.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    process::ExitCode,
    time::Instant,
};

use serde::{Serialize, Serializer};

use super::{
    Console, Failure,
    archive::StoredResults,
    args::{CacheArgs, Format, PipelineArgs, SelectArgs, WorkArgs},
    failure, open, plan,
    precision::Precision,
    results::Results,
    signals, table,
    turns::Turns,
};
use crate::{
    digest::{ArtifactHash, StageKey},
    engine::{self, Counts, Event, Graph, Options, Reason, Report, Reporter, Status},
    report::{JsonLines, Lines, Mlflow, Plain, Tensorboard, Terminal, bytes, duration, summary},
    stage::Registry,
    store::{Store, reals},
};

/// Run a pipeline as far as the cache does not hold its results, then show the table of results
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    work: WorkArgs,
    #[command(flatten)]
    cache: CacheArgs,
    /// Show what would run, as `strata plan` does, and run nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Add seeds until no 95 % interval over them is wider than this (`0.01`), or the budget is spent
    #[arg(long, value_name = "WIDTH", value_parser = above_zero)]
    until_ci: Option<f64>,
    /// The metric whose intervals `--until-ci` looks at
    #[arg(long, value_name = "NAME", default_value = "test_accuracy", requires = "until_ci")]
    metric: String,
    /// Write every event to this file as it happens, one JSON object a line
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    events: Option<PathBuf>,
    /// Write metrics, curves and images below this folder, for TensorBoard to show while they come
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    tensorboard: Option<PathBuf>,
    /// Log what runs to the MLflow server at this address (`http://127.0.0.1:5000`)
    #[arg(long, value_name = "URL", value_hint = clap::ValueHint::Url)]
    mlflow: Option<String>,
    /// The form of the results
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

impl Args {
    /// Runs and prints.
    pub fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let precision = self.until_ci.map(|width| Precision { width, metric: self.metric.clone() });
        let mut turns = None;
        let mut pipeline = self.pipeline.clone();
        let text = open::read(&pipeline.file)?;
        loop {
            let texts = open::texts_of(&pipeline, text.clone());
            let graph = texts.graph(registry, console)?;
            if precision.is_some() && graph.pipeline.repeats.is_none() {
                let help = "add `seeds = 3` and `vary = [\"…\"]` to the sweep";
                let message = format!("`--until-ci` needs a sweep that is repeated over seeds: {help}");
                return Err(Failure::Usage(message));
            }
            let wanted = self.select.select(&graph)?;
            let store = self.cache.open(&graph.pipeline.root);
            if turns.is_none() {
                open::Texts::notes(&graph, console);
            }
            note_needs(&graph, &self.work, console);
            if self.dry_run {
                let plan = plan::plan(&graph, &wanted, &store, self.select.force, &|words| console.remark(words))?;
                plan::show(&graph, &plan, self.output, console)?;
                return Ok(ExitCode::SUCCESS);
            }
            let turns: &mut Turns<'_> = match &mut turns {
                Some(turns) => turns,
                None => {
                    let reporters = self.reporters(&store, console)?;
                    turns.insert(Turns::new(options(&self.work, self.select.force)?, reporters, console))
                }
            };
            let report = turns.run(&graph, &wanted, &store)?;
            if let Some(precision) = &precision
                && let Some(seeds) = turns.more_seeds(precision, &graph, &report)?
            {
                pipeline.seeds = Some(seeds);
                continue;
            }
            turns.end(&graph, &report, precision.is_some() || graph.pipeline.halving.is_some());
            self.show(&graph, &report, &store, console)?;
            return Ok(ExitCode::from(match report.counts {
                _ if report.interrupted => failure::INTERRUPTED,
                counts if counts.failed > 0 || turns.in_vain => failure::FAILED,
                _ => 0,
            }));
        }
    }

    fn reporters(&self, store: &Store, console: &Console) -> Result<Vec<Box<dyn Reporter>>, Failure> {
        let mut all: Vec<Box<dyn Reporter>> = Vec::new();
        if let Some(path) = &self.events {
            let refused = |error| Failure::Failed(format!("failed to write events to {}: {error}", path.display()));
            all.push(Box::new(JsonLines::create(path).map_err(refused)?));
        }
        if let Some(folder) = &self.tensorboard {
            all.push(Box::new(Tensorboard::new(folder, Box::new(StoredResults::new(store)))));
        }
        if let Some(url) = &self.mlflow {
            let refused = |error| Failure::Failed(format!("failed to start the thread for MLflow: {error}"));
            all.push(Box::new(Mlflow::new(url).map_err(refused)?));
        }
        all.extend(reporters(console, self.work.jobs));
        Ok(all)
    }

    fn show(&self, graph: &Graph<'_>, report: &Report, store: &Store, console: &Console) -> Result<(), Failure> {
        if self.output == Format::Json {
            return console.json(&document(graph, report, store));
        }
        let results = Results::of(graph, report);
        table::show(&results, self.output, console)?;
        let mut line = summary(&report.counts, report.seconds, &console.results);
        let reused = reused(graph, report);
        if reused >= 1.0 {
            line.push_str(&format!("; {} of work reused", duration(reused)));
        }
        match (self.output, console.quiet) {
            (_, true) => {}
            (Format::Text, _) => console.print(&format!("{line}\n"))?,
            _ => console.note(&line),
        }
        if report.interrupted && !console.quiet {
            console.note(
                "interrupted; finished work and the state of what ran are in the cache: run the same command to go on",
            );
        }
        Ok(())
    }
}

/// Seconds that the cached work took when it was done.
fn reused(graph: &Graph<'_>, report: &Report) -> f64 {
    let cached = report.outcomes.iter().filter(|outcome| outcome.status == Status::Cached);
    let once = cached.filter(|outcome| graph.instances[outcome.index].same_as.is_none());
    once.filter_map(|outcome| Some(outcome.manifest.as_ref()?.seconds)).sum()
}

fn above_zero(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|width| *width > 0.0).ok_or_else(|| "must be a number above 0".to_owned())
}

/// How work is done, and stopped by a signal.
pub fn options(work: &WorkArgs, force: bool) -> Result<Options, Failure> {
    Ok(Options {
        jobs: work.jobs,
        threads: work.threads(),
        memory: work.memory(),
        device: work.device()?,
        force,
        keep_going: work.keep_going,
        save_every: work.save_every,
        until: work.budget.and_then(|budget| Instant::now().checked_add(budget)),
        failed: BTreeMap::new(),
        cancel: signals::stop_flag()?,
    })
}

/// Says which stages need more memory than there may be: they run alone.
fn note_needs(graph: &Graph<'_>, work: &WorkArgs, console: &Console) {
    let most = work.memory();
    let mut seen = BTreeSet::new();
    for instance in graph.instances.iter().filter(|instance| instance.needs.memory > most && !console.quiet) {
        if seen.insert(&instance.stage) {
            let (stage, needs) = (&instance.stage, bytes(instance.needs.memory));
            console.note(&format!("note: `{stage}` needs {needs}, more than `--memory` allows; it runs alone"));
        }
    }
}

/// What people see of a run.
pub fn reporters(console: &Console, jobs: usize) -> Vec<Box<dyn Reporter>> {
    if console.draws() {
        return vec![Box::new(Terminal::new(console.errors, console.quiet, jobs))];
    }
    let plain = Plain::new(io::stderr(), Lines { styles: console.errors, width: None });
    vec![if console.quiet { Box::new(OnlyFailures(plain)) } else { Box::new(plain) }]
}

/// Says nothing but what failed.
struct OnlyFailures<R>(R);

impl<R: Reporter> Reporter for OnlyFailures<R> {
    fn event(&mut self, event: &Event) {
        if let Event::StageFinished { status: Status::Failed, .. } = event {
            self.0.event(event);
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    pipeline: &'a str,
    stages: Vec<Line<'a>>,
    counts: Counts,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    instance: &'a str,
    kind: &'a str,
    status: Status,
    key: Option<StageKey>,
    reason: Option<&'a Reason>,
    seconds: Option<f64>,
    #[serde(serialize_with = "metrics")]
    metrics: Option<&'a BTreeMap<String, f64>>,
    outputs: BTreeMap<&'a str, Output>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

fn metrics<S: Serializer>(metrics: &Option<&BTreeMap<String, f64>>, to: S) -> Result<S::Ok, S::Error> {
    match metrics {
        Some(metrics) => reals::serialize(metrics, to),
        None => to.serialize_none(),
    }
}

#[derive(Serialize)]
struct Output {
    hash: ArtifactHash,
    bytes: u64,
    /// `None` if the cache is not a local folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
}

fn document<'a>(graph: &'a Graph<'_>, report: &'a Report, store: &Store) -> Document<'a> {
    let line = |outcome: &'a engine::Outcome| {
        let instance = &graph.instances[outcome.index];
        let outputs = outcome.manifest.iter().flat_map(|manifest| &manifest.outputs).map(|(port, output)| {
            let path = store.object_path(&output.hash).map(|path| std::path::absolute(&path).unwrap_or(path));
            (port.as_str(), Output { hash: output.hash, bytes: output.bytes, path })
        });
        Line {
            name: &instance.stage,
            instance: &instance.name,
            kind: instance.kind.name,
            status: outcome.status,
            key: outcome.key,
            reason: outcome.reason.as_ref(),
            seconds: outcome.manifest.as_ref().map(|manifest| manifest.seconds),
            metrics: outcome.manifest.as_ref().map(|manifest| &manifest.metrics),
            outputs: outputs.collect(),
            message: outcome.message.as_deref(),
        }
    };
    Document {
        pipeline: &graph.pipeline.name,
        stages: report.outcomes.iter().map(line).collect(),
        counts: report.counts,
    }
}
