//! The coordinator: one thread that owns all state of a run. Workers only send it messages.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{atomic::Ordering, mpsc},
    thread,
    time::{Duration, Instant},
};

use super::{
    Event, Graph, Instance, Options, Outcome, Reason, Reporter, Selection, Status,
    crew::{Crew, Message, Start, Word},
    decide::{Decision, Surroundings, Verdict, decide},
    limits,
    schedule::Schedule,
    worker::Failure,
};
use crate::{
    digest::{ArtifactHash, StageKey},
    stage::Note,
    store::{History, Manifest, Output, Store, StoreError},
};

/// How long to wait for messages before looking at locks, the clock and the wish to stop.
const TICK: Duration = Duration::from_millis(250);
/// The pause before the first retry; each further one is twice as long.
const BACKOFF: Duration = Duration::from_millis(500);

/// How often an instance was tried, and how often its inputs turned out damaged.
#[derive(Default)]
struct Tries {
    failed: u32,
    damaged: u32,
    /// Not before this moment.
    pause: Option<Instant>,
}

pub(super) struct Coordinator<'a, 't> {
    pub(super) graph: &'a Graph<'t>,
    selection: &'a Selection,
    pub(super) store: &'a Store,
    options: &'a Options,
    reporter: &'a mut dyn Reporter,
    crew: Crew<'a>,
    /// Made when something must run.
    schedule: Option<Schedule>,
    /// For each instance, those that stand on it.
    below: BTreeMap<usize, Vec<usize>>,
    /// Those that something may be decided on now: something above them has changed.
    pub(super) open: BTreeSet<usize>,
    /// The instances that are done with.
    pub(super) states: BTreeMap<usize, Outcome>,
    /// Those that must run as soon as there is room.
    ready: BTreeMap<usize, Decision>,
    /// Those whose evicted output is needed.
    pub(super) wanted: BTreeMap<usize, String>,
    /// Those that another process works on, and what it said last.
    elsewhere: BTreeMap<usize, String>,
    tries: BTreeMap<usize, Tries>,
    /// No new work is begun: something failed, or the run was stopped.
    stopping: bool,
    pub(super) interrupted: bool,
}

impl<'a, 't> Coordinator<'a, 't> {
    pub(super) fn new(
        graph: &'a Graph<'t>,
        selection: &'a Selection,
        store: &'a Store,
        options: &'a Options,
        reporter: &'a mut dyn Reporter,
    ) -> Self {
        Self {
            graph,
            selection,
            store,
            options,
            reporter,
            crew: Crew::new(store, options),
            schedule: None,
            below: below(graph, selection),
            open: selection.all.iter().copied().collect(),
            states: BTreeMap::new(),
            ready: BTreeMap::new(),
            wanted: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            tries: BTreeMap::new(),
            stopping: false,
            interrupted: false,
        }
    }

    /// Runs until nothing runs and nothing can start.
    pub(super) fn drive<'scope>(
        &mut self,
        scope: &'scope thread::Scope<'scope, '_>,
        sender: &mpsc::Sender<Message>,
        receiver: &mpsc::Receiver<Message>,
        history: &History,
    ) -> Result<(), StoreError>
    where
        'a: 'scope,
    {
        let result = self.work(scope, sender, receiver, history);
        if result.is_err() {
            // The scope waits for its threads: let them end soon.
            self.options.cancel.store(true, Ordering::Relaxed);
        }
        result
    }

    fn work<'scope>(
        &mut self,
        scope: &'scope thread::Scope<'scope, '_>,
        sender: &mpsc::Sender<Message>,
        receiver: &mpsc::Receiver<Message>,
        history: &History,
    ) -> Result<(), StoreError>
    where
        'a: 'scope,
    {
        loop {
            self.settle(history)?;
            if self.start(scope, sender, history)? {
                continue;
            }
            if self.crew.is_idle() && (self.stopping || self.ready.is_empty()) {
                self.block_the_rest();
                return Ok(());
            }
            // Everything that is there at once, so that a talkative stage does not make the loop look at the disk.
            let mut settled = false;
            while !settled {
                match receiver.recv_timeout(TICK) {
                    Ok((index, Word::Note(note))) => self.note(index, note),
                    Ok((index, Word::Done(result))) => {
                        self.done(index, *result)?;
                        settled = true;
                    }
                    Err(_) => settled = !self.ready.is_empty() || self.crew.is_idle(),
                }
                self.crew.beat(|| self.states.values().filter_map(|state| state.key).collect());
                self.watch_the_clock();
            }
        }
    }

    /// Decides whatever can be decided now.
    fn settle(&mut self, history: &History) -> Result<(), StoreError> {
        self.watch_the_clock();
        while let Some(index) = self.open.pop_first() {
            if self.states.contains_key(&index) || self.crew.runs(index) || self.ready.contains_key(&index) {
                continue;
            }
            match self.inputs(&self.graph.instances[index]) {
                Ok(Some(inputs)) => self.decide(index, inputs, history)?,
                Ok(None) => {}
                Err((status, message)) => self.finish(index, status, None, None, None, Some(message)),
            }
        }
        Ok(())
    }

    fn decide(
        &mut self,
        index: usize,
        inputs: BTreeMap<String, ArtifactHash>,
        history: &History,
    ) -> Result<(), StoreError> {
        let (graph, store) = (self.graph, self.store);
        let around = Surroundings::new(store, history, &graph.pipeline.root, true);
        let instance = &graph.instances[index];
        let force = self.options.force && self.selection.targets.contains(&index) && instance.same_as.is_none();
        let mut decision = decide(instance, inputs, force, &around)?;
        if let (Some(port), Verdict::Cached(manifest)) = (self.wanted.get(&index), &decision.verdict)
            && !store.has_all(manifest)?
        {
            decision.verdict = Verdict::Run(vec![Reason::Evicted { port: port.clone() }]);
        }
        let key = decision.key();
        match decision.verdict {
            Verdict::Cached(manifest) => {
                self.finish(index, Status::Cached, key, None, Some(manifest), None);
            }
            Verdict::Waiting(_) => {}
            Verdict::Run(ref reasons) if decision.recipe.is_none() => {
                let reason = reasons.first().cloned();
                let message = reason.as_ref().map(ToString::to_string);
                self.finish(index, Status::Failed, None, reason, None, message);
            }
            Verdict::Run(_) => drop(self.ready.insert(index, decision)),
        }
        Ok(())
    }

    /// Starts what is ready, while there is room. What was decided earlier is decided again: it may be done by now.
    /// True if something must be settled anew.
    fn start<'scope>(
        &mut self,
        scope: &'scope thread::Scope<'scope, '_>,
        sender: &mpsc::Sender<Message>,
        history: &History,
    ) -> Result<bool, StoreError>
    where
        'a: 'scope,
    {
        let now = Instant::now();
        let mut unsettled = false;
        for index in self.by_urgency(history)? {
            if self.stopping || self.schedule().is_full() {
                break;
            }
            if !self.schedule().fits(index) {
                continue;
            }
            let paused = self.tries.get(&index).and_then(|tries| tries.pause).is_some_and(|pause| pause > now);
            let Some(decision) = self.ready.get(&index) else { continue };
            if paused || self.crew.is_on(decision.trajectory()) {
                continue;
            }
            let inputs = self.ready.remove(&index).and_then(|old| old.recipe).map(|recipe| recipe.inputs);
            self.decide(index, inputs.unwrap_or_default(), history)?;
            let Some(decision) = self.ready.get(&index).cloned() else {
                // Done by another process: what stands below can be decided now.
                unsettled = true;
                continue;
            };
            if let Some(port) = self.gone(&decision)? {
                let inputs = self.ready.remove(&index).and_then(|old| old.recipe).map(|recipe| recipe.inputs);
                self.remake(index, &port, &inputs.unwrap_or_default())?;
                unsettled = true;
                continue;
            }
            let reason = decision.reason();
            let threads = self.schedule().load(index).threads;
            let instance = &self.graph.instances[index];
            match self.crew.start(scope, sender, self.graph, (index, threads), decision)? {
                Start::Started => {
                    self.ready.remove(&index);
                    self.schedule().start(index);
                    self.elsewhere.remove(&index);
                    let (instance, kind) = (instance.name.clone(), instance.kind.name.to_owned());
                    self.reporter.event(&Event::StageStarted { instance, kind, reason });
                }
                Start::Done => unsettled = true,
                Start::Elsewhere(holder) => {
                    let holder = holder.to_string();
                    if self.elsewhere.insert(index, holder.clone()).as_ref() != Some(&holder) {
                        self.reporter.event(&Event::Waiting { instance: instance.name.clone(), holder });
                    }
                }
            }
        }
        Ok(unsettled)
    }

    /// What is ready, the most urgent first.
    fn by_urgency(&mut self, history: &History) -> Result<Vec<usize>, StoreError> {
        let ready: Vec<usize> = self.ready.keys().copied().collect();
        if self.schedule.is_none() && !ready.is_empty() {
            self.schedule = Some(limits::schedule(self.graph, self.store, self.options, history)?);
        }
        Ok(self.schedule.as_ref().map(|schedule| schedule.by_urgency(ready)).unwrap_or_default())
    }

    fn schedule(&mut self) -> &mut Schedule {
        self.schedule.as_mut().expect("made when the first instance was ready")
    }

    /// The input hashes of an instance; `None` while something above is not done.
    fn inputs(&self, instance: &Instance<'_>) -> Result<Option<BTreeMap<String, ArtifactHash>>, (Status, String)> {
        let mut inputs = BTreeMap::new();
        for from in instance.above() {
            match self.states.get(&from) {
                None => return Ok(None),
                Some(above) if above.manifest.is_none() => {
                    let word = if above.status == Status::Failed { "failed" } else { "is blocked" };
                    return Err((Status::Blocked, format!("{} {word}", self.graph.instances[from].name)));
                }
                Some(_) => {}
            }
        }
        for link in &instance.inputs {
            let made = self.states[&link.from].manifest.as_ref().and_then(|m| m.outputs.get(&*link.output));
            let Some(Output { hash, .. }) = made else {
                let maker = &self.graph.instances[link.from];
                let message = format!("{} did not make its optional output `{}`", maker.name, link.output);
                return Err((Status::Failed, message));
            };
            inputs.insert(link.port.to_owned(), *hash);
        }
        Ok(Some(inputs))
    }

    fn note(&mut self, index: usize, note: Note) {
        let instance = self.graph.instances[index].name.clone();
        if let Some(running) = self.crew.get_mut(index) {
            match &note {
                Note::Progress(progress) => running.progress = progress.to_string(),
                Note::Resumed(_) => running.resumed = true,
                _ => {}
            }
        }
        self.reporter.event(&match note {
            Note::Progress(p) => Event::Progress {
                instance,
                done: p.done,
                total: p.total,
                unit: p.unit,
                epoch: p.epoch.map(|(epoch, _)| epoch),
                epochs: p.epoch.map(|(_, epochs)| epochs),
                loss: p.loss,
            },
            Note::Metric { name, value } => Event::Metric { instance, name, value, epoch: None },
            Note::Point { series, epoch, value } => Event::Metric { instance, name: series, value, epoch: Some(epoch) },
            Note::Resumed(at) => Event::Resumed { instance, epoch: at.epoch, step: at.step },
            Note::Saved(at) => Event::Checkpoint { instance, epoch: at.epoch, step: at.step },
        });
    }

    fn done(&mut self, index: usize, result: Result<Manifest, Failure>) -> Result<(), StoreError> {
        let Some((decision, resumed)) = self.crew.release(index) else { return Ok(()) };
        self.schedule().end(index);
        let (key, reason) = (decision.key(), Some(decision.reason()));
        let tries = self.tries.entry(index).or_default();
        match result {
            Ok(manifest) => {
                let status = if resumed { Status::Resumed } else { Status::Ran };
                self.finish(index, status, key, reason, Some(Box::new(manifest)), None);
            }
            Err(Failure::Cancelled) => {
                self.interrupted = true;
                self.finish(index, Status::Blocked, key, reason, None, Some("interrupted".to_owned()));
            }
            Err(Failure::Failed(message)) => {
                tries.failed += 1;
                if tries.failed > self.graph.instances[index].retries {
                    self.finish(index, Status::Failed, key, reason, None, Some(message));
                } else {
                    tries.pause = Some(Instant::now() + BACKOFF * 2u32.saturating_pow(tries.failed - 1));
                    self.open.insert(index);
                    let (instance, again) = (self.graph.instances[index].name.clone(), tries.failed);
                    self.reporter.event(&Event::Retrying { instance, again, message });
                }
            }
            Err(Failure::Damaged { port, message }) => {
                tries.damaged += 1;
                if tries.damaged > 3 {
                    self.finish(index, Status::Failed, key, reason, None, Some(message));
                } else {
                    let instance = self.graph.instances[index].name.clone();
                    self.reporter.event(&Event::Damaged { instance, port: port.clone(), message });
                    self.remake(index, &port, &decision.recipe.map(|recipe| recipe.inputs).unwrap_or_default())?;
                }
            }
        }
        Ok(())
    }

    fn finish(
        &mut self,
        index: usize,
        status: Status,
        key: Option<StageKey>,
        reason: Option<Reason>,
        manifest: Option<Box<Manifest>>,
        message: Option<String>,
    ) {
        let instance = &self.graph.instances[index];
        self.stopping |= status == Status::Failed && !self.options.keep_going;
        self.reporter.event(&Event::StageFinished {
            instance: instance.name.clone(),
            kind: instance.kind.name.to_owned(),
            status,
            key,
            seconds: manifest.as_ref().map(|manifest| manifest.seconds),
            outputs: manifest.as_ref().map(|manifest| manifest.outputs.clone()).unwrap_or_default(),
            message: message.clone(),
        });
        self.states.insert(index, Outcome { index, status, key, reason, manifest, message });
        self.open.extend(self.below.get(&index).into_iter().flatten());
    }

    /// Stops when somebody asks for it, or the budget of time is spent.
    fn watch_the_clock(&mut self) {
        if self.options.until.is_some_and(|until| Instant::now() >= until) {
            self.options.cancel.store(true, Ordering::Relaxed);
        }
        self.interrupted |= self.options.cancel.load(Ordering::Relaxed);
        self.stopping |= self.interrupted;
    }

    /// Nothing runs and nothing can start: what is left never will.
    fn block_the_rest(&mut self) {
        for &index in &self.selection.all {
            if self.states.contains_key(&index) {
                continue;
            }
            let above = self.inputs(&self.graph.instances[index]).err().map(|(_, message)| message);
            let why = if self.interrupted { "the run was interrupted" } else { "the run stopped at a failure" };
            let message = above.unwrap_or_else(|| why.to_owned());
            self.finish(index, Status::Blocked, None, None, None, Some(message));
        }
    }

    /// What became of each instance, in the order of the graph.
    pub(super) fn outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.states).into_values().collect()
    }
}

/// For each instance, the selected ones that stand on it.
fn below(graph: &Graph<'_>, selection: &Selection) -> BTreeMap<usize, Vec<usize>> {
    let mut below: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &index in &selection.all {
        let instance = &graph.instances[index];
        for above in instance.above() {
            below.entry(above).or_default().push(index);
        }
    }
    below
}
