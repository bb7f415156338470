//! The facade: opens a pipeline file with changes to it, plans it, runs it and reads its results.
//!
//! ```no_run
//! use strata::{experiment::Experiment, run::Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let experiment = Experiment::open("pipelines/quickstart.toml")?.set("clusters.clusters=16,64");
//! let finished = experiment.run(&[], Options::default())?;
//! println!("{} ran, {} were cached", finished.counts.ran, finished.counts.cached);
//! for row in experiment.results()? {
//!     println!("{} {:?}", row.instance, row.metrics.get("test_accuracy"));
//! }
//! # Ok(())
//! # }
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::Value;

use crate::{
    diagnostic::{Diagnostic, Sources},
    pipeline,
    plan::Planned,
    run::{Counts, Event, Options, Outcome, Reporter, Status, Summary},
    search::{self, Passes},
    stage::Registry,
    stages,
    store::{Manifest, Store, StoreError},
};

#[doc(inline)]
pub use crate::{
    diagnostic::Place,
    digest::StageKey,
    graph::{Graph, InstanceId, Selection, TargetError},
    plan::{PlanStatus, Reason},
    search::{Precision, SearchError},
};

/// A pipeline file, the changes to it, and the place where its results are kept.
pub struct Experiment {
    file: PathBuf,
    text: String,
    /// The files that it includes.
    included: Included,
    changes: Changes,
    kinds: Registry,
    cache: Option<PathBuf>,
    sources: Sources,
}

/// Changes to a pipeline file, as on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// `stage.param=value`; several values (`a,b,c` or `range(1,5)`) make an axis.
    pub set: Vec<String>,
    /// The name of the sweep to use: `NAME` of `[sweep.NAME]`.
    pub sweep: Option<String>,
    /// The variants to use, separated by commas.
    pub variant: Option<String>,
    /// The number of seeds that the sweep is repeated over.
    pub seeds: Option<usize>,
}

/// The instances that are wanted, and the precision that their means must have.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Stages or instances, with everything that they depend on. An empty list means all.
    pub targets: Vec<String>,
    /// Stages that nothing runs beyond.
    pub until: Vec<String>,
    /// The precision until which seeds are added; `None` adds no seeds.
    pub precision: Option<Precision>,
}

/// Why an experiment cannot be read, planned or run.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// The file cannot be read.
    #[error("failed to read the pipeline file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file, or a change to it, has mistakes.
    #[error("{}", Mistake::closing(mistakes, file))]
    Mistakes {
        /// All mistakes.
        mistakes: Vec<Mistake>,
        /// The file.
        file: PathBuf,
    },
    /// A target names nothing.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Narrow intervals are requested for a sweep that is not repeated over seeds.
    #[error(
        "`--until-ci` needs a sweep that is repeated over seeds: add `seeds = 3` and `vary = [\"…\"]` to the sweep"
    )]
    NoSeeds,
    /// A listener refused the run.
    #[error("{0}")]
    Refused(Refusal),
    /// A search has no score, or the cache cannot be read or written.
    #[error(transparent)]
    Search(#[from] SearchError),
}

impl From<StoreError> for ExperimentError {
    fn from(error: StoreError) -> Self {
        Self::Search(SearchError::Store(error))
    }
}

/// A mistake or a warning about a pipeline file or about a change to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mistake {
    /// What is wrong.
    pub message: String,
    /// Its place in the texts.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// A hint how to correct it.
    pub help: Option<String>,
    /// The whole message, with the source lines that it refers to.
    #[serde(skip)]
    pub rendered: String,
    /// The same text in colours.
    #[serde(skip)]
    pub styled: String,
}

impl Mistake {
    /// Makes a mistake from a diagnostic, with its place and its source lines.
    #[must_use]
    pub fn new(diagnostic: &Diagnostic, sources: &Sources) -> Self {
        Self {
            message: diagnostic.message.clone(),
            place: sources.place(&diagnostic.span),
            help: diagnostic.help.clone(),
            rendered: diagnostic.render(sources, false),
            styled: diagnostic.render(sources, true),
        }
    }

    fn closing(mistakes: &[Self], file: &Path) -> String {
        let count = match mistakes.len() {
            1 => "1 mistake".to_owned(),
            n => format!("{n} mistakes"),
        };
        format!("{count} in {}; nothing was run", file.display())
    }
}

/// Why a listener refused a run.
pub type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// Receives the events of an experiment that runs. Every method has a default.
pub trait Listener {
    /// Called with a graph that is about to run: once, or, if seeds are added, once for each number of seeds.
    ///
    /// # Errors
    /// Any reason not to run.
    fn graph(&mut self, graph: &Graph<'_>) -> Result<(), Refusal> {
        let _ = graph;
        Ok(())
    }

    /// Called with a message about the progress of a search.
    fn remark(&mut self, words: &str) {
        let _ = words;
    }

    /// Called for each event.
    fn event(&mut self, event: &Event) {
        let _ = event;
    }

    /// Called several times a second while something runs.
    fn tick(&mut self) {}

    /// Called after the last event.
    fn end(&mut self) {}
}

/// Ignores everything.
impl Listener for () {}

/// One line of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanLine {
    /// The instance.
    pub instance: String,
    /// What a run would do with it.
    pub status: PlanStatus,
    /// The reason, unless it is cached.
    pub reason: Option<Reason>,
    /// Expected seconds, if earlier runs allow an estimate.
    pub seconds: Option<f64>,
}

/// What became of one instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// The instance.
    pub instance: String,
    /// What became of it.
    pub status: Status,
    /// Its key, if it was known.
    pub key: Option<StageKey>,
    /// Its final numbers.
    pub metrics: BTreeMap<String, f64>,
    /// Why it failed, or what blocked it.
    pub message: Option<String>,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Ran {
    /// The outcome of each instance, in the order of the graph.
    pub instances: Vec<Finished>,
    /// The number of instances for each status.
    pub counts: Counts,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// True if the run was stopped before its end.
    pub interrupted: bool,
    /// True if a search ended without an answer.
    pub in_vain: bool,
}

/// The cached result of one instance.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultRow {
    /// The stage.
    pub stage: String,
    /// The instance.
    pub instance: String,
    /// The axes that reach it, with their values.
    pub axes: BTreeMap<String, Value>,
    /// Its final numbers.
    pub metrics: BTreeMap<String, f64>,
}

/// Files, each with its text.
type Included = Vec<(PathBuf, String)>;

/// Reads files. Those that cannot be read are missing, which is a mistake when the pipeline is read.
fn read_all(paths: Vec<PathBuf>) -> Included {
    let here = std::env::current_dir().unwrap_or_default();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).ok()?;
        Some((path.strip_prefix(&here).map(Path::to_path_buf).unwrap_or(path), text))
    };
    paths.into_iter().filter_map(read).collect()
}

impl Experiment {
    /// Opens a pipeline file with the kinds that strata includes. The file is read once, so later changes to it affect
    /// only later experiments.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn open(file: impl Into<PathBuf>) -> Result<Self, ExperimentError> {
        let path = file.into();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self::of_text(path, text)),
            Err(source) => Err(ExperimentError::Read { path, source }),
        }
    }

    /// Makes an experiment of the text of a pipeline file. The file need not exist: its path says where the project is.
    #[must_use]
    pub fn of_text(file: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let (file, text) = (file.into(), text.into());
        let included = read_all(pipeline::included(&text, &file));
        Self::new(file, (text, included), Changes::default(), stages::registry())
    }

    fn new(file: PathBuf, (text, included): (String, Included), changes: Changes, kinds: Registry) -> Self {
        let mut sources = Sources::default();
        sources.add(file.display().to_string(), text.clone());
        for (path, text) in &included {
            sources.add_included(path.display().to_string(), text.clone());
        }
        for set in &changes.set {
            sources.add("command line", set.clone());
        }
        let seeds = changes.seeds.map(|count| count.to_string());
        let options = [("sweep", &changes.sweep), ("variant", &changes.variant), ("seeds", &seeds)];
        for (name, value) in options.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            sources.add("command line", format!("--{name}={value}"));
        }
        Self { file, text, included, changes, kinds, cache: None, sources }
    }

    /// Replaces all earlier changes by others.
    #[must_use]
    pub fn with_changes(&self, changes: Changes) -> Self {
        let again =
            Self::new(self.file.clone(), (self.text.clone(), self.included.clone()), changes, self.kinds.clone());
        Self { cache: self.cache.clone(), ..again }
    }

    /// Sets a parameter: `stage.param=value`. Several values (`a,b,c`) make an axis.
    #[must_use]
    pub fn set(&self, change: &str) -> Self {
        let mut changes = self.changes.clone();
        changes.set.push(change.to_owned());
        self.with_changes(changes)
    }

    /// Repeats the sweep over this many seeds.
    #[must_use]
    pub fn seeds(&self, count: usize) -> Self {
        self.with_changes(Changes { seeds: Some(count), ..self.changes.clone() })
    }

    /// Replaces the kinds of stages.
    #[must_use]
    pub fn kinds(self, kinds: Registry) -> Self {
        Self { kinds, ..self }
    }

    /// Keeps the results in another folder than `cache/` in the project.
    #[must_use]
    pub fn cache(self, folder: impl Into<PathBuf>) -> Self {
        Self { cache: Some(folder.into()), ..self }
    }

    /// Returns the store that keeps the results.
    #[must_use]
    pub fn store(&self) -> Store {
        Store::open(self.cache.clone().unwrap_or_else(|| pipeline::project_root(&self.file).join("cache")))
    }

    /// Builds the graph of all instances.
    ///
    /// # Errors
    /// Returns every mistake in the file and in the changes to it.
    pub fn graph(&self) -> Result<Graph<'_>, ExperimentError> {
        let (pipeline, found) = pipeline::parse(&self.sources, &self.file, &self.kinds);
        Graph::build(pipeline, found).map_err(|found| {
            let mistakes = found.iter().map(|mistake| Mistake::new(mistake, &self.sources)).collect();
            ExperimentError::Mistakes { mistakes, file: self.file.clone() }
        })
    }

    /// Returns the mistakes that show only if a different sweep is chosen.
    ///
    /// # Errors
    /// If the sweeps cannot be read.
    pub fn mistakes_of_other_sweeps(&self) -> Result<Vec<Mistake>, ExperimentError> {
        if self.changes.sweep.is_some() {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        for name in pipeline::parse(&self.sources, &self.file, &self.kinds).0.sweeps {
            let other = self.with_changes(Changes { sweep: Some(name), ..self.changes.clone() });
            match other.graph() {
                Err(ExperimentError::Mistakes { mistakes, .. }) => all.extend(mistakes),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Ok(all)
    }

    /// Plans a run of some targets, or of all instances if there are none.
    ///
    /// # Errors
    /// If the file has mistakes, a target names nothing, or the cache cannot be read.
    pub fn plan(&self, targets: &[&str]) -> Result<Vec<PlanLine>, ExperimentError> {
        let graph = self.graph()?;
        let wanted = Request::of(targets).select(&graph)?;
        let plan = search::plan(&graph, &wanted, &self.store(), false, &mut |_| {})?;
        let line = |planned: &Planned| PlanLine {
            instance: graph.instances[planned.index].name.to_string(),
            status: planned.status(),
            reason: planned.reason(&graph),
            seconds: planned.price.map(|price| price.seconds),
        };
        Ok(plan.stages.iter().map(line).collect())
    }

    /// Runs some targets, or all instances if there are none, as far as their results are not in the cache. A halving
    /// search is climbed rung by rung.
    ///
    /// # Errors
    /// If the file has mistakes, a target names nothing, a search has no score, or the cache cannot be read or written.
    /// A stage that fails is not an error: its status has the failure.
    pub fn run(&self, targets: &[&str], options: Options) -> Result<Ran, ExperimentError> {
        self.run_with(&Request::of(targets), options, &mut (), Ran::of)
    }

    /// Runs the request and reports events to a listener. `finish` computes the result from the last graph, the
    /// outcomes of its instances, and whether a search ended without an answer.
    ///
    /// # Errors
    /// The same as for [`Experiment::run`], or if narrow intervals are requested for a sweep that is not repeated over
    /// seeds.
    pub fn run_with<R>(
        &self,
        request: &Request,
        options: Options,
        listener: &mut dyn Listener,
        finish: impl FnOnce(&Graph<'_>, &Summary, bool) -> R,
    ) -> Result<R, ExperimentError> {
        let store = self.store();
        let mut passes = Passes::new(options);
        let mut more_seeds = None;
        loop {
            let again = more_seeds.map(|seeds| self.seeds(seeds));
            let graph = again.as_ref().unwrap_or(self).graph()?;
            if request.precision.is_some() && graph.pipeline.repeats.is_none() {
                return Err(ExperimentError::NoSeeds);
            }
            let wanted = request.select(&graph)?;
            listener.graph(&graph).map_err(ExperimentError::Refused)?;
            let summary = passes.run(&graph, &wanted, &store, &mut Heard(listener))?;
            if let Some(precision) = &request.precision {
                let verdict = passes.judge(precision, &graph, &summary)?;
                verdict.words.iter().for_each(|words| listener.remark(words));
                if verdict.seeds.is_some() {
                    more_seeds = verdict.seeds;
                    continue;
                }
            }
            listener.end();
            return Ok(finish(&graph, &summary, passes.were_in_vain()));
        }
    }

    /// Returns the cached results of every instance that has numbers.
    ///
    /// # Errors
    /// If the file has mistakes or the cache cannot be read.
    pub fn results(&self) -> Result<Vec<ResultRow>, ExperimentError> {
        let graph = self.graph()?;
        let wanted = Request::default().select(&graph)?;
        let plan = search::plan(&graph, &wanted, &self.store(), false, &mut |_| {})?;
        let scored = plan.cached().filter(|(_, manifest)| !manifest.metrics.is_empty());
        let row = |(index, manifest): (InstanceId, &Manifest)| {
            let instance = &graph.instances[index];
            ResultRow {
                stage: instance.stage.clone(),
                instance: instance.name.to_string(),
                axes: instance.axes.iter().map(|(axis, value)| (axis.to_owned(), value.clone())).collect(),
                metrics: manifest.metrics.clone(),
            }
        };
        Ok(scored.map(row).collect())
    }
}

impl Request {
    /// Requests some targets, with no other conditions.
    #[must_use]
    pub fn of(targets: &[&str]) -> Self {
        Self { targets: targets.iter().map(|&target| target.to_owned()).collect(), ..Self::default() }
    }

    /// Selects the requested instances.
    ///
    /// # Errors
    /// If a target names nothing.
    pub fn select(&self, graph: &Graph<'_>) -> Result<Selection, TargetError> {
        let chosen = graph.select(&self.targets)?;
        if self.until.is_empty() {
            return Ok(chosen);
        }
        let until = graph.select(&self.until)?;
        let wanted = |index: &InstanceId| chosen.all.binary_search(index).is_ok();
        Ok(Selection {
            targets: until.targets.into_iter().filter(wanted).collect::<BTreeSet<_>>(),
            all: until.all.into_iter().filter(wanted).collect(),
        })
    }
}

impl Ran {
    fn of(graph: &Graph<'_>, summary: &Summary, in_vain: bool) -> Self {
        let finished = |outcome: &Outcome| Finished {
            instance: graph.instances[outcome.index].name.to_string(),
            status: outcome.status,
            key: outcome.key,
            metrics: outcome.manifest.as_ref().map(|manifest| manifest.metrics.clone()).unwrap_or_default(),
            message: outcome.message.clone(),
        };
        let &Summary { counts, seconds, interrupted, .. } = summary;
        Self { instances: summary.outcomes.iter().map(finished).collect(), counts, seconds, interrupted, in_vain }
    }
}

/// Passes the events of a run to a listener.
struct Heard<'a>(&'a mut dyn Listener);

impl Reporter for Heard<'_> {
    fn event(&mut self, event: &Event) {
        self.0.event(event);
    }

    fn tick(&mut self) {
        self.0.tick();
    }

    fn remark(&mut self, words: &str) {
        self.0.remark(words);
    }
}
