//! Making room: which results cost least to make again.
//!
//! An evicted object keeps its manifest and leaves a mark, so that everything below it stays valid; it is made again only
//! when something that must run needs its bytes. What goes first, in this order:
//!
//! 1. files of interrupted writes, and objects that no manifest names (older than an hour);
//! 2. saved states of trajectories that nobody has touched for a month;
//! 3. objects by the seconds that making them again takes, per byte, less the longer they were not used.
//!
//! Pinned work, work that a live run needs, and anything younger than that run stay.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{Store, StoreError, io_error, is_there, list, remove};
use crate::digest::{ArtifactHash, StageKey};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long saved states are kept for a training that might go on.
const STATES: Duration = Duration::from_secs(30 * 24 * 3600);

/// Something that can go.
#[derive(Clone, Debug, PartialEq)]
pub struct Victim {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Seconds to make it again, 0 if nobody will.
    pub seconds: f64,
    /// What it is, for people: the instance that made it.
    pub what: String,
    /// The object, if it is one that a manifest names.
    pub object: Option<ArtifactHash>,
}

/// What upkeep did, or would do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collection {
    /// Bytes in the cache before.
    pub before: u64,
    /// What goes, in order.
    pub victims: Vec<Victim>,
    /// Bytes that must stay although the limit asks for less.
    pub over: u64,
}

impl Collection {
    /// Bytes that go.
    #[must_use]
    pub fn freed(&self) -> u64 {
        self.victims.iter().map(|victim| victim.bytes).sum()
    }

    /// Seconds that making everything again would take. Several objects of one run are made together.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        let runs: BTreeMap<&str, f64> =
            self.victims.iter().map(|victim| (victim.what.as_str(), victim.seconds)).collect();
        runs.values().sum()
    }
}

/// An object with all that its fate depends on.
struct Candidate {
    victim: Victim,
    value: f64,
}

impl Store {
    /// Chooses what must go so that at most `limit` bytes remain. Deletes nothing.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn plan_gc(&self, limit: u64) -> Result<Collection, StoreError> {
        let now = SystemTime::now();
        let age = |path: &Path| modified(path).and_then(|at| now.duration_since(at).ok()).unwrap_or_default();
        let holders = self.holders()?;
        let needed: BTreeSet<StageKey> = holders.iter().flat_map(|holder| holder.needs.iter().copied()).collect();
        let first = holders.iter().map(|holder| holder.began).filter(|&began| began > 0).min();
        let began = first.and_then(|first| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(first)));
        let (mut candidates, mut protected, mut named) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let pins = self.pins()?;
        for (key, manifest) in self.manifests()? {
            let used = age(&self.manifest_path(&key));
            let young = began.zip(modified(&self.manifest_path(&key))).is_some_and(|(began, made)| made >= began);
            let stays = pins.contains(&key) || needed.contains(&key) || young;
            for output in manifest.outputs.values() {
                named.insert(output.hash);
                let path = self.object_path(&output.hash);
                if stays {
                    protected.insert(output.hash);
                }
                if is_there(&path)? {
                    let days = used.as_secs_f64() / DAY.as_secs_f64();
                    let value = manifest.seconds / (output.bytes.max(1) as f64) / (1.0 + days / 7.0);
                    let what = manifest.provenance.instance.clone();
                    let (bytes, seconds, object) = (output.bytes, manifest.seconds, Some(output.hash));
                    candidates.push(Candidate { victim: Victim { path, bytes, seconds, what, object }, value });
                }
            }
        }
        candidates.retain(|candidate| candidate.victim.object.is_none_or(|hash| !protected.contains(&hash)));
        candidates.sort_by(|a, b| a.value.total_cmp(&b.value).then_with(|| a.victim.path.cmp(&b.victim.path)));

        let mut waste = self.waste(&named, &age)?;
        waste.extend(self.old_states(&age)?);
        let before = self.bytes()?;
        let mut collection = Collection { before, victims: waste, over: 0 };
        let mut taken: BTreeSet<PathBuf> = BTreeSet::new();
        let mut left = before.saturating_sub(collection.freed());
        for Candidate { victim, .. } in candidates {
            if left <= limit {
                break;
            }
            // Several manifests may name one object.
            if taken.insert(victim.path.clone()) {
                left = left.saturating_sub(victim.bytes);
                collection.victims.push(victim);
            }
        }
        collection.over = left.saturating_sub(limit);
        Ok(collection)
    }

    /// Deletes what was chosen. Evicted objects leave a mark.
    ///
    /// # Errors
    /// If the disk refuses; what was deleted before that stays deleted, and the cache is sound.
    pub fn collect(&self, collection: &Collection) -> Result<(), StoreError> {
        for victim in &collection.victims {
            if let Some(hash) = &victim.object {
                // The mark comes first: an object that is gone without one would count as damage.
                let mark = self.eviction_mark(hash);
                fs::write(&mark, b"").map_err(io_error("write", &mark))?;
            }
            remove(&victim.path)?;
        }
        Ok(())
    }

    /// Bytes of everything below the cache's folder that upkeep counts: objects, manifests, states, unfinished files.
    ///
    /// # Errors
    /// If a folder cannot be listed.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        let mut bytes = 0;
        for folder in ["objects", "manifests-v1", "checkpoints-v1", "memo-v1", "history-v2", "tmp"] {
            for file in walk(&self.root.join(folder))? {
                bytes += fs::metadata(&file).map_or(0, |found| found.len());
            }
        }
        Ok(bytes)
    }

    /// Unfinished files and objects without a manifest, both old enough not to be in the making.
    fn waste(
        &self,
        named: &BTreeSet<ArtifactHash>,
        age: &dyn Fn(&Path) -> Duration,
    ) -> Result<Vec<Victim>, StoreError> {
        let mut waste = Vec::new();
        for path in walk(&self.root.join("tmp"))?.into_iter().filter(|path| age(path) > HOUR) {
            waste.push(unmade(path, "an unfinished file"));
        }
        for (path, _) in self.objects()?.into_iter().filter(|(path, _)| age(path) > HOUR) {
            let hash = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            if hash.is_none_or(|hash| !named.contains(&hash)) {
                waste.push(unmade(path, "an object that no result names"));
            }
        }
        Ok(waste)
    }

    fn old_states(&self, age: &dyn Fn(&Path) -> Duration) -> Result<Vec<Victim>, StoreError> {
        let files = walk(&self.root.join("checkpoints-v1"))?.into_iter().filter(|path| age(path) > STATES);
        Ok(files.map(|path| unmade(path, "a saved state, unused for a month")).collect())
    }
}

fn unmade(path: PathBuf, what: &str) -> Victim {
    let bytes = fs::metadata(&path).map_or(0, |found| found.len());
    Victim { path, bytes, seconds: 0.0, what: what.to_owned(), object: None }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|found| found.modified()).ok()
}

/// All files below a folder.
fn walk(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut files = Vec::new();
    for path in list(folder)? {
        if path.is_dir() {
            files.extend(walk(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}
