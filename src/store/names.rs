//! The names of everything in a cache: the one place that spells the tree drawn in `mod.rs`.

use std::{path::Path, str::FromStr};

use crate::digest::{ArtifactHash, StageKey};

pub(super) const OBJECTS: &str = "objects";
pub(super) const MANIFESTS: &str = "manifests-v1";
pub(super) const HISTORY: &str = "history-v2";
pub(super) const MEMO: &str = "memo-v1";
pub(super) const STATES: &str = "checkpoints-v1";
pub(super) const WORK: &str = "work-v1";
pub(super) const SCRATCH: &str = "scratch";
pub(super) const LOGS: &str = "logs-v1";
pub(super) const LOCKS: &str = "locks-v1";
pub(super) const RUNS: &str = "runs-v1";
pub(super) const PINS: &str = "pins-v1";
pub(super) const TMP: &str = "tmp";

/// The bytes of an artifact.
pub(super) fn object(hash: &ArtifactHash) -> String {
    format!("{OBJECTS}/{}/{hash}.safetensors", hash.shard())
}

/// A file that a stage made, kept as it is.
pub(super) fn file(hash: &ArtifactHash) -> String {
    format!("{OBJECTS}/{}/{hash}.file", hash.shard())
}

/// Whether a name in [`OBJECTS`] is that of an object, and not the mark of an evicted one.
pub(super) fn is_object(name: &str) -> bool {
    name.ends_with(".safetensors") || name.ends_with(".file")
}

/// The mark that says that an artifact was evicted, not lost.
pub(super) fn eviction_mark(hash: &ArtifactHash) -> String {
    format!("{OBJECTS}/{}/{hash}.evicted", hash.shard())
}

/// The record of finished work.
pub(super) fn manifest(key: &StageKey) -> String {
    format!("{MANIFESTS}/{}/{key}.json", key.shard())
}

/// The folder of a trajectory's saved states.
pub(super) fn states(trajectory: &StageKey) -> String {
    format!("{STATES}/{}/{trajectory}", trajectory.shard())
}

/// The folder in which programs keep the state of a trajectory.
pub(super) fn work(trajectory: &StageKey) -> String {
    format!("{WORK}/{}/{trajectory}", trajectory.shard())
}

/// What a program printed while it did the work under a key.
pub(super) fn log(key: &StageKey) -> String {
    format!("{LOGS}/{}/{key}.log", key.shard())
}

/// The lock on a trajectory, or on the name that a run announces itself by.
pub(super) fn lock(key: &StageKey) -> String {
    format!("{LOCKS}/{key}.json")
}

/// The pin on finished work, or on the saved states of a trajectory.
pub(super) fn pin(key: &StageKey) -> String {
    format!("{PINS}/{key}")
}

/// The history of the pipeline file at `file`.
pub(super) fn history(file: &Path) -> String {
    let id = blake3::hash(file.as_os_str().as_encoded_bytes()).to_hex();
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let readable: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect();
    format!("{HISTORY}/{readable}-{}.json", &id[..8])
}

/// The remembered hashes of the source files below `base`.
pub(super) fn memo(base: &Path) -> String {
    let id = blake3::hash(base.as_os_str().as_encoded_bytes()).to_hex();
    format!("{MEMO}/{}.json", &id[..32])
}

/// The last segment of a name.
pub(super) fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The key or hash that the last segment of a name is, without its extension.
pub(super) fn id<T: FromStr>(name: &str) -> Option<T> {
    let last = last(name);
    last.rsplit_once('.').map_or(last, |(stem, _)| stem).parse().ok()
}
