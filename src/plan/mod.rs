//! What would run, why, and what it is expected to take. Reads the store and starts nothing.
//!
//! A plan is a run with the execution left out: both ask [`decide::decide`]. Below the first instance that must run, a plan
//! says `waiting`, since whether an instance below must run depends on the bytes that come out above.
//!
//! Reading order: `recipe` (what is in a key), `decide` (what is fresh), `reason` (why it is not), this file, `estimate`
//! (seconds), [`explain`] (the way from a reason to its cause).

pub mod decide;
pub mod estimate;
pub mod explain;
mod reason;
pub mod recipe;

use std::{collections::BTreeMap, sync::Arc};

use rayon::prelude::*;
use serde::Serialize;

pub use self::{decide::Verdict, reason::Reason};
use self::{
    decide::{Decision, Surroundings, decide},
    estimate::{Known, Price},
    recipe::{RecipeError, recipe},
};
use crate::{
    digest::ArtifactHash,
    graph::{Graph, Instance, Selection},
    store::{Manifest, Position, Recipe, Store, StoreError},
    threads,
};

/// The word of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanStatus {
    /// Its results are in the cache (or will be, as another instance is the same work).
    Cached,
    /// It will run.
    Run,
    /// It will run unless what runs above gives the same bytes as before.
    Waiting,
}

/// One line of a plan.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The instance, an index into the graph.
    pub index: usize,
    /// The decision.
    pub decision: Decision,
    /// Another instance that is the same work and stands earlier.
    pub same_as: Option<usize>,
    /// What it is expected to take, if it must run and its like ran before.
    pub price: Option<Price>,
    /// The saved state that it would go on from.
    pub resumes: Option<Position>,
}

impl Planned {
    /// The word of the plan.
    #[must_use]
    pub fn status(&self) -> PlanStatus {
        match self.decision.verdict {
            _ if self.same_as.is_some() => PlanStatus::Cached,
            Verdict::Cached(_) => PlanStatus::Cached,
            Verdict::Run(_) => PlanStatus::Run,
            Verdict::Waiting(_) => PlanStatus::Waiting,
        }
    }

    /// The first reason that it is not simply cached.
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

/// The recipe of an instance whose inputs are all cached, by what the plan says of those; none if they are not.
///
/// # Errors
/// If source files cannot be read.
pub fn recipe_of<'p>(
    graph: &Graph<'_>,
    index: usize,
    store: &Store,
    planned: impl Fn(usize) -> Option<&'p Planned>,
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

/// The reason of what waits for some instances.
#[must_use]
pub fn waiting(on: &[usize], graph: &Graph<'_>) -> Reason {
    Reason::Waiting { on: on.iter().map(|&from| graph.instances[from].name.to_string()).collect() }
}

/// What a run would do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One line for each selected instance, in the order of the graph.
    pub stages: Vec<Planned>,
}

impl Plan {
    /// Instances by status word.
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

    /// The instances whose results are in the cache, with their records.
    pub fn cached(&self) -> impl Iterator<Item = (usize, &Manifest)> {
        self.stages.iter().filter_map(|planned| match &planned.decision.verdict {
            Verdict::Cached(manifest) => Some((planned.index, manifest.as_ref())),
            _ => None,
        })
    }

    /// The record of an instance, if its results are in the cache.
    #[must_use]
    pub fn result(&self, index: usize) -> Option<&Manifest> {
        let at = self.stages.binary_search_by_key(&index, |planned| planned.index).ok()?;
        match &self.stages[at].decision.verdict {
            Verdict::Cached(manifest) => Some(manifest),
            _ => None,
        }
    }

    /// What the cached results warn of, each with the name of its instance.
    pub fn warnings<'a>(&'a self, graph: &'a Graph<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
        let of = |(index, manifest): (usize, &'a Manifest)| {
            let instance = &graph.instances[index];
            let warnings = manifest.warnings.iter().filter(|_| instance.same_as.is_none());
            warnings.map(|warning| (instance.name.as_ref(), warning.as_str()))
        };
        self.cached().flat_map(of)
    }

    /// The line of an instance.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Planned> {
        self.stages.iter().find(|stage| stage.index == index)
    }
}

/// Plans a run of the selected instances. Writes nothing. With `force`, the targets run whatever the cache holds.
///
/// # Errors
/// If the cache cannot be read.
pub fn plan(graph: &Graph<'_>, selection: &Selection, store: &Store, force: bool) -> Result<Plan, StoreError> {
    let history = store.history(&graph.pipeline.file);
    let around = Surroundings::new(store, &history, &graph.pipeline.root, false);
    let saves = store.has_checkpoints()?;
    let line = |index: usize, stages: &[Planned], position: &BTreeMap<usize, usize>| {
        let instance = &graph.instances[index];
        let mut decision = match inputs_in_plan(instance, stages, position) {
            Ok(inputs) => decide(instance, inputs, force && selection.targets.contains(&index), &around)?,
            Err(on) => Decision::without_recipe(Verdict::Waiting(on)),
        };
        let known = match &decision.verdict {
            Verdict::Cached(manifest) => Some(Known::of(&instance.kind, manifest)),
            _ => around.last(&instance.name)?.as_deref().map(|last| Known::of(&instance.kind, last)),
        };
        let resumes = if saves { resumes(&decision, store)? } else { None };
        // It can be made again, and a plan has many lines.
        (decision.recipe, decision.witnesses) = (None, Arc::default());
        Ok((Planned { index, decision, same_as: instance.same_as, price: None, resumes }, known))
    };
    let mut stages: Vec<Planned> = Vec::with_capacity(selection.all.len());
    let mut known: Vec<Option<Known>> = vec![None; graph.instances.len()];
    let mut position: BTreeMap<usize, usize> = BTreeMap::new();
    let mut rest = selection.all.as_slice();
    while !rest.is_empty() {
        // Those that stand on nothing of this turn are decided side by side.
        let is_free = |index: &&usize| graph.instances[**index].inputs.iter().all(|link| link.from < rest[0]);
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

/// So many lines are not worth a second thread.
const ALONE: usize = 256;

/// Prices what will run. Work that goes on from a saved state has that much less before it.
fn put_prices(graph: &Graph<'_>, known: &[Option<Known>], stages: &mut [Planned]) {
    if stages.iter().all(|stage| stage.status() == PlanStatus::Cached) {
        return;
    }
    let prices = estimate::expected(graph, known);
    for stage in stages.iter_mut().filter(|stage| stage.status() != PlanStatus::Cached) {
        let done = stage.resumes.map_or(0, |at| at.epoch) as f64;
        let all = stage.decision.extent.as_ref().map_or(0, |extent| extent.epochs).max(1) as f64;
        let left = 1.0 - (done / all).min(1.0);
        stage.price = prices[stage.index].map(|price| Price { seconds: price.seconds * left, ..price });
    }
}

/// The saved state that work would go on from.
fn resumes(decision: &Decision, store: &Store) -> Result<Option<Position>, StoreError> {
    let (Verdict::Run(_), Some(extent), Some(way)) = (&decision.verdict, &decision.extent, decision.trajectory())
    else {
        return Ok(None);
    };
    store.checkpoints(&way).position(Position { epoch: extent.epochs, step: 0 })
}

/// What must run needs the bytes of its inputs: those that were evicted are made again, from the bottom up.
fn remake_evicted(
    graph: &Graph<'_>,
    store: &Store,
    stages: &mut [Planned],
    position: &BTreeMap<usize, usize>,
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

/// The input hashes of an instance, or the instances above that must run first.
fn inputs_in_plan(
    instance: &Instance<'_>,
    stages: &[Planned],
    position: &BTreeMap<usize, usize>,
) -> Result<BTreeMap<String, ArtifactHash>, Vec<usize>> {
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
