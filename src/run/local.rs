//! Runs jobs on threads of this process, and locks their trajectories so that other processes do not do the same work.

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
    executor::{Executor, JobSpec, Start, Update},
    options::Options,
    schedule::{Limits, Load},
    worker::{Place, execute},
};
use crate::{
    digest::StageKey,
    graph::InstanceId,
    stage::{DeviceId, Note, Registry},
    store::{Attempt, BEAT, Lock, Lookup, Store, StoreError},
};

/// A running job.
struct Running {
    trajectory: StageKey,
    /// The progress that its lock shows to other processes.
    progress: String,
    pool: Arc<ThreadPool>,
    lock: Lock,
    thread: JoinHandle<()>,
}

/// Runs jobs on threads of this process.
pub struct LocalThreads {
    store: Store,
    kinds: Registry,
    jobs: usize,
    /// The load of all jobs together, without GPUs.
    load: Load,
    /// The devices that stages compute on.
    computing: Vec<DeviceId>,
    cancel: Arc<AtomicBool>,
    running: BTreeMap<InstanceId, Running>,
    /// Thread pools that no job uses.
    idle: Vec<Arc<ThreadPool>>,
    devices: BTreeMap<DeviceId, Device>,
    sender: mpsc::Sender<(InstanceId, Update)>,
    receiver: mpsc::Receiver<(InstanceId, Update)>,
    /// When the locks were last written; `None` if they must be written now.
    beat: Option<Instant>,
    /// The lock that tells garbage collection in other processes what this run needs.
    announced: Option<Lock>,
}

impl LocalThreads {
    /// Makes an executor for jobs of these kinds, with the results in `store`.
    #[must_use]
    pub fn new(store: &Store, kinds: Registry, options: &Options) -> Self {
        let Options { jobs, threads, memory, .. } = *options;
        let (sender, receiver) = mpsc::channel();
        Self {
            store: store.clone(),
            kinds,
            jobs,
            load: Load { threads: jobs * threads, memory, gpus: 0 },
            computing: options.devices.clone(),
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

    /// Returns an idle pool with this number of threads, making one if needed. A fully cached run never calls this, so
    /// it starts no thread.
    fn pool(&mut self, threads: usize) -> Result<Arc<ThreadPool>, ThreadPoolBuildError> {
        if let Some(at) = self.idle.iter().position(|pool| pool.current_num_threads() == threads) {
            return Ok(self.idle.swap_remove(at));
        }
        ThreadPoolBuilder::new().num_threads(threads).build().map(Arc::new)
    }

    /// Returns a device, which is opened once.
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
        let (gpus, gpus_are_for_programs) = Devices::new(&self.computing, &DeviceId::present()).gpus();
        Limits { jobs: self.jobs, load: Load { gpus, ..self.load }, gpus_are_for_programs }
    }

    fn start(&mut self, job: JobSpec) -> Result<Start, StoreError> {
        // Fails here if the cache is read-only, instead of after hours of work.
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
            // A forced run must not continue from an earlier state.
            self.store.clear_states(&trajectory)?;
        } else if self.store.is_finished(&job.recipe.key())?
            && let Lookup::Found(manifest) = self.store.lookup(&job.recipe.key())?
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
        // A program opens its devices itself.
        let id_of = |devices: &[DeviceId]| devices.first().copied().filter(|_| job.recipe.program.is_none());
        let device = match self.device(id_of(&devices).unwrap_or(DeviceId::Cpu)) {
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
            // If the run loop has ended on an error, nobody receives the result.
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

    fn poll(&mut self, wait: Duration) -> Option<(InstanceId, Update)> {
        let (id, update) = self.receiver.recv_timeout(wait).ok()?;
        match &update {
            Update::Note(Note::Progress(progress)) => {
                if let Some(running) = self.running.get_mut(&id) {
                    running.progress = progress.to_string();
                }
            }
            Update::Note(_) => {}
            // Dropping the entry releases its lock.
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

    fn running(&self) -> Vec<InstanceId> {
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
            // Losing a lock (the machine slept) or a full disk can only cause double work, never a wrong result.
            let _ = running.lock.beat(&running.progress, &BTreeSet::new());
        }
        if let Some(lock) = &mut self.announced {
            let _ = lock.beat("a run", &needs());
        }
    }
}

impl Drop for LocalThreads {
    /// Stops all jobs and waits for them, so that nothing writes to the cache after a run has returned.
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
