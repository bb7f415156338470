//! The coordinator: one thread that owns all state of a run. Workers only send it messages.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{atomic::Ordering, mpsc},
    thread,
    time::{Duration, Instant},
};

use super::{
    Event, Options, Outcome, Reporter, Status,
    executor::{Crew, Message, Word},
    schedule::Schedule,
};
use crate::{
    digest::{ArtifactHash, StageKey},
    graph::{Graph, Instance, Selection},
    plan::decide::Decision,
    store::{History, Output, Store, StoreError},
};

/// How long to wait for messages before looking at locks, the clock and the wish to stop.
const TICK: Duration = Duration::from_millis(250);

/// How often an instance failed, and how often its inputs turned out damaged or its source files changed.
#[derive(Default)]
pub(super) struct Tries {
    pub(super) failed: u32,
    pub(super) damaged: u32,
    pub(super) changed: u32,
    /// Not before this moment.
    pub(super) pause: Option<Instant>,
}

pub(super) struct Coordinator<'a, 't> {
    pub(super) graph: &'a Graph<'t>,
    pub(super) selection: &'a Selection,
    pub(super) store: &'a Store,
    pub(super) options: &'a Options,
    pub(super) reporter: &'a mut dyn Reporter,
    pub(super) crew: Crew<'a>,
    /// Made when something must run.
    pub(super) schedule: Option<Schedule>,
    /// For each instance, those that stand on it.
    pub(super) below: BTreeMap<usize, Vec<usize>>,
    /// Those that something may be decided on now: something above them has changed.
    pub(super) open: BTreeSet<usize>,
    /// Seconds that each instance is expected to take; empty before the schedule is made.
    pub(super) expected: Vec<Option<f64>>,
    /// Seconds that are left, and instances of unknown length; none before the schedule is made.
    pub(super) outlook: Option<(f64, usize)>,
    /// The instances that are done with.
    pub(super) states: BTreeMap<usize, Outcome>,
    /// Those that must run as soon as there is room.
    pub(super) ready: BTreeMap<usize, Decision>,
    /// Those whose evicted output is needed.
    pub(super) wanted: BTreeMap<usize, String>,
    /// Those that another process works on, and what it said last.
    pub(super) elsewhere: BTreeMap<usize, String>,
    pub(super) tries: BTreeMap<usize, Tries>,
    /// Work that failed, with the message. Equal work would fail again.
    pub(super) failed: BTreeMap<StageKey, String>,
    /// No new work is begun: something failed, or the run was stopped.
    pub(super) stopping: bool,
    pub(super) interrupted: bool,
    /// Whether it was said what an interrupted run waits for.
    told: bool,
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
            expected: Vec::new(),
            outlook: None,
            below: below(graph, selection),
            open: selection.all.iter().copied().collect(),
            states: BTreeMap::new(),
            ready: BTreeMap::new(),
            wanted: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            tries: BTreeMap::new(),
            failed: options.failed.clone(),
            stopping: false,
            interrupted: false,
            told: false,
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
                // What is done, and the saved states that what is ready may go on from.
                let trainings = || self.ready.values().filter(|decision| decision.extent.is_some());
                let needs = || self.states.values().filter_map(|state| state.key);
                self.crew.beat(|| needs().chain(trainings().filter_map(Decision::trajectory)).collect());
                self.watch_the_clock();
                self.say_what_is_waited_for();
                self.reporter.tick();
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

    /// Stops when somebody asks for it, or the budget of time is spent.
    fn watch_the_clock(&mut self) {
        if self.is_out_of_time() {
            self.options.cancel.store(true, Ordering::Relaxed);
        }
        self.interrupted |= self.options.cancel.load(Ordering::Relaxed);
        self.stopping |= self.interrupted;
    }

    fn is_out_of_time(&self) -> bool {
        self.options.until.is_some_and(|until| Instant::now() >= until)
    }

    /// An interrupted run waits for what runs, which may take long: some stages end only when they are done.
    fn say_what_is_waited_for(&mut self) {
        if self.interrupted && !self.told && !self.crew.is_idle() {
            self.told = true;
            let instances = self.crew.instances().map(|index| self.graph.instances[index].name.clone()).collect();
            let budget = self.is_out_of_time();
            self.reporter.event(&Event::Stopping { instances, budget });
        }
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
