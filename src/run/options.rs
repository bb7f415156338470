//! How to run.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use crate::{digest::StageKey, stage::DeviceId, threads};

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Instances that may run at one time, at least 1.
    pub jobs: usize,
    /// Threads of each of them, at least 1, unless a stage needs another number.
    pub threads: usize,
    /// Bytes of memory for all of them together, by what the stages say that they need.
    pub memory: u64,
    /// Where tensors are computed: the CPU, or one or several GPUs that the instances share.
    pub devices: Vec<DeviceId>,
    /// Run the targets whatever the cache holds.
    pub force: bool,
    /// After a failure, go on with everything that does not depend on it.
    pub keep_going: bool,
    /// Time between two saved states of a stage that saves its state.
    pub save_every: Duration,
    /// When to stop as if asked to.
    pub until: Option<Instant>,
    /// Work that failed in an earlier pass of the same run, with the message. It is not tried again.
    pub failed: BTreeMap<StageKey, String>,
    /// Set from outside to stop at the next good moment.
    pub cancel: Arc<AtomicBool>,
}

impl Default for Options {
    /// One instance at a time, on all cores of the CPU, with a state saved every minute.
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
