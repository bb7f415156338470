//! The workers of a run: thread pools, what runs in them, and the locks that keep other processes away.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    sync::{Arc, mpsc},
    thread,
    time::Instant,
};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use super::{
    Options,
    worker::{Failure, Job, execute},
};
use crate::{
    digest::StageKey,
    graph::Graph,
    plan::{Reason, decide::Decision},
    stage::Note,
    store::{Attempt, BEAT, Holder, Lock, Lookup, Manifest, Store, StoreError},
};

/// A message from a worker: the instance, and what it says.
pub(super) type Message = (usize, Word);

/// What a worker says.
pub(super) enum Word {
    Note(Note),
    Done(Box<Result<Manifest, Failure>>),
}

/// A running instance.
pub(super) struct Running {
    pub decision: Decision,
    /// Whether it went on from a saved state.
    pub resumed: bool,
    /// What its lock tells others.
    pub progress: String,
    pool: Arc<ThreadPool>,
    lock: Lock,
}

/// Those at work.
pub(super) struct Crew<'a> {
    store: &'a Store,
    options: &'a Options,
    running: BTreeMap<usize, Running>,
    /// Pools that nothing runs in.
    idle: Vec<Arc<ThreadPool>>,
    /// When the locks were last written; `None` if that is due.
    beat: Option<Instant>,
    /// Tells upkeep elsewhere what this run needs.
    announced: Option<Lock>,
}

/// Whether work was started.
pub(super) enum Start {
    /// It runs.
    Started,
    /// Another process does it.
    Elsewhere(Holder),
    /// Another process has done it since this one looked.
    Done,
    /// The system gives no threads for it.
    Refused(String),
}

impl<'a> Crew<'a> {
    pub fn new(store: &'a Store, options: &'a Options) -> Self {
        Self { store, options, running: BTreeMap::new(), idle: Vec::new(), beat: None, announced: None }
    }

    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    pub fn runs(&self, index: usize) -> bool {
        self.running.contains_key(&index)
    }

    /// The instances at work.
    pub fn instances(&self) -> impl Iterator<Item = usize> {
        self.running.keys().copied()
    }

    /// Whether work of this trajectory is under way here. Its end may make a start needless, or shorter.
    pub fn is_on(&self, trajectory: Option<StageKey>) -> bool {
        trajectory.is_some() && self.running.values().any(|running| running.decision.trajectory() == trajectory)
    }

    pub fn get_mut(&mut self, index: usize) -> Option<&mut Running> {
        self.running.get_mut(&index)
    }

    /// Takes a finished instance off the list; its lock opens.
    pub fn release(&mut self, index: usize) -> Option<(Decision, bool)> {
        let running = self.running.remove(&index)?;
        self.idle.push(running.pool);
        Some((running.decision, running.resumed))
    }

    /// Starts an instance whose recipe is known, unless another process is on its trajectory.
    pub fn start<'scope>(
        &mut self,
        scope: &'scope thread::Scope<'scope, '_>,
        sender: &mpsc::Sender<Message>,
        graph: &'a Graph<'_>,
        (index, threads): (usize, usize),
        decision: Decision,
    ) -> Result<Start, StoreError>
    where
        'a: 'scope,
    {
        // Better now than after hours of work.
        self.store.ensure_writable()?;
        if self.announced.is_none() {
            self.announced = self.store.announce()?;
            self.beat = None;
        }
        let (Some(recipe), Some(trajectory)) = (decision.recipe.clone(), decision.trajectory()) else {
            unreachable!("only work with a recipe is started");
        };
        let lock = match self.store.try_lock(&trajectory)? {
            Attempt::Held(lock) => lock,
            Attempt::Busy(holder) => return Ok(Start::Elsewhere(holder)),
        };
        if decision.reason() == Reason::Forced {
            // Going on from a saved state would be no new run.
            self.store.checkpoints(&trajectory).clear()?;
        } else if let Lookup::Found(manifest) = self.store.lookup(&recipe.key())?
            && self.store.has_all(&manifest)?
        {
            return Ok(Start::Done);
        }
        let refused = |error: &dyn Display| {
            let threads = if threads == 1 { "a thread".to_owned() } else { format!("{threads} threads") };
            let message = format!("failed to start {threads} for it: {error}");
            Ok(Start::Refused(format!("{message}; allow more (`ulimit -u`, `ulimit -v`) or lower `--threads`")))
        };
        let pool = match self.pool(threads) {
            Ok(pool) => pool,
            Err(error) => return refused(&error),
        };
        let job = Job {
            rows: graph.rows_of(index),
            instance: &graph.instances[index],
            recipe,
            witnesses: decision.witnesses.clone(),
            trajectory,
            pipeline: &graph.pipeline.name,
            root: &graph.pipeline.root,
            store: self.store,
            device: self.options.device.clone(),
            threads,
            save_every: self.options.save_every,
            cancel: &self.options.cancel,
        };
        let (sender, inside) = (sender.clone(), Arc::clone(&pool));
        let work = move || {
            let notes = sender.clone();
            // The coordinator may have gone on an error of its own; then nobody wants to know.
            let result = inside.install(|| execute(&job, &mut |note| drop(notes.send((index, Word::Note(note))))));
            let _ = sender.send((index, Word::Done(Box::new(result))));
        };
        if let Err(error) = thread::Builder::new().spawn_scoped(scope, work) {
            return refused(&error);
        }
        let progress = "starting".to_owned();
        self.running.insert(index, Running { decision, resumed: false, progress, pool, lock });
        Ok(Start::Started)
    }

    /// An idle pool of so many threads. Made when first needed: a run that finds everything cached starts no thread.
    fn pool(&mut self, threads: usize) -> Result<Arc<ThreadPool>, ThreadPoolBuildError> {
        if let Some(at) = self.idle.iter().position(|pool| pool.current_num_threads() == threads) {
            return Ok(self.idle.swap_remove(at));
        }
        ThreadPoolBuilder::new().num_threads(threads).build().map(Arc::new)
    }

    /// Shows other processes that the holders of the locks live. Called often; acts when it is time.
    pub fn beat(&mut self, needs: impl FnOnce() -> BTreeSet<StageKey>) {
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
