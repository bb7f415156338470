//! `strata run`: run a pipeline, then show its results.

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
    args::{CacheArgs, Format, PipelineArgs, SelectArgs, WorkArgs, typed},
    failure, plan, table,
};
use crate::{
    amount::{bytes, duration},
    digest::{ArtifactHash, StageKey},
    experiment::{Ended, Listener, Refusal, Request},
    graph::Graph,
    plan::Reason,
    report::{JsonLines, Lines, Mlflow, Plain, Tensorboard, Terminal, summary},
    results::{Results, StoredResults, Upstream},
    run::{Counts, Event, Options, Outcome, Reporter, Status, Summary, signals::stop_flag},
    search::{self, Precision},
    stage::Registry,
    store::{RunId, Store, StoreError, reals},
};

/// Run whatever part of a pipeline is not cached, then show the table of results
#[derive(clap::Args)]
pub(super) struct Args {
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
    /// Add seeds until no 95 % interval over seeds is wider than this (`0.01`), or the budget is spent
    #[arg(long, value_name = "WIDTH", value_parser = above_zero)]
    until_ci: Option<f64>,
    /// The metric whose intervals `--until-ci` looks at [default: the score of each stage, such as test_accuracy]
    #[arg(long, value_name = "NAME", requires = "until_ci")]
    metric: Option<String>,
    /// Write every event to this file as it happens, one JSON object per line
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    events: Option<PathBuf>,
    /// Write metrics, curves and images to this folder during the run, for TensorBoard
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    tensorboard: Option<PathBuf>,
    /// Log what runs to the MLflow server at this address (`http://127.0.0.1:5000`)
    #[arg(long, value_name = "URL", value_hint = clap::ValueHint::Url)]
    mlflow: Option<String>,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

impl Args {
    /// Runs the pipeline and prints the results.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let experiment = self.cache.experiment(&self.pipeline, registry)?;
        let precision = self.until_ci.map(|width| Precision { width, metric: self.metric.clone() });
        let request = Request { precision, arguments: typed("run"), ..self.select.request() };
        if self.dry_run {
            let graph = experiment.graph()?;
            let wanted = request.select(&graph)?;
            console.notes(&graph);
            note_needs(&graph, &self.work, console);
            let force = self.select.force;
            let plan = search::plan(&graph, &wanted, &experiment.store(), force, &mut console.remarks())?;
            plan::show(&graph, &plan, self.output, false, console)?;
            return Ok(ExitCode::SUCCESS);
        }
        let store = experiment.store();
        let options = options(&self.work, self.select.force)?;
        let mut listener =
            Listening { args: self, console, store: &store, reporters: None, upstream: Upstream::default() };
        experiment.run_with(&request, options, &mut listener, |ended| {
            let Ended { graph, summary, in_vain, .. } = ended;
            self.say_how_to_go_on(graph, summary, console);
            self.show(&ended, &store, console)?;
            Ok(ExitCode::from(match summary.counts {
                _ if summary.interrupted => failure::INTERRUPTED,
                counts if counts.failed > 0 || in_vain => failure::FAILED,
                _ => 0,
            }))
        })?
    }

    fn reporters(
        &self,
        store: &Store,
        upstream: &Upstream,
        run: &RunId,
        console: &Console,
    ) -> Result<Vec<Box<dyn Reporter>>, Refusal> {
        let mut all: Vec<Box<dyn Reporter>> = Vec::new();
        if let Some(path) = &self.events {
            let refused = |error| format!("failed to write events to {}: {error}", path.display());
            all.push(Box::new(JsonLines::create(path, run).map_err(refused)?));
        }
        if let Some(folder) = &self.tensorboard {
            all.push(Box::new(Tensorboard::new(folder, StoredResults::new(store, upstream), Some(run.to_string()))));
        }
        if let Some(url) = &self.mlflow {
            let refused = |error| format!("failed to start the thread for MLflow: {error}");
            all.push(Box::new(Mlflow::new(url, Some(run.to_string())).map_err(refused)?));
        }
        all.extend(reporters(console, self.work.jobs));
        Ok(all)
    }

    /// Prints how to continue after a failure that stopped the run, or the search that the run is part of.
    fn say_how_to_go_on(&self, graph: &Graph<'_>, summary: &Summary, console: &Console) {
        if summary.interrupted || summary.counts.failed == 0 || self.work.keep_going {
            return;
        }
        let lost = summary.lost(graph);
        let left = |outcome: &Outcome| outcome.status == Status::Blocked && !lost.contains(&outcome.index);
        if self.until_ci.is_some() || graph.pipeline.halving.is_some() {
            console.remark(
                "the search stopped at a failure; with `-k` it goes on, and a point that fails counts as the worst",
            );
        } else if summary.outcomes.iter().any(left) {
            console
                .remark("the run stopped at a failure; with `-k` it goes on with what does not depend on what failed");
        }
    }

    fn show(&self, ended: &Ended<'_, '_>, store: &Store, console: &Console) -> Result<(), Failure> {
        let &Ended { graph, summary: report, .. } = ended;
        if self.output == Format::Json {
            return console.json(&document(ended, store)?);
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

/// Shows a run while it is in progress.
struct Listening<'a> {
    args: &'a Args,
    console: &'a Console,
    store: &'a Store,
    /// Created once the first graph has been built without mistakes.
    reporters: Option<Vec<Box<dyn Reporter>>>,
    upstream: Upstream,
}

impl Listener for Listening<'_> {
    fn graph(&mut self, graph: &Graph<'_>, run: &RunId) -> Result<(), Refusal> {
        if self.args.tensorboard.is_some() {
            self.upstream.learn(graph);
        }
        if self.reporters.is_none() {
            self.console.notes(graph);
            self.reporters = Some(self.args.reporters(self.store, &self.upstream, run, self.console)?);
        }
        note_needs(graph, &self.args.work, self.console);
        Ok(())
    }

    fn remark(&mut self, words: &str) {
        self.console.remark(words);
    }

    fn event(&mut self, event: &Event) {
        self.reporters.iter_mut().for_each(|reporters| reporters.event(event));
    }

    fn tick(&mut self) {
        self.reporters.iter_mut().for_each(Reporter::tick);
    }

    /// Removes the progress display.
    fn end(&mut self) {
        self.reporters = None;
    }
}

/// Seconds that the cached work took when it ran.
fn reused(graph: &Graph<'_>, report: &Summary) -> f64 {
    let cached = report.outcomes.iter().filter(|outcome| outcome.status == Status::Cached);
    let once = cached.filter(|outcome| graph.instances[outcome.index].same_as.is_none());
    once.filter_map(|outcome| Some(outcome.manifest.as_ref()?.seconds)).sum()
}

fn above_zero(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|width| *width > 0.0).ok_or_else(|| "must be a number above 0".to_owned())
}

/// The options of a run, which a signal can stop.
pub(super) fn options(work: &WorkArgs, force: bool) -> Result<Options, Failure> {
    Ok(Options {
        jobs: work.jobs,
        threads: work.threads(),
        memory: work.memory(),
        devices: work.devices()?,
        force,
        keep_going: work.keep_going,
        save_every: work.save_every,
        until: work.budget.and_then(|budget| Instant::now().checked_add(budget)),
        failed: BTreeMap::new(),
        cancel: stop_flag()?,
    })
}

/// Prints which stages need more memory than the limit. They run alone.
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

/// The reporters that show a run to people.
pub(super) fn reporters(console: &Console, jobs: usize) -> Vec<Box<dyn Reporter>> {
    if console.draws() {
        return vec![Box::new(Terminal::new(console.errors, console.quiet, jobs))];
    }
    let plain = Plain::new(io::stderr(), Lines { styles: console.errors, width: None });
    let plain = if console.verbose { plain.everything() } else { plain };
    vec![if console.quiet { Box::new(OnlyFailures(plain)) } else { Box::new(plain) }]
}

/// Reports only failures.
struct OnlyFailures<R>(R);

impl<R: Reporter> Reporter for OnlyFailures<R> {
    fn event(&mut self, event: &Event) {
        if let Event::StageFinished { status: Status::Failed, .. } | Event::RunFinished { .. } = event {
            self.0.event(event);
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    run: Option<&'a RunId>,
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
    /// Where the work was done.
    #[serde(rename = "where")]
    place: &'static str,
    /// The file with what its program printed; `None` if nothing is kept.
    log: Option<String>,
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
    /// `None` if the bytes are evicted, or the cache is not a local folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
}

fn document<'a>(ended: &Ended<'a, '_>, store: &Store) -> Result<Document<'a>, StoreError> {
    let &Ended { graph, summary: report, run, .. } = ended;
    let line = |outcome: &'a Outcome| {
        let instance = &graph.instances[outcome.index];
        let outputs = outcome.manifest.iter().flat_map(|manifest| &manifest.outputs).map(|(port, output)| {
            let path = store.object_path(&output.hash).ok().flatten();
            let path = path.map(|path| std::path::absolute(&path).unwrap_or(path));
            (port.as_str(), Output { hash: output.hash, bytes: output.bytes, path })
        });
        let log = match outcome.key {
            Some(key) if store.has_log(&key)? => Some(store.log_place(&key)),
            _ => None,
        };
        Ok(Line {
            name: &instance.stage,
            instance: &instance.name,
            kind: instance.kind.name,
            status: outcome.status,
            key: outcome.key,
            reason: outcome.reason.as_ref(),
            seconds: outcome.manifest.as_ref().map(|manifest| manifest.seconds),
            place: "local",
            log,
            metrics: outcome.manifest.as_ref().map(|manifest| &manifest.metrics),
            outputs: outputs.collect(),
            message: outcome.message.as_deref(),
        })
    };
    let stages = report.outcomes.iter().map(line).collect::<Result<_, StoreError>>()?;
    Ok(Document { run, pipeline: &graph.pipeline.name, stages, counts: report.counts })
}
