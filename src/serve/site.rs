//! What is served, and what is remembered of it between two requests.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{events::Followed, listed::Listed};
use crate::{
    experiment::is_of,
    stage::Registry,
    store::{Run, RunId, Store},
};

/// Makes the report of a run as HTML; an error is a message for people.
pub type Reports = Box<dyn Fn(&Run) -> Result<String, String> + Send + Sync>;

/// What is served: the runs and results of a cache.
pub struct Site {
    pub(super) store: Store,
    pub(super) kinds: Registry,
    /// Show only what is of this pipeline file.
    pub(super) file: Option<PathBuf>,
    reports: Reports,
    /// The runs that ended: their records do not change.
    ended: Mutex<BTreeMap<RunId, Listed>>,
    /// How the runs that somebody looks at stand, as far as their events were read.
    followed: Mutex<BTreeMap<RunId, Followed>>,
}

/// The most runs whose events are kept in memory.
const MOST_FOLLOWED: usize = 64;

impl Site {
    /// Serves a cache; with `file`, only the runs of this pipeline file.
    #[must_use]
    pub fn new(store: Store, kinds: Registry, file: Option<PathBuf>, reports: Reports) -> Self {
        let (ended, followed) = (Mutex::default(), Mutex::default());
        Self { store, kinds, file, reports, ended, followed }
    }

    /// Whether a run is one of those that are shown.
    pub(super) fn shows(&self, run: &Run) -> bool {
        self.file.as_ref().is_none_or(|file| is_of(run, file))
    }

    /// Returns how far the events of a run were read. The caller reads on under its lock.
    pub(super) fn followed(&self, run: &Run) -> Followed {
        let mut all = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_FOLLOWED && !all.contains_key(&run.record.id) {
            all.pop_first();
        }
        all.entry(run.record.id.clone()).or_default().clone()
    }

    /// Returns the runs that ended, as far as they were listed.
    pub(super) fn ended(&self) -> MutexGuard<'_, BTreeMap<RunId, Listed>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the report of a run; an error is a message for people.
    pub(super) fn report(&self, run: &Run) -> Result<String, String> {
        (self.reports)(run)
    }
}
