//! Plans a run: which instances would run, why, and how long they may take. Reads the store and starts nothing.
//!
//! A plan is a run without the execution: both call [`decide::decide`]. Instances that depend on one that must run are
//! `waiting`, since whether they must run depends on the bytes that it will produce.
//!
//! Reading order: `recipe` (what is in a key), `decide` (what is fresh), `reason` (why an instance must run), this
//! file, `estimate` (seconds), `totals` (what it comes to), [`explain`] (from a reason back to its cause).

pub mod decide;
pub mod estimate;
pub mod explain;
mod reason;
pub mod recipe;
pub mod totals;

use std::{collections::BTreeMap, sync::Arc};

use rayon::prelude::*;
use serde::Serialize;
use typed_index_collections::{TiSlice, TiVec, ti_vec};

pub use self::{decide::Verdict, reason::Reason};
use self::{
    decide::{Decision, Surroundings, decide, decide_recorded},
    estimate::{Known, Price},
    recipe::{RecipeError, recipe},
};
use crate::{
    digest::ArtifactHash,
    graph::{Graph, Instance, InstanceId, Selection},
    store::{Manifest, Position, Recipe, Store, StoreError},
    threads,
};

/// What a run would do with an instance, as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanStatus {
    /// Its results are in the cache, or will be because another instance does the same work.
    Cached,
    /// It will run.
    Run,
    /// It will run, unless its dependencies produce the same bytes as before.
    Waiting,
}

/// One line of a plan.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The instance.
    pub index: InstanceId,
    /// The decision.
    pub decision: Decision,
    /// An earlier instance that does the same work.
    pub same_as: Option<InstanceId>,
    /// The expected cost, if it must run and work of its kind has run before.
    pub price: Option<Price>,
    /// The saved state that it would continue from.
    pub resumes: Option<Position>,
}

impl Planned {
    /// Returns what a run would do with the instance.
    #[must_use]
    pub fn status(&self) -> PlanStatus {
        match self.decision.verdict {
            _ if self.same_as.is_some() => PlanStatus::Cached,
            Verdict::Cached(_) => PlanStatus::Cached,
            Verdict::Run(_) => PlanStatus::Run,
            Verdict::Waiting(_) => PlanStatus::Waiting,
        }
    }

    /// Returns the first reason why it is not simply cached.
    #[must_use]
    pub fn reason(&self, graph: &Graph<'_>) -> Option<Reason> {
        match (&self.decision.verdict, self.same_as) {
            (Verdict::Cached(_), _) => None,
            (_, Some(other)) => Some(Reason::SameAs { instance: graph.instances[other].name.to_string() }),
            (Verdict::Run(reasons), None) => reasons.first().cloned(),
            (Verdict::Waiting(on), None) => Some(waiting(on, graph)),
        }
    }
}

/// Returns the recipe of an instance if all its inputs are cached according to the plan, or `None` if they are not.
///
/// # Errors
/// If source files cannot be read.
pub fn recipe_of<'p>(
    graph: &Graph<'_>,
    index: InstanceId,
    store: &Store,
    planned: impl Fn(InstanceId) -> Option<&'p Planned>,
) -> Result<Option<Recipe>, RecipeError> {
    let instance = &graph.instances[index];
    let mut inputs = BTreeMap::new();
    for link in &instance.inputs {
        let Some(Verdict::Cached(manifest)) = planned(link.from).map(|above| &above.decision.verdict) else {
            return Ok(None);
        };
        inputs.extend(manifest.outputs.get(&*link.output).map(|output| (link.port.to_owned(), output.hash)));
    }
    recipe(instance, inputs, &graph.pipeline.root, store, false).map(|(recipe, _)| Some(recipe))
}

/// Makes the reason of an instance that waits for others.
#[must_use]
pub fn waiting(on: &[InstanceId], graph: &Graph<'_>) -> Reason {
    Reason::Waiting { on: on.iter().map(|&from| graph.instances[from].name.to_string()).collect() }
}

/// The plan of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One line for each selected instance, in the order of the graph.
    pub stages: Vec<Planned>,
}

impl Plan {
    /// Counts the instances by status.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::from([("cached", 0), ("run", 0), ("waiting", 0)]);
        for stage in &self.stages {
            let word = match stage.status() {
                PlanStatus::Cached => "cached",
                PlanStatus::Run => "run",
                PlanStatus::Waiting => "waiting",
            };
            *counts.entry(word).or_default() += 1;
        }
        counts
    }

    /// Iterates over the instances whose results are in the cache, with their manifests.
    pub fn cached(&self) -> impl Iterator<Item = (InstanceId, &Manifest)> {
        self.stages.iter().filter_map(|planned| match &planned.decision.verdict {
            Verdict::Cached(manifest) => Some((planned.index, manifest.as_ref())),
            _ => None,
        })
    }

    /// Returns the manifest of an instance, if its results are in the cache.
    #[must_use]
    pub fn result(&self, index: InstanceId) -> Option<&Manifest> {
        let at = self.stages.binary_search_by_key(&index, |planned| planned.index).ok()?;
        match &self.stages[at].decision.verdict {
            Verdict::Cached(manifest) => Some(manifest),
            _ => None,
        }
    }

    /// Iterates over the warnings of the cached results, each with the name of its instance.
    pub fn warnings<'a>(&'a self, graph: &'a Graph<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
        let of = |(index, manifest): (InstanceId, &'a Manifest)| {
            let instance = &graph.instances[index];
            let warnings = manifest.warnings.iter().filter(|_| instance.same_as.is_none());
            warnings.map(|warning| (instance.name.as_ref(), warning.as_str()))
        };
        self.cached().flat_map(of)
    }

    /// Returns the line of an instance.
    #[must_use]
    pub fn get(&self, index: InstanceId) -> Option<&Planned> {
        self.stages.iter().find(|stage| stage.index == index)
    }
}

/// Plans a run of the selected instances. Writes nothing. With `force`, the targets run even if their results are
/// cached.
///
/// # Errors
/// If the cache cannot be read.
pub fn plan(graph: &Graph<'_>, selection: &Selection, store: &Store, force: bool) -> Result<Plan, StoreError> {
    let history = store.history(&graph.pipeline.file);
    let around = Surroundings::new(store, &history, &graph.pipeline.root, false);
    let saves = store.has_checkpoints()?;
    let line = |index: InstanceId, stages: &[Planned], position: &BTreeMap<InstanceId, usize>| {
        let instance = &graph.instances[index];
        let mut decision = match (decide_recorded(instance, store)?, inputs_in_plan(instance, stages, position)) {
            (Some(decision), _) => decision,
            (None, Ok(inputs)) => decide(instance, inputs, force && selection.targets.contains(&index), &around)?,
            (None, Err(on)) => Decision::without_recipe(Verdict::Waiting(on)),
        };
        let known = match &decision.verdict {
            Verdict::Cached(manifest) => Some(Known::of(&instance.kind, manifest)),
            _ => around.last(&instance.name)?.as_deref().map(|last| Known::of(&instance.kind, last)),
        };
        let resumes = if saves { resumes(&decision, store)? } else { None };
        // They can be made again, and a plan has many lines.
        (decision.recipe, decision.witnesses) = (None, Arc::default());
        Ok((Planned { index, decision, same_as: instance.same_as, price: None, resumes }, known))
    };
    let mut stages: Vec<Planned> = Vec::with_capacity(selection.all.len());
    let mut known: TiVec<InstanceId, Option<Known>> = ti_vec![None; graph.instances.len()];
    let mut position: BTreeMap<InstanceId, usize> = BTreeMap::new();
    let mut rest = selection.all.as_slice();
    while !rest.is_empty() {
        // Instances that depend on none of this batch are decided in parallel.
        let is_free = |index: &&InstanceId| graph.instances[**index].inputs.iter().all(|link| link.from < rest[0]);
        let (turn, later) = rest.split_at(rest.iter().take_while(is_free).count());
        let decide = || {
            let each = turn.par_iter().with_min_len(ALONE).map(|&index| line(index, &stages, &position));
            each.collect::<Result<Vec<_>, StoreError>>()
        };
        for (planned, price) in threads::shared(decide)? {
            known[planned.index] = price;
            position.insert(planned.index, stages.len());
            stages.push(planned);
        }
        rest = later;
    }
    remake_evicted(graph, store, &mut stages, &position)?;
    put_prices(graph, &known, &mut stages);
    Ok(Plan { stages })
}

/// The fewest lines that are worth a second thread.
const ALONE: usize = 256;

/// Sets the price of every instance that will run. Work that continues from a saved state costs less.
fn put_prices(graph: &Graph<'_>, known: &TiSlice<InstanceId, Option<Known>>, stages: &mut [Planned]) {
    if stages.iter().all(|stage| stage.status() == PlanStatus::Cached) {
        return;
    }
    let prices = estimate::expected(graph, known);
    for stage in stages.iter_mut().filter(|stage| stage.status() != PlanStatus::Cached) {
        let done = stage.resumes.map_or(0, |at| at.epoch) as f64;
        let all = stage.decision.extent.as_ref().map_or(0, |extent| extent.epochs) as f64;
        let left = if all > 0.0 { 1.0 - (done / all).min(1.0) } else { 1.0 };
        stage.price = prices[stage.index].map(|price| Price { seconds: price.seconds * left, ..price });
    }
}

/// Returns the saved state that work would continue from.
fn resumes(decision: &Decision, store: &Store) -> Result<Option<Position>, StoreError> {
    let (Verdict::Run(_), Some(recipe), Some(way)) = (&decision.verdict, &decision.recipe, decision.trajectory())
    else {
        return Ok(None);
    };
    let epochs = decision.extent.as_ref().map(|extent| extent.epochs);
    // A program keeps its state in a folder, and a training of strata in checkpoints. Other kinds have none.
    match (&recipe.program, epochs) {
        (Some(_), _) => {
            let kept = store.work_position(&way, epochs.unwrap_or_default())?;
            Ok(kept.map(|epoch| Position { epoch, step: 0 }))
        }
        (None, Some(epoch)) => store.checkpoints(&way).position(Position { epoch, step: 0 }),
        (None, None) => Ok(None),
    }
}

/// Plans to make evicted inputs of work that must run again, in reverse order of the graph.
fn remake_evicted(
    graph: &Graph<'_>,
    store: &Store,
    stages: &mut [Planned],
    position: &BTreeMap<InstanceId, usize>,
) -> Result<(), StoreError> {
    let mut there: BTreeMap<ArtifactHash, bool> = BTreeMap::new();
    for at in (0..stages.len()).rev() {
        if matches!(stages[at].decision.verdict, Verdict::Cached(_)) || stages[at].same_as.is_some() {
            continue;
        }
        for link in &graph.instances[stages[at].index].inputs {
            let maker = &mut stages[position[&link.from]];
            if let Verdict::Cached(manifest) = &maker.decision.verdict
                && let Some(output) = manifest.outputs.get(&*link.output)
            {
                let is_there = match there.get(&output.hash) {
                    Some(known) => *known,
                    None => *there.entry(output.hash).or_insert(store.has(&output.hash)?),
                };
                if is_there {
                    continue;
                }
                let reason = Reason::Evicted { port: link.output.to_string() };
                maker.decision.verdict = Verdict::Run(vec![reason]);
            }
        }
    }
    Ok(())
}

/// Returns the input hashes of an instance, or the dependencies that must run first.
fn inputs_in_plan(
    instance: &Instance<'_>,
    stages: &[Planned],
    position: &BTreeMap<InstanceId, usize>,
) -> Result<BTreeMap<String, ArtifactHash>, Vec<InstanceId>> {
    let mut inputs = BTreeMap::new();
    let mut on = Vec::new();
    for link in &instance.inputs {
        match &stages[position[&link.from]].decision.verdict {
            Verdict::Cached(manifest) => {
                if let Some(output) = manifest.outputs.get(&*link.output) {
                    inputs.insert(link.port.to_owned(), output.hash);
                }
            }
            _ => on.push(link.from),
        }
    }
    on.sort_unstable();
    on.dedup();
    if on.is_empty() { Ok(inputs) } else { Err(on) }
}
