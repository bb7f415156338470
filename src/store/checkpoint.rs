//! Saved states: the progress of training that is not finished, or that more epochs can continue.
//!
//! The states of one trajectory are in one folder, `checkpoints-v1/ab/ab12…/EPOCH-STEP-HASH.safetensors`. The hash in
//! the name is the blake3 of the bytes, so a damaged state is noticed and skipped, and the one before it is used.

use serde::Serialize;
use serde_json::Value;

use super::{Artifact, Store, StoreError, artifact, blobs::Put, names};
use crate::digest::{ArtifactHash, StageKey};

/// How far training has come: whole epochs, and steps into the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// Epochs done.
    pub epoch: u64,
    /// Steps done since.
    pub step: u64,
}

/// The saved states of one trajectory: all work that is equal except for how long it trains.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    store: Store,
    folder: String,
    /// The instance that saves states here (`PIPELINE/INSTANCE`), for people.
    instance: Option<String>,
}

/// A saved state, as listed for garbage collection and for people.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedState {
    /// The trajectory that it belongs to.
    pub trajectory: StageKey,
    /// How far the training had come.
    pub at: Position,
    /// The name of its blob, or of the folder that a program keeps it in.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Seconds of work in it; 0 if the state does not say.
    pub seconds: f64,
    /// The instance that saved it (`PIPELINE/INSTANCE`), if the state says so.
    pub instance: Option<String>,
}

/// The attribute of a state that holds the seconds of work up to it.
pub const SECONDS: &str = "seconds";
/// The attribute of a state that holds the name of the instance that saved it.
const INSTANCE: &str = "instance";
/// Bytes that are read at first to find the attributes. Nearly all headers are shorter.
const START: u64 = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Saved {
    at: Position,
    name: String,
    hash: ArtifactHash,
}

impl Store {
    /// Returns the saved states of a trajectory. Reads nothing yet.
    #[must_use]
    pub fn checkpoints(&self, trajectory: &StageKey) -> Checkpoints {
        Checkpoints { store: self.clone(), folder: names::states(trajectory), instance: None }
    }

    /// Describes every saved state, ordered by trajectory and then by position.
    ///
    /// # Errors
    /// If a folder or a file cannot be read.
    pub fn saved_states(&self) -> Result<Vec<SavedState>, StoreError> {
        let mut states = Vec::new();
        for name in self.blobs.list(names::STATES)? {
            let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
            if let Ok(trajectory) = names::last(folder).parse()
                && let Some(saved) = Saved::parse(name)
            {
                states.extend(self.describe(trajectory, saved)?);
            }
        }
        states.extend(self.work_states()?);
        states.sort_by_key(|state| (state.trajectory, state.at));
        Ok(states)
    }

    /// Deletes all saved states of a trajectory.
    ///
    /// # Errors
    /// If a state cannot be deleted.
    pub fn clear_states(&self, trajectory: &StageKey) -> Result<(), StoreError> {
        self.checkpoints(trajectory).clear()?;
        self.clear_work(trajectory)
    }

    /// Returns whether there may be saved states of any trajectory. False is certain.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn has_checkpoints(&self) -> Result<bool, StoreError> {
        Ok(!self.blobs.is_empty(names::STATES)? || !self.blobs.is_empty(names::WORK)?)
    }

    /// Reads the attributes of a state, not its tensors; `None` if the state is gone.
    fn describe(&self, trajectory: StageKey, saved: Saved) -> Result<Option<SavedState>, StoreError> {
        let Saved { at, name, .. } = saved;
        let Some(head) = self.blobs.head(&name)? else { return Ok(None) };
        let Some(mut start) = self.blobs.get_start(&name, START)? else { return Ok(None) };
        let whole = artifact::header_bytes(&start);
        if whole > START {
            start = self.blobs.get_start(&name, whole)?.unwrap_or_default();
        }
        let attributes = artifact::attributes_in(&start);
        let seconds = attributes.get(SECONDS).and_then(Value::as_f64).unwrap_or_default();
        let instance = attributes.get(INSTANCE).and_then(Value::as_str).map(str::to_owned);
        Ok(Some(SavedState { trajectory, at, name, bytes: head.bytes, seconds, instance }))
    }
}

impl Checkpoints {
    /// Sets the name `PIPELINE/INSTANCE` that is written into the states saved from now on.
    #[must_use]
    pub fn of(mut self, name: String) -> Self {
        self.instance = Some(name);
        self
    }

    /// Saves a state, and deletes the earlier ones of the trajectory for which `kept` is false.
    ///
    /// # Errors
    /// If the state cannot be written. What was saved before is then still there.
    pub fn save(&self, at: Position, state: &Artifact, kept: impl Fn(Position) -> bool) -> Result<(), StoreError> {
        let named = self.instance.as_ref().map(|name| state.clone().attribute(INSTANCE, name.as_str()));
        let bytes = named.as_ref().unwrap_or(state).to_bytes()?;
        let name = format!("{:06}-{:08}-{}.safetensors", at.epoch, at.step, artifact::hash(&bytes));
        let name = format!("{}/{name}", self.folder);
        self.store.blobs.put(&name, &bytes, Put::Replace)?;
        for old in self.saved()? {
            if old.name != name && old.at <= at && !kept(old.at) {
                self.store.blobs.delete(&old.name)?;
            }
        }
        Ok(())
    }

    /// Reads the last undamaged state at or before `limit`.
    ///
    /// # Errors
    /// If the folder cannot be listed, or a state is there and cannot be read: it may hold hours of work.
    pub fn latest(&self, limit: Position) -> Result<Option<(Position, Artifact)>, StoreError> {
        for saved in self.saved()?.into_iter().rev().filter(|saved| saved.at <= limit) {
            let Some(bytes) = self.store.blobs.get(&saved.name)? else { continue };
            if artifact::hash(&bytes) == saved.hash
                && let Ok(state) = Artifact::from_bytes(&bytes)
            {
                return Ok(Some((saved.at, state)));
            }
        }
        Ok(None)
    }

    /// Returns the position of the last state at or before `limit`, without reading it.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn position(&self, limit: Position) -> Result<Option<Position>, StoreError> {
        Ok(self.saved()?.into_iter().rev().map(|saved| saved.at).find(|at| *at <= limit))
    }

    /// Deletes all states.
    ///
    /// # Errors
    /// If a state cannot be deleted.
    pub fn clear(&self) -> Result<(), StoreError> {
        self.store.blobs.delete_all(&self.folder)
    }

    /// Lists all states, the last position last.
    fn saved(&self) -> Result<Vec<Saved>, StoreError> {
        let mut saved: Vec<Saved> = self.store.blobs.list(&self.folder)?.into_iter().filter_map(Saved::parse).collect();
        saved.sort();
        Ok(saved)
    }
}

impl Saved {
    fn parse(name: String) -> Option<Self> {
        let mut parts = names::last(&name).strip_suffix(".safetensors")?.splitn(3, '-');
        let at = Position { epoch: parts.next()?.parse().ok()?, step: parts.next()?.parse().ok()? };
        let hash = parts.next()?.parse().ok()?;
        Some(Self { at, name, hash })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    fn state(value: f32) -> Artifact {
        Artifact::new().with("x", Tensor::new(value, &Device::Cpu).expect("a scalar"))
    }

    fn value(found: Option<(Position, Artifact)>) -> Option<(u64, f32)> {
        found.map(|(at, state)| (at.epoch, state.tensor("x").and_then(|x| Ok(x.to_scalar()?)).expect("a scalar")))
    }

    #[test]
    fn the_furthest_sound_state_is_found() -> Result<(), StoreError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path());
        let checkpoints = store.checkpoints(&StageKey::of(b"x"));
        let at = |epoch| Position { epoch, step: 0 };
        assert_eq!(checkpoints.latest(at(9))?.map(|(at, _)| at), None);
        for epoch in 1..=4 {
            checkpoints.save(at(epoch), &state(epoch as f32), |old| old.epoch == 2 || epoch == 4)?;
        }
        assert_eq!(value(checkpoints.latest(at(9))?), Some((4, 4.0)));
        assert_eq!(value(checkpoints.latest(at(3))?), Some((3, 3.0)));
        let last = checkpoints.saved()?.pop().expect("four states");
        let known: Vec<(u64, f64)> =
            store.saved_states()?.iter().map(|state| (state.at.epoch, state.seconds)).collect();
        assert_eq!(known, [(2, 0.0), (3, 0.0), (4, 0.0)]);
        store.blobs.put(&last.name, b"torn", Put::Replace)?;
        assert_eq!(store.saved_states()?.len(), 3, "a damaged state is listed all the same");
        assert_eq!(value(checkpoints.latest(at(9))?), Some((3, 3.0)), "a torn state is passed over");
        assert_eq!(checkpoints.saved()?.iter().map(|s| s.at.epoch).collect::<Vec<_>>(), [2, 3, 4]);
        Ok(())
    }

    #[test]
    fn a_state_says_what_work_is_in_it() -> Result<(), StoreError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path());
        let at = Position { epoch: 1, step: 2 };
        let named = store.checkpoints(&StageKey::of(b"x")).of("p/simclr".to_owned());
        named.save(at, &state(1.0).attribute(SECONDS, 3.5), |_| false)?;
        let states = store.saved_states()?;
        let [SavedState { seconds: 3.5, instance: Some(name), bytes: 1.., .. }] = &states[..] else {
            panic!("{states:?}")
        };
        assert_eq!((name.as_str(), states[0].at, states[0].trajectory), ("p/simclr", at, StageKey::of(b"x")));
        Ok(())
    }
}
