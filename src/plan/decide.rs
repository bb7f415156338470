//! Decides whether an instance must run. `decide` is the only function that knows what is fresh.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Reason,
    recipe::{Witnesses, recipe},
};
use crate::{
    digest::{ArtifactHash, StageKey},
    graph::{Instance, InstanceId, Recorded},
    stage::Extent,
    store::{History, Lookup, Manifest, Recipe, Store, StoreError},
};

/// Whether an instance must run.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Its results are in the cache.
    Cached(Box<Manifest>),
    /// It must run, for these reasons. There is at least one.
    Run(Vec<Reason>),
    /// It is not known yet: these instances, which it depends on, must run first.
    Waiting(Vec<InstanceId>),
}

/// A verdict, and the recipe that it applies to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Whether it must run.
    pub verdict: Verdict,
    /// The recipe of the work; `None` while inputs are not known or source files cannot be read.
    pub recipe: Option<Recipe>,
    /// How long it trains, if it is work that can be extended.
    pub extent: Option<Extent>,
    /// Whether it runs even if its results are in the cache.
    pub forced: bool,
    pub(super) key: Option<StageKey>,
    /// The state of the source files in the recipe when they were hashed.
    pub(crate) witnesses: Arc<Witnesses>,
}

impl Decision {
    /// Makes a decision about work whose inputs are not known.
    pub(super) fn without_recipe(verdict: Verdict) -> Self {
        Self { verdict, recipe: None, extent: None, forced: false, key: None, witnesses: Arc::default() }
    }

    /// Returns the key of the work.
    #[must_use]
    pub fn key(&self) -> Option<StageKey> {
        self.key
    }

    /// Returns the key of the work's trajectory. Works that differ only in how long they train have the same one.
    #[must_use]
    pub fn trajectory(&self) -> Option<StageKey> {
        self.recipe.as_ref().map(|recipe| recipe.trajectory(self.extent.as_ref().map_or(&[], |extent| &extent.free)))
    }
}

/// The most recipes that a new one is compared with.
const MOST_COMPARED: usize = 256;

/// The context of a decision, apart from the instance.
pub struct Surroundings<'a> {
    /// The cache.
    pub store: &'a Store,
    /// The last run of each instance.
    pub history: &'a History,
    /// The folder that relative paths start from.
    pub root: &'a std::path::Path,
    /// Whether hashes of source files may be written to the cache.
    pub remember: bool,
    /// Manifests that were read recently: all new points of a sweep look up the last run of their stage.
    read: Mutex<BTreeMap<StageKey, Option<Arc<Manifest>>>>,
}

impl<'a> Surroundings<'a> {
    /// Makes the context from a cache, its history, and the folder that relative paths start from.
    #[must_use]
    pub fn new(store: &'a Store, history: &'a History, root: &'a std::path::Path, remember: bool) -> Self {
        Self { store, history, root, remember, read: Mutex::default() }
    }

    /// Returns the manifest of an instance's last run, or of its stage's if the instance never ran.
    pub(super) fn last(&self, instance: &str) -> Result<Option<Arc<Manifest>>, StoreError> {
        self.history.last(instance).map_or(Ok(None), |key| self.manifest(key))
    }

    /// Returns what changed since the nearest recipe of the same stage: that which differs in the fewest fields, and of
    /// several the latest. Nothing if the stage never ran.
    fn changes(&self, instance: &str, recipe: &Recipe) -> Result<Vec<Reason>, StoreError> {
        let (mut nearest, mut least) = (Vec::new(), (true, usize::MAX));
        let mut compared = BTreeSet::new();
        for key in self.history.candidates(instance) {
            if compared.len() == MOST_COMPARED {
                break;
            }
            let Some(other) = compared.insert(key).then(|| self.manifest(key)).transpose()?.flatten() else { continue };
            let changes = Reason::between(&other.recipe, recipe);
            // Of another kind, only the kind is compared.
            let distance = (other.recipe.kind != recipe.kind, changes.len());
            if distance < least {
                (nearest, least) = (changes, distance);
            }
            if least <= (false, 1) {
                break;
            }
        }
        Ok(nearest)
    }

    fn manifest(&self, key: StageKey) -> Result<Option<Arc<Manifest>>, StoreError> {
        if let Some(known) = self.read.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let manifest = self.store.manifest(&key)?.map(Arc::new);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.len() >= 2 * MOST_COMPARED {
            read.clear();
        }
        read.insert(key, manifest.clone());
        Ok(manifest)
    }
}

/// Decides about an instance of an earlier run that is looked at: its result is that of the run, and no other. `None` if the
/// graph is not that of an earlier run.
pub(super) fn decide_recorded(instance: &Instance<'_>, store: &Store) -> Result<Option<Decision>, StoreError> {
    let (key, verdict) = match instance.recorded {
        None => return Ok(None),
        Some(Recorded::Missing(key)) => (key, Verdict::Run(vec![Reason::NotInRun])),
        Some(Recorded::Made(key)) => {
            let verdict = match store.lookup(&key)? {
                Lookup::Found(manifest) => Verdict::Cached(manifest),
                Lookup::Damaged { port, damage } => Verdict::Run(vec![Reason::damaged(port, damage)]),
                Lookup::Absent => Verdict::Run(vec![Reason::Deleted]),
            };
            (Some(key), verdict)
        }
    };
    Ok(Some(Decision { key, ..Decision::without_recipe(verdict) }))
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
    let (recipe, witnesses) = match recipe(instance, inputs, around.root, around.store, around.remember) {
        Ok(made) => made,
        Err(error) => {
            let reason = Reason::Unreadable { message: error.to_string() };
            return Ok(Decision::without_recipe(Verdict::Run(vec![reason])));
        }
    };
    let key = recipe.key();
    let verdict = match around.store.lookup(&key)? {
        _ if force => Verdict::Run(vec![Reason::Forced]),
        Lookup::Found(manifest) => Verdict::Cached(manifest),
        Lookup::Damaged { port, damage } => Verdict::Run(vec![Reason::damaged(port, damage)]),
        Lookup::Absent => {
            let changes = around.changes(&instance.name, &recipe)?;
            Verdict::Run(if changes.is_empty() { vec![Reason::New] } else { changes })
        }
    };
    let (extent, witnesses) = (instance.work.extent(), Arc::new(witnesses));
    Ok(Decision { verdict, recipe: Some(recipe), extent, forced: force, key: Some(key), witnesses })
}
