//! The seam between the run loop and what does the work: threads of this process, other processes, other machines.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;

use super::schedule::Limits;
use crate::{
    digest::StageKey,
    plan::recipe::Witnesses,
    stage::{DeviceId, Note},
    store::{Holder, Manifest, Recipe, StoreError},
};

/// A job, by the index of its instance in the graph.
pub type JobId = usize;

/// One piece of work, complete in itself: whoever has the kinds and the cache can do it.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// The instance.
    pub id: JobId,
    /// `PIPELINE/INSTANCE`, for records and messages.
    pub name: String,
    /// What is done, and on which inputs.
    pub recipe: Recipe,
    /// All parameters after defaults: the recipe lacks those without effect and the paths of source files.
    pub params: Value,
    /// What saved states are kept under.
    pub trajectory: StageKey,
    /// What the source files looked like when they were hashed.
    pub witnesses: Arc<Witnesses>,
    /// Where relative paths in parameters start.
    pub root: PathBuf,
    /// Rows that come in, where that was known beforehand.
    pub rows: Option<u64>,
    /// Time between two saved states.
    pub save_every: Duration,
    /// Start anew, whatever results and saved states there are.
    pub forced: bool,
    /// The threads that it may use.
    pub threads: usize,
    /// The devices that it may use, at least one.
    pub devices: Vec<DeviceId>,
}

/// Why a job has no result.
#[derive(Debug)]
pub enum Failure {
    /// The stage, or the writing of its outputs, failed.
    Failed(String),
    /// It was asked to stop.
    Cancelled,
    /// The bytes at this input port are not those that its hash names; what made them must run again.
    Damaged {
        /// The port.
        port: String,
        /// The file, and what is wrong with it.
        message: String,
    },
    /// This source file changed since it was hashed, so the outputs have no right key.
    Changed(PathBuf),
}

/// What a running job reports.
#[derive(Debug)]
pub enum Update {
    /// Progress, a metric, a warning.
    Note(Note),
    /// It ended, and its results are in the cache, or there are none.
    Done(Box<Result<Manifest, Failure>>),
}

/// Whether a job was started.
#[derive(Debug)]
pub enum Start {
    /// It runs.
    Started,
    /// Another process does it.
    Elsewhere(Holder),
    /// Its results came into the cache since it was decided that it must run.
    Done,
    /// The system refuses what it needs; the message says what would help.
    Refused(String),
}

/// Does the work of a run. The run loop calls it from one thread.
pub trait Executor {
    /// What may run at one time.
    fn capacity(&self) -> Limits;

    /// Starts a job unless its trajectory is locked by another process or its results are there.
    ///
    /// # Errors
    /// If the cache cannot be read or written.
    fn start(&mut self, job: JobSpec) -> Result<Start, StoreError>;

    /// The next report of a running job; `None` if none comes within `wait`.
    fn poll(&mut self, wait: Duration) -> Option<(JobId, Update)>;

    /// Asks all running jobs to save their state and end.
    fn cancel(&mut self);

    /// The running jobs.
    fn running(&self) -> Vec<JobId>;

    /// Whether a job of this trajectory runs. When it ends, another one may be shorter or needless.
    fn is_on(&self, trajectory: &StageKey) -> bool;

    /// Shows other processes that this run goes on, and which results and saved states it needs. Called often; acts when
    /// it is due.
    fn beat(&mut self, needs: &dyn Fn() -> BTreeSet<StageKey>);
}
