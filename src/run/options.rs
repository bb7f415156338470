//! The options of a run.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use crate::{digest::StageKey, stage::DeviceId, threads};

/// The options of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Instances that may run at the same time, at least 1.
    pub jobs: usize,
    /// Threads of each instance, at least 1, unless a stage asks for another number.
    pub threads: usize,
    /// Bytes of memory for all running instances together, according to the needs that stages declare.
    pub memory: u64,
    /// The devices that compute tensors: the CPU, or one or several GPUs that the instances share.
    pub devices: Vec<DeviceId>,
    /// Whether targets run even if their results are in the cache.
    pub force: bool,
    /// Whether everything that does not depend on a failed instance still runs.
    pub keep_going: bool,
    /// Time between two saved states of a stage that saves its state.
    pub save_every: Duration,
    /// The moment at which the run stops as if the user asked for it.
    pub until: Option<Instant>,
    /// Work that failed in an earlier pass of the same run, with its message. It is not tried again.
    pub failed: BTreeMap<StageKey, String>,
    /// The flag that another thread sets to stop the run.
    pub cancel: Arc<AtomicBool>,
}

impl Default for Options {
    /// Runs one instance at a time, on all cores of the CPU, and saves states every minute.
    fn default() -> Self {
        Self {
            jobs: 1,
            threads: threads::cores(),
            memory: u64::MAX,
            devices: vec![DeviceId::Cpu],
            force: false,
            keep_going: false,
            save_every: Duration::from_secs(60),
            until: None,
            failed: BTreeMap::new(),
            cancel: Arc::default(),
        }
    }
}
