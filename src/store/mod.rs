//! The cache: what stages made, and what is known of it, on a disk or elsewhere. Knows no TOML and no graph.
//!
//! ```text
//! cache/
//!   CACHEDIR.TAG                    tells backup programs to leave the folder out
//!   objects/ab/ab12….safetensors    an artifact; its name is the blake3 of its bytes
//!   objects/ab/ab12….file           a file that a stage made, kept as it is
//!   objects/ab/ab12….evicted        the mark of an evicted artifact, which is made again when its bytes are needed
//!   manifests-v1/cd/cd34….json      the record of finished work; its name is the key of the work
//!   runs-v1/20261128-182422-k3f/   the record of a run: what it was asked, what happened, what became of it
//!   history-v2/NAME-ef56….json      the last key of each instance of one pipeline file, for `why`
//!   memo-v1/7890….json              hashes of source files, by their size, times and inode
//!   checkpoints-v1/ab/ab12…/        the saved states of a trajectory, from which training can be resumed or extended
//!   work-v1/ab/ab12…/EPOCHS/        the folder in which a program keeps the state of a trajectory
//!   logs-v1/cd/cd34….log            what a program printed while it did the work under a key
//!   locks-v1/ab12….json             the process that works on a trajectory, with a heartbeat
//!   pins-v1/cd34…                   work (by its key) or saved states (by their trajectory) that are never collected
//!   scratch/ab12…-XXXXXX/           temporary files of a program that runs, named by its trajectory
//!   tmp/                            files being written; while nothing runs, anything here may be deleted
//! ```
//!
//! A file is written to `tmp/`, flushed to the disk, and renamed. The manifest is renamed last: it is the commit
//! point, and everything that it names is there. Deleting the whole folder is always safe and costs only time.
//!
//! # Reading order
//!
//! 1. `blobs/`: named bytes, the few operations on them, and the local folder that implements them. All files below
//!    depend on these operations alone. `names.rs` spells the tree above.
//! 2. `artifact.rs` and `objects.rs`: the bytes that stages make, and how they are kept.
//! 3. `recipe.rs`, `manifest.rs`, `finished.rs`: what decides a result, the record of it, and its commit. `json/` says
//!    how records are written.
//! 4. `checkpoint.rs` and `work_folder.rs`: states of work that is not finished. `lock/`: who works on what.
//! 5. `sources/` and `history.rs`: hashes of files outside the cache, and the keys of earlier runs.
//!    `runs/`: the records of runs.
//! 6. `maintenance/`: garbage collection, pins, verification.

mod artifact;
mod blobs;
mod checkpoint;
mod error;
mod finished;
mod history;
mod json;
mod lock;
mod logs;
mod maintenance;
mod manifest;
mod names;
mod objects;
mod recipe;
mod runs;
mod sources;
#[cfg(test)]
mod tests;
mod work_folder;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub use artifact::{Artifact, ArtifactError, NotFinite};
pub use blobs::{Blobs, Condition, Head, Local, Put};
pub use checkpoint::{Checkpoints, Position, SECONDS, SavedState};
pub use error::StoreError;
pub use finished::{Damage, Lookup};
pub use history::History;
pub use json::{
    canonical::canonical,
    number::{Real, Series, real, reals},
};
pub use lock::{Attempt, BEAT, Holder, Lock};
pub use maintenance::{
    gc::{Collection, Victim, VictimKind},
    verify::Verification,
};
pub use manifest::{Manifest, Output, Provenance};
pub use objects::Lent;
pub use recipe::Recipe;
pub use runs::{
    Changes, Git, IncludedText, NoRunId, PassedOver, Recording, Run, RunEnd, RunId, RunInstance, RunOutcome, RunRecord,
    RunStatus, Runs,
};
pub use sources::{memo::Memo, witness::Witness};
pub use work_folder::{WorkFolder, WorkRecord};

/// A cache: what stages made, and what is known of it.
#[derive(Clone, Debug)]
pub struct Store {
    blobs: Arc<dyn Blobs>,
}

impl Store {
    /// The cache in the folder `root`, which need not exist yet: reading makes nothing, the first commit makes the
    /// folders.
    #[must_use]
    pub fn open(root: impl Into<PathBuf>) -> Self {
        Self::on(Arc::new(Local::new(root)))
    }

    /// The cache that is kept in these blobs.
    #[must_use]
    pub fn on(blobs: Arc<dyn Blobs>) -> Self {
        Self { blobs }
    }

    /// Returns the folder of the cache, or `None` if it is not a folder of this machine.
    #[must_use]
    pub fn root(&self) -> Option<&Path> {
        self.blobs.local_root()
    }

    /// Returns where the cache is, for people: a path or a URL.
    #[must_use]
    pub fn place(&self) -> String {
        self.blobs.place("")
    }

    /// Returns whether there is a cache: a folder that holds what a cache holds, or nothing yet.
    ///
    /// # Errors
    /// If the disk does not say.
    pub fn is_there(&self) -> Result<bool, StoreError> {
        self.root().map_or(Ok(true), blobs::is_cache)
    }

    /// Checks, before hours of work, that results can be written.
    ///
    /// # Errors
    /// If nothing can be written.
    pub fn ensure_writable(&self) -> Result<(), StoreError> {
        self.blobs.probe().map(drop)
    }
}
