//! What would run, and why. `decide` is the only place that knows what is fresh.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use serde::Serialize;

use super::{
    Graph, Instance, Reason, Selection,
    price::{self, Known, Price},
    recipe::recipe,
};
use crate::{
    digest::{ArtifactHash, StageKey},
    stage::Extent,
    store::{History, Lookup, Manifest, Position, Recipe, Store, StoreError},
};

/// Whether an instance must run.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Its results are in the cache.
    Cached(Box<Manifest>),
    /// It must run, for these reasons (at least one).
    Run(Vec<Reason>),
    /// Not known yet: these instances above (indices into the graph) must run first.
    Waiting(Vec<usize>),
}

/// A verdict, and the recipe it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Whether it must run.
    pub verdict: Verdict,
    /// What would run; `None` while inputs are not known or source files cannot be read.
    pub recipe: Option<Recipe>,
    /// How far it goes, for work that can be taken further.
    pub extent: Option<Extent>,
    key: Option<StageKey>,
}

impl Decision {
    /// The key of the work.
    #[must_use]
    pub fn key(&self) -> Option<StageKey> {
        self.key
    }

    /// The trajectory that the work is on: equal for works that go the same way, less or more far.
    #[must_use]
    pub fn trajectory(&self) -> Option<StageKey> {
        self.recipe.as_ref().map(|recipe| recipe.trajectory(self.extent.as_ref().map_or(&[], |extent| extent.free)))
    }

    /// The first reason to run.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match &self.verdict {
            Verdict::Run(reasons) => reasons.first().cloned().unwrap_or(Reason::New),
            // What an instance waits for is said by the plan, which knows names.
            Verdict::Waiting(_) => Reason::New,
            Verdict::Cached(_) => Reason::Forced,
        }
    }
}

/// What a decision looks at beside the instance.
pub struct Surroundings<'a> {
    /// The cache.
    pub store: &'a Store,
    /// What ran last.
    pub history: &'a History,
    /// Where relative paths start.
    pub root: &'a std::path::Path,
    /// Whether hashes of source files may be written to the cache.
    pub remember: bool,
    /// Records that were read lately: new points of a sweep all look at the last one of their stage.
    pub(super) read: RefCell<BTreeMap<StageKey, Option<Rc<Manifest>>>>,
}

impl<'a> Surroundings<'a> {
    /// A cache, its history, and where relative paths start.
    #[must_use]
    pub fn new(store: &'a Store, history: &'a History, root: &'a std::path::Path, remember: bool) -> Self {
        Self { store, history, root, remember, read: RefCell::default() }
    }

    /// The record of an instance's last run, or of its stage's.
    fn last(&self, instance: &str) -> Result<Option<Rc<Manifest>>, StoreError> {
        let Some(key) = self.history.last(instance) else { return Ok(None) };
        if let Some(known) = self.read.borrow().get(&key) {
            return Ok(known.clone());
        }
        let manifest = self.store.manifest(&key)?.map(Rc::new);
        let mut read = self.read.borrow_mut();
        if read.len() >= 64 {
            read.clear();
        }
        read.insert(key, manifest.clone());
        Ok(manifest)
    }
}

/// Decides whether an instance with these inputs must run.
///
/// # Errors
/// If the cache cannot be read. Source files that cannot be read are a reason to run (and to fail with their name).
pub fn decide(
    instance: &Instance<'_>,
    inputs: BTreeMap<String, ArtifactHash>,
    force: bool,
    around: &Surroundings<'_>,
) -> Result<Decision, StoreError> {
    let recipe = match recipe(instance, inputs, around.root, around.store, around.remember) {
        Ok(recipe) => recipe,
        Err(error) => {
            let reason = Reason::Unreadable { message: error.to_string() };
            return Ok(Decision { verdict: Verdict::Run(vec![reason]), recipe: None, extent: None, key: None });
        }
    };
    let key = recipe.key();
    let verdict = match around.store.lookup(&key)? {
        _ if force => Verdict::Run(vec![Reason::Forced]),
        Lookup::Found(manifest) => Verdict::Cached(manifest),
        Lookup::Damaged { port, damage } => Verdict::Run(vec![Reason::damaged(port, damage)]),
        Lookup::Absent => {
            let last = around.last(&instance.name)?;
            let changes = last.map(|last| Reason::between(&last.recipe, &recipe)).unwrap_or_default();
            Verdict::Run(if changes.is_empty() { vec![Reason::New] } else { changes })
        }
    };
    Ok(Decision { verdict, recipe: Some(recipe), extent: instance.work.extent(), key: Some(key) })
}

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
            (_, Some(other)) => Some(Reason::SameAs { instance: graph.instances[other].name.clone() }),
            (Verdict::Run(reasons), None) => reasons.first().cloned(),
            (Verdict::Waiting(on), None) => Some(waiting(on, graph)),
        }
    }
}

/// The reason of what waits for some instances.
#[must_use]
pub fn waiting(on: &[usize], graph: &Graph<'_>) -> Reason {
    Reason::Waiting { on: on.iter().map(|&from| graph.instances[from].name.clone()).collect() }
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
    let history = store.history(&graph.pipeline.name);
    let around = Surroundings::new(store, &history, &graph.pipeline.root, false);
    let mut stages: Vec<Planned> = Vec::new();
    let mut known: Vec<Option<Known>> = vec![None; graph.instances.len()];
    let mut position: BTreeMap<usize, usize> = BTreeMap::new();
    for &index in &selection.all {
        let instance = &graph.instances[index];
        let decision = match inputs_in_plan(instance, &stages, &position) {
            Ok(inputs) => decide(instance, inputs, force && selection.targets.contains(&index), &around)?,
            Err(on) => Decision { verdict: Verdict::Waiting(on), recipe: None, extent: None, key: None },
        };
        known[index] = match &decision.verdict {
            Verdict::Cached(manifest) => Some(Known::from(manifest.as_ref())),
            _ => around.last(&instance.name)?.as_deref().map(Known::from),
        };
        let resumes = resumes(&decision, store)?;
        position.insert(index, stages.len());
        stages.push(Planned { index, decision, same_as: instance.same_as, price: None, resumes });
    }
    remake_evicted(graph, store, &mut stages, &position)?;
    put_prices(graph, &known, &mut stages);
    Ok(Plan { stages })
}

/// Prices what will run. Work that goes on from a saved state has that much less before it.
fn put_prices(graph: &Graph<'_>, known: &[Option<Known>], stages: &mut [Planned]) {
    if stages.iter().all(|stage| stage.status() == PlanStatus::Cached) {
        return;
    }
    let prices = price::expected(graph, known);
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
    for at in (0..stages.len()).rev() {
        if matches!(stages[at].decision.verdict, Verdict::Cached(_)) || stages[at].same_as.is_some() {
            continue;
        }
        for link in &graph.instances[stages[at].index].inputs {
            let maker = &mut stages[position[&link.from]];
            if let Verdict::Cached(manifest) = &maker.decision.verdict
                && let Some(output) = manifest.outputs.get(&*link.output)
                && !store.has(&output.hash)?
            {
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
