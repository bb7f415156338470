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
//!
//! Reading order: this file; `request`, what is asked for; `listener`, who hears of a run, and `recorder`, which
//! writes the record of it; `view`, a look at a recorded run; `answers`, what comes of all that; `error`, why not.

mod answers;
mod error;
mod listener;
mod recorder;
mod request;
mod view;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    diagnostic::Sources,
    pipeline,
    plan::Planned,
    run::Options,
    search::{self, Passes},
    stage::Registry,
    stages,
    store::{Manifest, RunOutcome, Store},
};

use self::recorder::Recorder;
pub use self::{
    answers::{Ended, Finished, PlanLine, Ran, ResultRow},
    error::{ExperimentError, Mistake},
    listener::{Listener, Refusal},
    request::Request,
    view::{is_of, last_run_of},
};
#[doc(inline)]
pub use crate::{
    diagnostic::Place,
    digest::StageKey,
    graph::{Graph, InstanceId, Selection, TargetError},
    plan::{PlanStatus, Reason},
    search::{Precision, SearchError},
    store::Changes,
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
    /// What became of each instance of the run that is looked at, if it is one.
    seen: Option<Outcomes>,
}

/// What became of each instance of a run, by name.
type Outcomes = BTreeMap<String, RunOutcome>;

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
        Self { file, text, included, changes, kinds, cache: None, sources, seen: None }
    }

    /// Replaces all earlier changes by others.
    #[must_use]
    pub fn with_changes(&self, changes: Changes) -> Self {
        let again =
            Self::new(self.file.clone(), (self.text.clone(), self.included.clone()), changes, self.kinds.clone());
        Self { cache: self.cache.clone(), ..again }
    }

    /// Returns the changes to the file.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
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
        let (pipeline, found) = match self.seen {
            Some(_) => pipeline::parse_recorded(&self.sources, &self.file, &self.kinds),
            None => pipeline::parse(&self.sources, &self.file, &self.kinds),
        };
        let built = Graph::build(pipeline, found).map_err(|found| {
            let mistakes = found.iter().map(|mistake| Mistake::new(mistake, &self.sources)).collect();
            ExperimentError::Mistakes { mistakes, file: self.file.clone() }
        });
        built.map(|graph| self.as_seen(graph))
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
        self.run_with(&Request::of(targets), options, &mut (), |ended| Ran::of(&ended))
    }

    /// Runs the request, records the run in the cache, and reports events to a listener. `finish` computes the result from
    /// how it ended. A run that cannot begin, because the file has mistakes or the listener refuses, has no record.
    ///
    /// # Errors
    /// The same as for [`Experiment::run`], or if narrow intervals are requested for a sweep that is not repeated over
    /// seeds.
    pub fn run_with<R>(
        &self,
        request: &Request,
        options: Options,
        listener: &mut dyn Listener,
        finish: impl FnOnce(Ended<'_, '_>) -> R,
    ) -> Result<R, ExperimentError> {
        let mut recorder = Recorder::new(listener);
        let done = self.run_recorded(request, options, &mut recorder, finish);
        if let Err(error) = &done {
            recorder.fail(error);
        }
        done
    }

    fn run_recorded<R>(
        &self,
        request: &Request,
        options: Options,
        recorder: &mut Recorder<'_>,
        finish: impl FnOnce(Ended<'_, '_>) -> R,
    ) -> Result<R, ExperimentError> {
        let store = self.store();
        let mut passes = Passes::new(options);
        let mut more_seeds = None;
        loop {
            let again = more_seeds.map(|seeds| self.seeds(seeds));
            let experiment = again.as_ref().unwrap_or(self);
            let graph = experiment.graph()?;
            if request.precision.is_some() && graph.pipeline.repeats.is_none() {
                return Err(ExperimentError::NoSeeds);
            }
            let wanted = request.select(&graph)?;
            recorder.begin(experiment, request, (&graph, &wanted), &store).map_err(ExperimentError::Refused)?;
            let summary = match request.chosen {
                Some(_) => passes.run_once(&graph, &wanted, &store, recorder)?,
                None => passes.run(&graph, &wanted, &store, recorder)?,
            };
            if let Some(precision) = &request.precision {
                let verdict = passes.judge(precision, &graph, &summary)?;
                verdict.words.iter().for_each(|words| recorder.say(words));
                if verdict.seeds.is_some() {
                    more_seeds = verdict.seeds;
                    continue;
                }
            }
            let in_vain = passes.were_in_vain();
            recorder.end(&graph, &summary, in_vain);
            return Ok(finish(Ended { graph: &graph, summary: &summary, in_vain, run: recorder.id() }));
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
