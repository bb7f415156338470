//! The run loop: one thread owns the state of every instance. It decides instances, starts those that there is room
//! for, and handles their updates (`finish`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    backlog::Backlog,
    devices::Devices,
    event::{Event, Reporter},
    executor::{Executor, JobSpec, Start, Update},
    options::Options,
    state::{State, States, Work},
    status::Status,
    summary::Outcome,
};
use crate::{
    digest::{ArtifactHash, StageKey},
    graph::{Graph, Instance, InstanceId, Selection},
    plan::{
        Reason, Verdict,
        decide::{Surroundings, decide},
    },
    stage::DeviceId,
    store::{History, Output, Store, StoreError},
};

/// How long to wait for updates before checking locks, the clock and the stop flag.
const TICK: Duration = Duration::from_millis(250);

/// The inputs of a run, which never change during it.
#[derive(Clone, Copy)]
pub(super) struct Given<'a, 't> {
    pub graph: &'a Graph<'t>,
    pub selection: &'a Selection,
    pub store: &'a Store,
    pub options: &'a Options,
    pub history: &'a History,
}

/// Counts of an instance's failures, of its damaged inputs and of its changed source files.
#[derive(Clone, Default)]
pub(super) struct Tries {
    pub failed: u32,
    pub damaged: u32,
    pub missing: u32,
    pub changed: u32,
    /// It is not started before this moment.
    pub pause: Option<Instant>,
}

/// The run loop.
pub(super) struct Dispatcher<'a, 't> {
    pub given: Given<'a, 't>,
    pub reporter: &'a mut dyn Reporter,
    executor: &'a mut dyn Executor,
    pub states: States,
    /// The devices, which are looked for when the first instance must run.
    pub devices: Devices,
    pub backlog: Option<Backlog>,
    /// For each instance, those that depend on it directly.
    pub below: BTreeMap<InstanceId, Vec<InstanceId>>,
    /// The instances to decide next: an instance that they depend on has changed.
    pub open: BTreeSet<InstanceId>,
    pub tries: BTreeMap<InstanceId, Tries>,
    /// Instances with an evicted output that other work needs, and the output's port.
    pub wanted: BTreeMap<InstanceId, String>,
    /// Work that failed, with its message. Equal work would fail again.
    pub failed: BTreeMap<StageKey, String>,
    /// True if no new work is started, because something failed or the run was stopped.
    pub stopping: bool,
    pub interrupted: bool,
    /// Whether it was already reported which instances an interrupted run waits for.
    told: bool,
}

impl<'a, 't> Dispatcher<'a, 't> {
    pub(super) fn new(given: Given<'a, 't>, executor: &'a mut dyn Executor, reporter: &'a mut dyn Reporter) -> Self {
        Self {
            executor,
            reporter,
            states: States::new(given.graph.instances.len()),
            devices: Devices::default(),
            backlog: None,
            below: below(given.graph, given.selection),
            open: given.selection.all.iter().copied().collect(),
            tries: BTreeMap::new(),
            wanted: BTreeMap::new(),
            failed: given.options.failed.clone(),
            stopping: false,
            interrupted: false,
            told: false,
            given,
        }
    }

    pub(super) fn instance(&self, index: InstanceId) -> &'a Instance<'t> {
        &self.given.graph.instances[index]
    }

    /// Runs until nothing runs and nothing can start.
    ///
    /// # Errors
    /// If the cache cannot be read or written.
    pub(super) fn run(&mut self) -> Result<(), StoreError> {
        loop {
            self.settle()?;
            if self.start()? {
                continue;
            }
            if self.is_idle() && (self.stopping || !self.states.has_waiting()) {
                self.block_the_rest();
                return Ok(());
            }
            // Handles all updates that have arrived, so that frequent updates do not make the loop read the disk each
            // time.
            let mut settled = false;
            while !settled {
                match self.executor.poll(TICK) {
                    Some((index, Update::Note(note))) => self.note(index, note),
                    Some((index, Update::Done(result))) => {
                        self.done(index, *result)?;
                        settled = true;
                    }
                    None => settled = self.states.has_waiting() || self.is_idle(),
                }
                // The results that exist, and the saved states that waiting work may continue from.
                let states = &self.states;
                self.executor.beat(&|| {
                    let waiting = states.waiting().filter_map(|index| states.work(index)).filter(|work| work.saves);
                    let made = states.outcomes().filter_map(|outcome| outcome.key);
                    made.chain(waiting.map(|work| work.trajectory)).collect()
                });
                self.watch_the_clock();
                self.say_what_is_waited_for();
                self.reporter.tick();
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.executor.running().is_empty()
    }

    /// Decides every instance that can be decided now.
    fn settle(&mut self) -> Result<(), StoreError> {
        self.watch_the_clock();
        while let Some(index) = self.open.pop_first() {
            if !self.states.is_pending(index) {
                continue;
            }
            match self.inputs(self.instance(index)) {
                Ok(Some(inputs)) => self.decide(index, inputs)?,
                Ok(None) => {}
                Err((status, message)) => self.finish(Outcome::new(index, status).because(message)),
            }
        }
        Ok(())
    }

    /// Returns the input hashes of an instance, or `None` while a dependency is not finished.
    fn inputs(&self, instance: &Instance<'_>) -> Result<Option<BTreeMap<String, ArtifactHash>>, (Status, String)> {
        let mut inputs = BTreeMap::new();
        for from in instance.above() {
            match self.states.outcome(from) {
                None => return Ok(None),
                Some(above) if above.manifest.is_none() => {
                    let word = if above.status == Status::Failed { "failed" } else { "is blocked" };
                    return Err((Status::Blocked, format!("{} {word}", self.instance(from).name)));
                }
                Some(_) => {}
            }
        }
        for link in &instance.inputs {
            let manifest = self.states.outcome(link.from).and_then(|outcome| outcome.manifest.as_ref());
            let Some(Output { hash, .. }) = manifest.and_then(|manifest| manifest.outputs.get(&*link.output)) else {
                let maker = self.instance(link.from);
                let message = format!("{} did not make its optional output `{}`", maker.name, link.output);
                return Err((Status::Failed, message));
            };
            inputs.insert(link.port.to_owned(), *hash);
        }
        Ok(Some(inputs))
    }

    /// Moves an instance whose inputs are known from Pending to Ready or Finished.
    fn decide(&mut self, index: InstanceId, inputs: BTreeMap<String, ArtifactHash>) -> Result<(), StoreError> {
        let Given { graph, store, history, options, selection } = self.given;
        let instance = self.instance(index);
        let surroundings = Surroundings::new(store, history, &graph.pipeline.root, true);
        let force = options.force && selection.targets.contains(&index) && instance.same_as.is_none();
        let mut decision = decide(instance, inputs, force, &surroundings)?;
        if let (Some(port), Verdict::Cached(manifest)) = (self.wanted.get(&index), &decision.verdict)
            && !store.has_all(manifest)?
        {
            decision.verdict = Verdict::Run(vec![Reason::Evicted { port: port.clone() }]);
        }
        let key = decision.key();
        let reason = match decision.verdict {
            Verdict::Cached(manifest) => {
                let outcome = Outcome::new(index, Status::Cached);
                self.finish(Outcome { key, manifest: Some(manifest), ..outcome });
                return Ok(());
            }
            Verdict::Waiting(_) => return Ok(()),
            Verdict::Run(ref reasons) => reasons.first().cloned(),
        };
        let failed = Outcome { key, reason, ..Outcome::new(index, Status::Failed) };
        match Work::of(decision) {
            Some(work) => match self.failed.get(&work.key) {
                Some(message) => {
                    let message = message.clone();
                    self.finish(failed.because(message));
                }
                None => self.states.ready(index, work),
            },
            // The source files of the instance cannot be read.
            None => {
                let place = graph.place(&instance.span("path"));
                let set = place.map(|place| format!("; `path` is set at {}:{}", place.file, place.line));
                let why = failed.reason.as_ref().map(ToString::to_string).unwrap_or_default();
                self.finish(failed.because(why + &set.unwrap_or_default()));
            }
        }
        Ok(())
    }

    /// Starts waiting work while there is room. Decides each instance again first, since its results may be in the
    /// cache by now. Returns true if `settle` must run again.
    fn start(&mut self) -> Result<bool, StoreError> {
        let now = Instant::now();
        let mut unsettled = false;
        for index in self.by_urgency()? {
            if self.stopping || self.backlog().schedule().is_full() {
                break;
            }
            let paused = self.tries.get(&index).and_then(|tries| tries.pause).is_some_and(|pause| pause > now);
            let Some(work) = self.states.work(index) else { continue };
            let inputs = work.recipe.inputs.clone();
            if paused || self.executor.is_on(&work.trajectory) || !self.backlog().schedule().fits(index) {
                continue;
            }
            let holder = self.states.holder(index).map(str::to_owned);
            self.states.reopen(index);
            self.decide(index, inputs)?;
            let Some(work) = self.states.work(index).cloned() else {
                // Another process did it, so the instances that depend on it can be decided now.
                unsettled = true;
                continue;
            };
            if let Some(port) = self.gone(&work)? {
                self.make_again(index, &port, &work)?;
                unsettled = true;
                continue;
            }
            unsettled |= self.launch(index, work, holder)?;
        }
        Ok(unsettled)
    }

    /// Moves an instance from Ready to Running, Elsewhere or Finished. Returns true if `settle` must run again.
    fn launch(&mut self, index: InstanceId, work: Work, holder: Option<String>) -> Result<bool, StoreError> {
        let load = self.backlog().schedule().load(index);
        let is_program = self.instance(index).work.takes_files();
        let devices = self.devices.assign(load.gpus, is_program);
        let job = self.job(index, &work, load.threads, &devices);
        let instance = self.instance(index);
        match self.executor.start(job)? {
            Start::Started => {
                self.states.start(index, devices);
                self.backlog().schedule().start(index);
                self.reporter.event(&Event::StageStarted {
                    instance: instance.name.to_string(),
                    kind: instance.kind.name.to_owned(),
                    key: Some(work.key),
                    parameters: Value::clone(&work.recipe.params),
                    reason: work.reason,
                });
                return Ok(false);
            }
            Start::Elsewhere(other) => {
                let other = other.to_string();
                if holder.as_ref() != Some(&other) {
                    let (instance, holder) = (instance.name.to_string(), other.clone());
                    self.reporter.event(&Event::Waiting { instance, holder });
                }
                self.states.elsewhere(index, other);
                self.devices.release(&devices);
                return Ok(false);
            }
            Start::Done => {}
            Start::Refused(message) => {
                let outcome =
                    Outcome { key: Some(work.key), reason: Some(work.reason), ..Outcome::new(index, Status::Failed) };
                self.finish(outcome.because(message));
            }
        }
        self.devices.release(&devices);
        Ok(true)
    }

    fn job(&self, index: InstanceId, work: &Work, threads: usize, devices: &[DeviceId]) -> JobSpec {
        let Given { graph, options, .. } = self.given;
        let instance = self.instance(index);
        JobSpec {
            id: index,
            name: format!("{}/{}", graph.pipeline.name, instance.name),
            recipe: work.recipe.clone(),
            params: instance.params(),
            trajectory: work.trajectory,
            witnesses: work.witnesses.clone(),
            root: graph.pipeline.root.clone(),
            rows: graph.rows_of(index),
            save_every: options.save_every,
            forced: work.forced,
            threads,
            devices: devices.to_vec(),
        }
    }

    /// Returns the instances that wait for room, the most urgent first.
    fn by_urgency(&mut self) -> Result<Vec<InstanceId>, StoreError> {
        if !self.states.has_waiting() {
            return Ok(Vec::new());
        }
        if self.backlog.is_none() {
            let Given { graph, store, history, options, selection } = self.given;
            let open = selection.all.iter().copied();
            let open = open.filter(|&index| self.states.outcome(index).is_none());
            let once = open.filter(|&index| graph.instances[index].same_as.is_none());
            let limits = self.executor.capacity();
            self.devices = Devices::new(&options.devices, &DeviceId::present());
            self.backlog = Some(Backlog::new(graph, store, history, limits, options.threads, once)?);
            self.tell_what_is_left();
        }
        let waiting = self.states.waiting().collect();
        Ok(self.backlog().schedule().by_urgency(waiting))
    }

    pub(super) fn backlog(&mut self) -> &mut Backlog {
        self.backlog.as_mut().expect("made when the first instance had to run")
    }

    pub(super) fn tell_what_is_left(&mut self) {
        let (seconds, unknown) = self.backlog().left();
        self.reporter.event(&Event::Outlook { seconds, unknown });
    }

    /// Stops the run if the stop flag is set or the time budget is spent.
    fn watch_the_clock(&mut self) {
        if self.is_out_of_time() {
            self.executor.cancel();
            self.interrupted = true;
        }
        self.interrupted |= self.given.options.cancel.load(Ordering::Relaxed);
        self.stopping |= self.interrupted;
    }

    fn is_out_of_time(&self) -> bool {
        self.given.options.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Reports once which running jobs an interrupted run waits for. That may take long, since some stages cannot stop
    /// midway.
    fn say_what_is_waited_for(&mut self) {
        let running = self.executor.running();
        if self.interrupted && !self.told && !running.is_empty() {
            self.told = true;
            let instances = running.into_iter().map(|index| self.instance(index).name.to_string()).collect();
            let budget = self.is_out_of_time();
            self.reporter.event(&Event::Stopping { instances, budget });
        }
    }

    /// Blocks every instance that is not finished, when nothing runs and nothing can start.
    fn block_the_rest(&mut self) {
        for &index in &self.given.selection.all {
            if self.states.outcome(index).is_some() {
                continue;
            }
            let above = self.inputs(self.instance(index)).err().map(|(_, message)| message);
            let why = if self.interrupted { "the run was interrupted" } else { "the run stopped at a failure" };
            self.finish(Outcome::new(index, Status::Blocked).because(above.unwrap_or_else(|| why.to_owned())));
        }
    }

    /// Moves an instance from Running to Pending and frees its resources. Returns `None` if it is not running.
    pub(super) fn release(&mut self, index: InstanceId) -> Option<(Work, bool)> {
        let State::Running { work, devices, resumed } = self.states.reopen(index) else { return None };
        self.devices.release(&devices);
        self.backlog().schedule().end(index);
        Some((*work, resumed))
    }
}

/// Returns, for each instance, the selected instances that depend on it directly.
fn below(graph: &Graph<'_>, selection: &Selection) -> BTreeMap<InstanceId, Vec<InstanceId>> {
    let mut below: BTreeMap<InstanceId, Vec<InstanceId>> = BTreeMap::new();
    for &index in &selection.all {
        for above in graph.instances[index].above() {
            below.entry(above).or_default().push(index);
        }
    }
    below
}
