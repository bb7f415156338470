//! The facade: a pipeline file with what is changed about it, planned, run and looked at.
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
    diagnostic::{Diagnostic, Place, Sources},
    digest::StageKey,
    graph::{Graph, Selection, TargetError},
    pipeline,
    plan::{PlanStatus, Planned, Reason},
    run::{Counts, Event, Options, Outcome, Reporter, Status, Summary},
    search::{self, Passes, Precision, SearchError},
    stage::Registry,
    stages,
    store::{Manifest, Store, StoreError},
};

/// A pipeline file, what is changed about it, and where its results are kept.
pub struct Experiment {
    file: PathBuf,
    text: String,
    changes: Changes,
    kinds: Registry,
    cache: Option<PathBuf>,
    sources: Sources,
}

/// What is changed about a pipeline file, as on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// `stage.param=value`; several values (`a,b,c` or `range(1,5)`) make an axis.
    pub set: Vec<String>,
    /// The sweep to take, of those written `[sweep.NAME]`.
    pub sweep: Option<String>,
    /// The variants to take, separated by commas.
    pub variant: Option<String>,
    /// How many seeds to repeat the sweep over.
    pub seeds: Option<usize>,
}

/// Which instances are wanted, and how well their means must be known.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Stages or instances, with everything that they depend on; none means all.
    pub targets: Vec<String>,
    /// Go no further than these stages.
    pub until: Vec<String>,
    /// Add seeds until the intervals of a metric are this narrow.
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
        /// What the system says.
        source: io::Error,
    },
    /// The file, or what is changed about it, has mistakes.
    #[error("{}", Mistake::closing(mistakes, file))]
    Mistakes {
        /// Each of them.
        mistakes: Vec<Mistake>,
        /// The file.
        file: PathBuf,
    },
    /// A target names nothing.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Narrow intervals are wanted of a sweep that is not repeated.
    #[error(
        "`--until-ci` needs a sweep that is repeated over seeds: add `seeds = 3` and `vary = [\"…\"]` to the sweep"
    )]
    NoSeeds,
    /// Who listens refuses the run.
    #[error("{0}")]
    Refused(Refusal),
    /// A search has no score to go by, or the cache cannot be read or written.
    #[error(transparent)]
    Search(#[from] SearchError),
}

impl From<StoreError> for ExperimentError {
    fn from(error: StoreError) -> Self {
        Self::Search(SearchError::Store(error))
    }
}

/// A mistake in a pipeline file or in what is changed about it, or a warning about one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mistake {
    /// What is wrong.
    pub message: String,
    /// Where.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// What would be right.
    pub help: Option<String>,
    /// All of it with the lines that it is about.
    #[serde(skip)]
    pub rendered: String,
    /// The same in colours.
    #[serde(skip)]
    pub styled: String,
}

impl Mistake {
    /// A diagnostic with its place and its lines.
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

/// Why a listener refuses a run.
pub type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// Hears what an experiment does while it runs. Every method may be left as it is.
pub trait Listener {
    /// A graph that is about to run: one, or, where seeds are added, one for each number of them.
    ///
    /// # Errors
    /// Whatever is a reason not to run.
    fn graph(&mut self, graph: &Graph<'_>) -> Result<(), Refusal> {
        let _ = graph;
        Ok(())
    }

    /// How a search goes.
    fn remark(&mut self, words: &str) {
        let _ = words;
    }

    /// Something that happens.
    fn event(&mut self, event: &Event) {
        let _ = event;
    }

    /// Called several times a second while something runs.
    fn tick(&mut self) {}

    /// Nothing more happens.
    fn end(&mut self) {}
}

/// Hears nothing.
impl Listener for () {}

/// One line of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanLine {
    /// The instance.
    pub instance: String,
    /// What a run would do with it.
    pub status: PlanStatus,
    /// Why, unless it is cached.
    pub reason: Option<Reason>,
    /// Expected seconds, where earlier runs tell.
    pub seconds: Option<f64>,
}

/// What became of one instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// The instance.
    pub instance: String,
    /// What became of it.
    pub status: Status,
    /// Its key, where it was known.
    pub key: Option<StageKey>,
    /// Its final numbers.
    pub metrics: BTreeMap<String, f64>,
    /// Why it failed, or what blocked it.
    pub message: Option<String>,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Ran {
    /// Each instance, in the order of the graph.
    pub instances: Vec<Finished>,
    /// How many there are of each status.
    pub counts: Counts,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// True if it was stopped before its end.
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

impl Experiment {
    /// The experiment of a file, with the kinds of stages that strata brings. The file is read once: what is done to it later
    /// concerns later experiments.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn open(file: impl Into<PathBuf>) -> Result<Self, ExperimentError> {
        let path = file.into();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self::new(path, text, Changes::default(), stages::registry())),
            Err(source) => Err(ExperimentError::Read { path, source }),
        }
    }

    fn new(file: PathBuf, text: String, changes: Changes, kinds: Registry) -> Self {
        let mut sources = Sources::default();
        sources.add(file.display().to_string(), text.clone());
        for set in &changes.set {
            sources.add("command line", set.clone());
        }
        let seeds = changes.seeds.map(|count| count.to_string());
        let options = [("sweep", &changes.sweep), ("variant", &changes.variant), ("seeds", &seeds)];
        for (name, value) in options.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            sources.add("command line", format!("--{name}={value}"));
        }
        Self { file, text, changes, kinds, cache: None, sources }
    }

    /// The same with other changes, in place of all earlier ones.
    #[must_use]
    pub fn with_changes(&self, changes: Changes) -> Self {
        let again = Self::new(self.file.clone(), self.text.clone(), changes, self.kinds.clone());
        Self { cache: self.cache.clone(), ..again }
    }

    /// The same with a parameter set: `stage.param=value`. Several values (`a,b,c`) make an axis.
    #[must_use]
    pub fn set(&self, change: &str) -> Self {
        let mut changes = self.changes.clone();
        changes.set.push(change.to_owned());
        self.with_changes(changes)
    }

    /// The same repeated over so many seeds.
    #[must_use]
    pub fn seeds(&self, count: usize) -> Self {
        self.with_changes(Changes { seeds: Some(count), ..self.changes.clone() })
    }

    /// The same with other kinds of stages.
    #[must_use]
    pub fn kinds(self, kinds: Registry) -> Self {
        Self { kinds, ..self }
    }

    /// The same with its results in another folder than `cache/` in the project.
    #[must_use]
    pub fn cache(self, folder: impl Into<PathBuf>) -> Self {
        Self { cache: Some(folder.into()), ..self }
    }

    /// Where its results are kept.
    #[must_use]
    pub fn store(&self) -> Store {
        Store::open(self.cache.clone().unwrap_or_else(|| pipeline::project_root(&self.file).join("cache")))
    }

    /// The graph of all instances.
    ///
    /// # Errors
    /// Every mistake in the file and in what is changed about it.
    pub fn graph(&self) -> Result<Graph<'_>, ExperimentError> {
        let (pipeline, found) = pipeline::parse(&self.sources, &self.file, &self.kinds);
        Graph::build(pipeline, found).map_err(|found| {
            let mistakes = found.iter().map(|mistake| Mistake::new(mistake, &self.sources)).collect();
            ExperimentError::Mistakes { mistakes, file: self.file.clone() }
        })
    }

    /// The mistakes that show only where a sweep is chosen that is not.
    ///
    /// # Errors
    /// If the sweeps cannot be looked at.
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

    /// What a run of some targets (of all, without any) would do.
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

    /// Runs some targets (all, without any) as far as the cache does not hold their results. A halving search is climbed
    /// rung by rung.
    ///
    /// # Errors
    /// If the file has mistakes, a target names nothing, a search has no score, or the cache cannot be read or written. A
    /// stage that fails is no error: its status says so.
    pub fn run(&self, targets: &[&str], options: Options) -> Result<Ran, ExperimentError> {
        self.run_with(&Request::of(targets), options, &mut (), Ran::of)
    }

    /// Runs what is requested while a listener hears of it; `finish` makes something of the last graph, what became of its
    /// instances, and whether a search ended without an answer.
    ///
    /// # Errors
    /// As [`Experiment::run`], or if narrow intervals are wanted of a sweep that is not repeated over seeds.
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

    /// The cached results of every instance that has numbers.
    ///
    /// # Errors
    /// If the file has mistakes or the cache cannot be read.
    pub fn results(&self) -> Result<Vec<ResultRow>, ExperimentError> {
        let graph = self.graph()?;
        let wanted = Request::default().select(&graph)?;
        let plan = search::plan(&graph, &wanted, &self.store(), false, &mut |_| {})?;
        let scored = plan.cached().filter(|(_, manifest)| !manifest.metrics.is_empty());
        let row = |(index, manifest): (usize, &Manifest)| {
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
    /// Some targets, with nothing else asked.
    #[must_use]
    pub fn of(targets: &[&str]) -> Self {
        Self { targets: targets.iter().map(|&target| target.to_owned()).collect(), ..Self::default() }
    }

    /// The instances that are wanted.
    ///
    /// # Errors
    /// If a target names nothing.
    pub fn select(&self, graph: &Graph<'_>) -> Result<Selection, TargetError> {
        let chosen = graph.select(&self.targets)?;
        if self.until.is_empty() {
            return Ok(chosen);
        }
        let until = graph.select(&self.until)?;
        let wanted = |index: &usize| chosen.all.binary_search(index).is_ok();
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

/// Passes on what a run reports.
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
