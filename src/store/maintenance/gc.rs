//! Garbage collection: deletes what is cheapest to make again, and only as much as the limit asks for.
//!
//! Files left behind by dead processes (`leftovers.rs`) are always deleted. Everything else stays while there is room.
//! Beyond the limit, objects and saved states are deleted in the order of the seconds of work per byte in them, which
//! counts for less the longer they have not been used. The state of an unfinished training keeps its full value,
//! however old it is, because nothing else holds its work.
//!
//! An evicted object keeps its manifest and leaves a mark, so everything that depends on it stays valid; it is made
//! again only when a stage that must run needs its bytes. Never deleted: pinned work and its saved states, work that a
//! live run needs, states whose trajectory is locked, and anything written since the oldest live run began.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use crate::{
    digest::{ArtifactHash, StageKey},
    store::{Manifest, SavedState, Store, StoreError, blobs::Put, names},
};

/// A younger file may still be being written.
pub(super) const OLD: Duration = Duration::from_secs(3600);

/// Results of this age count for half of their seconds.
const HALF: Duration = Duration::from_secs(7 * 24 * 3600);

/// The folders whose bytes count against the limit.
const COUNTED: [&str; 9] = [
    names::OBJECTS,
    names::MANIFESTS,
    names::STATES,
    names::LOGS,
    names::MEMO,
    names::HISTORY,
    names::LOCKS,
    names::RUNS,
    names::TMP,
];

/// What a victim is, which decides how it is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VictimKind {
    /// An object that a manifest names. Its deletion leaves a mark.
    Object(ArtifactHash),
    /// A saved state of this trajectory. It is not deleted while the trajectory is locked.
    State(StageKey),
    /// A lock without a holder. It is not deleted if someone has taken it since.
    Lock,
    /// A folder for temporary files of a program that is gone.
    Folder,
    /// Anything else, which is just deleted.
    File,
}

/// A blob to delete.
#[derive(Clone, Debug, PartialEq)]
pub struct Victim {
    /// The name of its blob.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Seconds of work in it; 0 if nothing needs it.
    pub seconds: f64,
    /// A description for people: the instance that made it.
    pub what: String,
    /// What it is.
    pub kind: VictimKind,
}

/// What garbage collection deletes, or would delete.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collection {
    /// Bytes in the cache before.
    pub before: u64,
    /// The blobs to delete, in order.
    pub victims: Vec<Victim>,
    /// Seconds that making everything again would take. The outputs of one run are made together, and work that a
    /// remaining saved state holds is not repeated.
    pub seconds: f64,
    /// Bytes above the limit that cannot be deleted.
    pub over: u64,
}

impl Collection {
    /// Returns the bytes that are deleted.
    #[must_use]
    pub fn freed(&self) -> u64 {
        self.victims.iter().map(|victim| victim.bytes).sum()
    }
}

/// A possible victim.
struct Candidate {
    victim: Victim,
    /// Seconds of work for each byte.
    value: f64,
    /// The work that makes it: its trajectory if it has one, else its key.
    work: StageKey,
}

/// The contents of a cache, as garbage collection sees them.
struct Survey {
    candidates: Vec<Candidate>,
    /// The objects that manifests refer to.
    named: BTreeSet<ArtifactHash>,
    /// The keys of manifests.
    works: BTreeSet<StageKey>,
    states: Vec<SavedState>,
}

impl Store {
    /// Chooses what to delete so that at most `limit` bytes remain. Deletes nothing. `trajectory` gives the trajectory
    /// of a manifest's work, if its kind saves states.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn plan_gc(
        &self,
        limit: u64,
        trajectory_of: &dyn Fn(&Manifest) -> Option<StageKey>,
    ) -> Result<Collection, StoreError> {
        let now = SystemTime::now();
        let age = |name: &str| self.modified(name).and_then(|at| now.duration_since(at).ok()).unwrap_or_default();
        let Survey { mut candidates, named, works, states } = self.survey(trajectory_of, &age)?;
        candidates.sort_by(|a, b| a.value.total_cmp(&b.value).then_with(|| a.victim.name.cmp(&b.victim.name)));

        let before = self.bytes()?;
        let mut collection =
            Collection { before, victims: self.leftovers(&named, &works, &age)?, ..Collection::default() };
        let mut taken: BTreeSet<String> = BTreeSet::new();
        let mut lost: BTreeMap<StageKey, f64> = BTreeMap::new();
        let mut left = before.saturating_sub(collection.freed());
        for Candidate { victim, work, .. } in candidates {
            if left <= limit {
                break;
            }
            // Several manifests may name one object.
            if taken.insert(victim.name.clone()) {
                left = left.saturating_sub(victim.bytes);
                let seconds = lost.entry(work).or_default();
                *seconds = seconds.max(victim.seconds);
                collection.victims.push(victim);
            }
        }
        let mut saved: BTreeMap<StageKey, f64> = BTreeMap::new();
        for state in states.iter().filter(|state| !taken.contains(&state.name)) {
            if lost.get(&state.trajectory).is_some_and(|lost| state.seconds <= *lost) {
                let most = saved.entry(state.trajectory).or_default();
                *most = most.max(state.seconds);
            }
        }
        collection.seconds = lost.values().sum::<f64>() - saved.values().sum::<f64>();
        collection.over = left.saturating_sub(limit);
        Ok(collection)
    }

    /// Lists everything that may be deleted if there is no room for it.
    fn survey(
        &self,
        trajectory_of: &dyn Fn(&Manifest) -> Option<StageKey>,
        age: &dyn Fn(&str) -> Duration,
    ) -> Result<Survey, StoreError> {
        let holders = self.holders()?;
        let needed: BTreeSet<StageKey> = holders.iter().flat_map(|holder| holder.needs.iter().copied()).collect();
        let first = holders.iter().map(|holder| holder.began).filter(|&began| began > 0).min();
        let began = first.and_then(|first| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(first)));
        let young = |name: &str| began.zip(self.modified(name)).is_some_and(|(began, made)| made >= began);
        let pins = self.pins()?;
        let stays = |key: &StageKey| pins.contains(key) || needed.contains(key);
        let fading = |name: &str| 1.0 + age(name).as_secs_f64() / HALF.as_secs_f64();

        let (mut candidates, mut protected) = (Vec::new(), BTreeSet::new());
        let (mut named, mut works) = (BTreeSet::new(), BTreeSet::new());
        // The trajectories of finished work, and whether that work is held.
        let mut finished: BTreeMap<StageKey, bool> = BTreeMap::new();
        for (key, manifest) in self.manifests()? {
            let record = names::manifest(&key);
            works.insert(key);
            let (pinned, trajectory) = (stays(&key), trajectory_of(&manifest));
            if let Some(trajectory) = trajectory {
                *finished.entry(trajectory).or_default() |= pinned;
            }
            for output in manifest.outputs.values() {
                named.insert(output.hash);
                if pinned || young(&record) {
                    protected.insert(output.hash);
                }
                if let Some((name, _)) = self.locate(&output.hash)? {
                    let (bytes, seconds, kind) = (output.bytes, manifest.seconds, VictimKind::Object(output.hash));
                    let value = seconds / (bytes.max(1) as f64) / fading(&record);
                    let what = manifest.provenance.instance.clone();
                    let work = trajectory.unwrap_or(key);
                    candidates.push(Candidate { victim: Victim { name, bytes, seconds, what, kind }, value, work });
                }
            }
        }
        candidates.retain(|one| !matches!(one.victim.kind, VictimKind::Object(hash) if protected.contains(&hash)));

        let states = self.saved_states()?;
        for state in &states {
            let SavedState { trajectory, at, name, bytes, seconds, .. } = state.clone();
            let done = finished.get(&trajectory);
            if stays(&trajectory) || done == Some(&true) || young(&name) || self.holder(&trajectory)?.is_some() {
                continue;
            }
            let of = state.instance.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
            let what = format!("the state{of} after epoch {}, step {}", at.epoch, at.step);
            let fading = if done.is_some() { fading(&name) } else { 1.0 };
            let value = seconds / (bytes.max(1) as f64) / fading;
            let victim = Victim { name, bytes, seconds, what, kind: VictimKind::State(trajectory) };
            candidates.push(Candidate { victim, value, work: trajectory });
        }
        Ok(Survey { candidates, named, works, states })
    }

    /// Deletes what was chosen. Evicted objects leave a mark.
    ///
    /// # Errors
    /// If something cannot be deleted. What was deleted before that stays deleted, and the cache is sound.
    pub fn collect(&self, collection: &Collection) -> Result<(), StoreError> {
        for victim in &collection.victims {
            match &victim.kind {
                VictimKind::Object(hash) => {
                    // The mark comes first: an object that is gone without one would count as damage.
                    self.blobs.put(&names::eviction_mark(hash), b"", Put::Create)?;
                }
                // A run may have started on it since it was chosen.
                VictimKind::State(trajectory) if self.holder(trajectory)?.is_some() => continue,
                VictimKind::State(_) | VictimKind::Folder if self.is_folder(&victim.name) => {
                    self.delete_folder(&victim.name)?;
                    continue;
                }
                VictimKind::Lock => {
                    self.clear_lost(&victim.name, OLD)?;
                    continue;
                }
                VictimKind::State(_) | VictimKind::Folder | VictimKind::File => {}
            }
            self.blobs.delete(&victim.name)?;
        }
        Ok(())
    }

    /// Returns the bytes of everything that counts against the limit.
    ///
    /// # Errors
    /// If a folder cannot be listed.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        let mut bytes = 0;
        for folder in COUNTED {
            bytes += self.blobs.list(folder)?.iter().map(|name| self.size(name)).sum::<u64>();
        }
        bytes += self.work_states()?.iter().map(|state| state.bytes).sum::<u64>();
        bytes += self.scratches()?.iter().map(|(_, _, bytes)| bytes).sum::<u64>();
        Ok(bytes)
    }

    fn is_folder(&self, name: &str) -> bool {
        self.root().is_some_and(|root| root.join(name).is_dir())
    }

    /// Returns the size of a blob; 0 if it is gone.
    pub(super) fn size(&self, name: &str) -> u64 {
        self.blobs.head(name).ok().flatten().map_or(0, |head| head.bytes)
    }

    fn modified(&self, name: &str) -> Option<SystemTime> {
        self.blobs.head(name).ok().flatten().map(|head| head.modified)
    }
}
