//! Jobs on threads of this process, and the locks that keep other processes off the same work.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use candle_core::Device;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use super::{
    devices::Devices,
    executor::{Executor, JobId, JobSpec, Start, Update},
    options::Options,
    schedule::{Limits, Load},
    worker::{Place, execute},
};
use crate::{
    digest::StageKey,
    stage::{DeviceId, Note, Registry},
    store::{Attempt, BEAT, Lock, Lookup, Store, StoreError},
};

/// A running job.
struct Running {
    trajectory: StageKey,
    /// What its lock tells others.
    progress: String,
    pool: Arc<ThreadPool>,
    lock: Lock,
    thread: JoinHandle<()>,
}

/// Runs jobs on threads of this process.
pub struct LocalThreads {
    store: Store,
    kinds: Registry,
    limits: Limits,
    cancel: Arc<AtomicBool>,
    running: BTreeMap<JobId, Running>,
    /// Pools that nothing runs in.
    idle: Vec<Arc<ThreadPool>>,
    devices: BTreeMap<DeviceId, Device>,
    sender: mpsc::Sender<(JobId, Update)>,
    receiver: mpsc::Receiver<(JobId, Update)>,
    /// When the locks were last written; `None` if that is due.
    beat: Option<Instant>,
    /// Tells garbage collection elsewhere what this run needs.
    announced: Option<Lock>,
}

impl LocalThreads {
    /// Threads for jobs of these kinds, with the results in `store`.
    #[must_use]
    pub fn new(store: &Store, kinds: Registry, options: &Options) -> Self {
        let Options { jobs, threads, memory, .. } = *options;
        let gpus = Devices::new(&options.devices).gpus();
        let limits = Limits { jobs, load: Load { threads: jobs * threads, memory, gpus } };
        let (sender, receiver) = mpsc::channel();
        Self {
            store: store.clone(),
            kinds,
            limits,
            cancel: Arc::clone(&options.cancel),
            running: BTreeMap::new(),
            idle: Vec::new(),
            devices: BTreeMap::new(),
            sender,
            receiver,
            beat: None,
            announced: None,
        }
    }

    /// An idle pool of so many threads. Made when first needed: a run that finds everything cached starts no thread.
    fn pool(&mut self, threads: usize) -> Result<Arc<ThreadPool>, ThreadPoolBuildError> {
        if let Some(at) = self.idle.iter().position(|pool| pool.current_num_threads() == threads) {
            return Ok(self.idle.swap_remove(at));
        }
        ThreadPoolBuilder::new().num_threads(threads).build().map(Arc::new)
    }

    /// A device, opened once.
    fn device(&mut self, id: DeviceId) -> Result<Device, String> {
        if let Some(device) = self.devices.get(&id) {
            return Ok(device.clone());
        }
        let device = id.open().map_err(|error| error.to_string())?;
        self.devices.insert(id, device.clone());
        Ok(device)
    }
}

impl Executor for LocalThreads {
    fn capacity(&self) -> Limits {
        self.limits
    }

    fn start(&mut self, job: JobSpec) -> Result<Start, StoreError> {
        // Better now than after hours of work.
        self.store.ensure_writable()?;
        if self.announced.is_none() {
            self.announced = self.store.announce()?;
            self.beat = None;
        }
        let trajectory = job.trajectory;
        let lock = match self.store.try_lock(&trajectory)? {
            Attempt::Held(lock) => lock,
            Attempt::Busy(holder) => return Ok(Start::Elsewhere(holder)),
        };
        if job.forced {
            // Continuing from a saved state would be no new run.
            self.store.checkpoints(&trajectory).clear()?;
        } else if let Lookup::Found(manifest) = self.store.lookup(&job.recipe.key())?
            && self.store.has_all(&manifest)?
        {
            return Ok(Start::Done);
        }
        let (id, threads, devices) = (job.id, job.threads, job.devices.clone());
        let refused = |error: &dyn Display| {
            let threads = if threads == 1 { "a thread".to_owned() } else { format!("{threads} threads") };
            let message = format!("failed to start {threads} for it: {error}");
            Ok(Start::Refused(format!("{message}; allow more (`ulimit -u`, `ulimit -v`) or lower `--threads`")))
        };
        let device = match self.device(devices.first().copied().unwrap_or(DeviceId::Cpu)) {
            Ok(device) => device,
            Err(message) => return Ok(Start::Refused(message)),
        };
        let pool = match self.pool(threads) {
            Ok(pool) => pool,
            Err(error) => return refused(&error),
        };
        let (sender, inside) = (self.sender.clone(), Arc::clone(&pool));
        let place =
            Place { store: self.store.clone(), kinds: self.kinds.clone(), device, cancel: Arc::clone(&self.cancel) };
        let work = move || {
            let notes = sender.clone();
            // The run loop may have ended on an error of its own; then nobody receives this.
            let result =
                inside.install(|| execute(&job, &place, &mut |note| drop(notes.send((id, Update::Note(note))))));
            let _ = sender.send((id, Update::Done(Box::new(result))));
        };
        let thread = match thread::Builder::new().spawn(work) {
            Ok(thread) => thread,
            Err(error) => return refused(&error),
        };
        let progress = "starting".to_owned();
        self.running.insert(id, Running { trajectory, progress, pool, lock, thread });
        Ok(Start::Started)
    }

    fn poll(&mut self, wait: Duration) -> Option<(JobId, Update)> {
        let (id, update) = self.receiver.recv_timeout(wait).ok()?;
        match &update {
            Update::Note(Note::Progress(progress)) => {
                if let Some(running) = self.running.get_mut(&id) {
                    running.progress = progress.to_string();
                }
            }
            Update::Note(_) => {}
            // Its lock opens.
            Update::Done(_) => {
                if let Some(Running { pool, thread, .. }) = self.running.remove(&id) {
                    self.idle.push(pool);
                    let _ = thread.join();
                }
            }
        }
        Some((id, update))
    }

    fn cancel(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    fn running(&self) -> Vec<JobId> {
        self.running.keys().copied().collect()
    }

    fn is_on(&self, trajectory: &StageKey) -> bool {
        self.running.values().any(|running| running.trajectory == *trajectory)
    }

    fn beat(&mut self, needs: &dyn Fn() -> BTreeSet<StageKey>) {
        if self.beat.is_some_and(|last| last.elapsed() < BEAT) {
            return;
        }
        self.beat = Some(Instant::now());
        for running in self.running.values_mut() {
            // A lost lock (the machine slept) or a full disk costs double work at worst, never a wrong result.
            let _ = running.lock.beat(&running.progress, &BTreeSet::new());
        }
        if let Some(lock) = &mut self.announced {
            let _ = lock.beat("a run", &needs());
        }
    }
}

impl Drop for LocalThreads {
    /// Ends all jobs, and waits for them: nothing writes to the cache once a run has returned.
    fn drop(&mut self) {
        if self.running.is_empty() {
            return;
        }
        self.cancel();
        for running in std::mem::take(&mut self.running).into_values() {
            let _ = running.thread.join();
        }
    }
}
