//! A look at a recorded run: its text, its changes and its results, whatever the file and the data are now.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{Experiment, ExperimentError};
use crate::{
    digest::StageKey,
    graph::{Graph, Recorded},
    pipeline,
    plan::PlanStatus,
    results::PastResults,
    search, stages,
    store::{IncludedText, Run, Store, StoreError},
};

impl Experiment {
    /// Looks at a recorded run of a pipeline file: the experiment has the text, the included files and the changes of the
    /// run, and an instance has the result that it had in the run, if the cache still holds it, and no other. The file
    /// need not exist any more.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub fn of_run(file: impl Into<PathBuf>, run: &Run, store: &Store) -> Result<Self, StoreError> {
        let (file, record) = (file.into(), &run.record);
        let root = pipeline::project_root(&file);
        let here = std::env::current_dir().unwrap_or_default();
        let place = |name: &String| {
            let path = root.join(name);
            path.strip_prefix(&here).map(Path::to_path_buf).unwrap_or(path)
        };
        let included = record.included.iter().map(|one| (place(&one.file), one.text.clone())).collect();
        let texts = (record.text.clone(), included);
        let experiment = Self::new(file, texts, record.changes.clone(), stages::registry());
        Ok(Self { seen: Some(store.run_outcomes(run)?), ..experiment })
    }

    /// Returns the latest run of this file, and whether it had the changes of this experiment. `complain` receives a word
    /// about each record that is passed over.
    ///
    /// # Errors
    /// If the folder of the records cannot be listed.
    pub fn last_run(&self, complain: &mut dyn FnMut(String)) -> Result<Option<(Run, bool)>, ExperimentError> {
        let run = last_run_of(&self.file, &self.store(), complain)?;
        Ok(run.map(|run| {
            let same = run.record.changes == self.changes;
            (run, same)
        }))
    }

    /// Returns every result that the cache holds of this pipeline, whatever run made it. `complain` receives a word about
    /// each record that is passed over.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn past(&self, graph: &Graph<'_>, complain: &mut dyn FnMut(String)) -> Result<PastResults, ExperimentError> {
        let store = self.store();
        let all = store.runs()?;
        all.passed_over.iter().for_each(|passed| complain(passed.to_string()));
        let runs = all.runs.into_iter().map(|run| store.run_outcomes(&run).map(|outcomes| (run, outcomes)));
        let runs = runs.collect::<Result<Vec<_>, _>>()?;
        let plan = search::plan(graph, &graph.select(&[])?, &store, false, &mut |_| {})?;
        let current = plan.stages.iter().filter_map(|planned| {
            let key = planned.decision.key().filter(|_| planned.status() == PlanStatus::Cached)?;
            Some((key, graph.instances[planned.index].name.to_string()))
        });
        let current: BTreeMap<StageKey, String> = current.collect();
        Ok(PastResults::of(graph, &store, &runs, |run| is_of(run, &self.file), &current)?)
    }

    /// Returns the root of the project, and the file relative to it if it is below it.
    pub(super) fn place(&self) -> (String, String) {
        let (root, file) = pipeline::place_of(&self.file);
        (root.to_string_lossy().into_owned(), file.to_string_lossy().into_owned())
    }

    /// Returns the included files, relative to the root of the project if they are below it.
    pub(super) fn included_texts(&self) -> Vec<IncludedText> {
        let root = pipeline::project_root(&self.file);
        let text = |(path, text): &(PathBuf, String)| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            let below = path.strip_prefix(&root).unwrap_or(&path);
            IncludedText { file: below.to_string_lossy().into_owned(), text: text.clone() }
        };
        self.included.iter().map(text).collect()
    }

    /// Gives each instance the result that it had in the run, if this is a look at one.
    pub(super) fn as_seen<'t>(&self, mut graph: Graph<'t>) -> Graph<'t> {
        if let Some(seen) = &self.seen {
            graph.set_recorded(|name| match seen.get(name) {
                Some(outcome) => outcome.made().map_or(Recorded::Missing(outcome.key), Recorded::Made),
                None => Recorded::Missing(None),
            });
        }
        graph
    }
}

/// Returns the latest run of a pipeline file.
///
/// # Errors
/// If the folder of the records cannot be listed.
pub fn last_run_of(file: &Path, store: &Store, complain: &mut dyn FnMut(String)) -> Result<Option<Run>, StoreError> {
    store.last_run(|run| is_of(run, file), &mut |passed| complain(passed.to_string()))
}

/// Returns whether a run is of a pipeline file: of the file at this path, or of the one at this place in a project that
/// was moved.
#[must_use]
pub fn is_of(run: &Run, file: &Path) -> bool {
    let (root, place) = pipeline::place_of(file);
    let record = &run.record;
    let is_there = root.join(&place) == run.file();
    let was_moved = || place.is_relative() && Path::new(&record.file) == place && !Path::new(&record.root).exists();
    is_there || was_moved()
}
