//! The keys of the instances of a pipeline file, so that `why` can say what changed since.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use super::{Store, StoreError, blobs::Put, json::record, names};
use crate::digest::StageKey;

/// The most keys that are kept of a stage.
const MOST_EARLIER: usize = 1000;

/// Which key each instance of a pipeline file had when it was last up to date.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    keys: BTreeMap<String, StageKey>,
    /// The keys that instances of each stage had, the latest last.
    #[serde(default)]
    earlier: BTreeMap<String, Vec<StageKey>>,
    #[serde(skip)]
    name: String,
    #[serde(skip)]
    changed: bool,
}

impl Store {
    /// Reads the history of the pipeline file at `file`. Files of the same name in different folders have different
    /// histories. A history that cannot be read counts as empty: only explanations need it.
    #[must_use]
    pub fn history(&self, file: &Path) -> History {
        let name = names::history(file);
        let read: Option<History> = record::open(&*self.blobs, &name).ok().flatten();
        History { name, ..read.unwrap_or_default() }
    }

    /// Writes a history, if it has changed.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, history: &History) -> Result<(), StoreError> {
        if history.changed {
            self.blobs.put(&history.name, &record::seal(&history.name, history), Put::Replace)?;
        }
        Ok(())
    }
}

impl History {
    /// Returns the last key of an instance (`clusters@clusters.clusters=8`), or else of any instance of its stage
    /// (`clusters`).
    #[must_use]
    pub fn last(&self, instance: &str) -> Option<StageKey> {
        let stage = instance.split('@').next().unwrap_or(instance);
        self.keys.get(instance).or_else(|| self.keys.get(stage)).copied()
    }

    /// Iterates over the instances with their last keys.
    pub fn instances(&self) -> impl Iterator<Item = (&str, StageKey)> {
        self.keys.iter().map(|(instance, key)| (instance.as_str(), *key))
    }

    /// Returns the keys that instances of a stage had, the latest first; that of this instance before all others.
    pub fn candidates(&self, instance: &str) -> impl Iterator<Item = StageKey> {
        let stage = instance.split('@').next().unwrap_or(instance);
        // A history of an earlier version has only the last key of each instance.
        let of_stage = move |name: &str| name.strip_prefix(stage).is_some_and(|rest| rest.starts_with('@'));
        let others = self.keys.iter().filter(move |(name, _)| of_stage(name)).map(|(_, key)| key);
        let earlier = self.earlier.get(stage).into_iter().flatten().rev();
        self.last(instance).into_iter().chain(earlier.chain(others).copied())
    }

    /// Records that `instance` is up to date under `key`.
    pub fn note(&mut self, instance: &str, key: StageKey) {
        let stage = instance.split('@').next().unwrap_or(instance);
        if self.keys.insert(instance.to_owned(), key) != Some(key) {
            self.keys.insert(stage.to_owned(), key);
            let earlier = self.earlier.entry(stage.to_owned()).or_default();
            earlier.retain(|known| *known != key);
            earlier.push(key);
            earlier.drain(..earlier.len().saturating_sub(MOST_EARLIER));
            self.changed = true;
        }
    }
}
