//! The interface between the run loop and whatever runs the work: threads of this process, other processes, other
//! machines.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;

use super::schedule::Limits;
use crate::{
    digest::StageKey,
    graph::InstanceId,
    plan::recipe::Witnesses,
    stage::{DeviceId, Note},
    store::{Holder, Manifest, Recipe, StoreError},
};

/// One piece of work as owned data. Any process that has the kinds and the cache can do it.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// The instance.
    pub id: InstanceId,
    /// `PIPELINE/INSTANCE`, for records and messages.
    pub name: String,
    /// The work, with the hashes of its inputs.
    pub recipe: Recipe,
    /// All parameters after defaults. The recipe lacks those without effect and the paths of source files.
    pub params: Value,
    /// The key that its saved states are kept under.
    pub trajectory: StageKey,
    /// The state of the source files when they were hashed.
    pub witnesses: Arc<Witnesses>,
    /// The folder that relative paths in parameters start from.
    pub root: PathBuf,
    /// The number of input rows, if it was known beforehand.
    pub rows: Option<u64>,
    /// Time between two saved states.
    pub save_every: Duration,
    /// Whether to start from scratch even if there are results or saved states.
    pub forced: bool,
    /// The threads that it may use.
    pub threads: usize,
    /// The devices that it may use, at least one.
    pub devices: Vec<DeviceId>,
}

/// Why a job has no result.
#[derive(Debug)]
pub enum Failure {
    /// The stage failed, or writing its outputs did.
    Failed(String),
    /// It was asked to stop.
    Cancelled,
    /// The bytes at this input port do not match their hash. The stage that made them must run again.
    Damaged {
        /// The port.
        port: String,
        /// The file, and what is wrong with it.
        message: String,
    },
    /// This source file changed since it was hashed, so the key does not fit the outputs.
    Changed(PathBuf),
}

/// An update from a running job.
#[derive(Debug)]
pub enum Update {
    /// Progress, a metric, a warning or the like.
    Note(Note),
    /// The job ended, with a manifest if its results are in the cache.
    Done(Box<Result<Manifest, Failure>>),
}

/// What became of an attempt to start a job.
#[derive(Debug)]
pub enum Start {
    /// It runs.
    Started,
    /// Another process does the work.
    Elsewhere(Holder),
    /// Its results have been added to the cache since it was decided that it must run.
    Done,
    /// The system refused a resource. The message says what would help.
    Refused(String),
}

/// Runs the jobs of a run. The run loop calls it from one thread.
pub trait Executor {
    /// Returns the resources that all jobs together may use.
    fn capacity(&self) -> Limits;

    /// Starts a job unless another process has locked its trajectory or its results exist.
    ///
    /// # Errors
    /// If the cache cannot be read or written.
    fn start(&mut self, job: JobSpec) -> Result<Start, StoreError>;

    /// Returns the next update of a running job, or `None` if there is none within `wait`.
    fn poll(&mut self, wait: Duration) -> Option<(InstanceId, Update)>;

    /// Asks all running jobs to save their state and stop.
    fn cancel(&mut self);

    /// Returns the running jobs.
    fn running(&self) -> Vec<InstanceId>;

    /// Returns whether a job of this trajectory is running. When it ends, other work on the trajectory may be shorter
    /// or unnecessary.
    fn is_on(&self, trajectory: &StageKey) -> bool;

    /// Tells other processes that this run is alive, and which results and saved states it needs. The run loop calls it
    /// often; it acts only when a heartbeat is due.
    fn beat(&mut self, needs: &dyn Fn() -> BTreeSet<StageKey>);
}
