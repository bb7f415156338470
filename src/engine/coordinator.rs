//! The coordinator: one thread that owns all state of a run. Workers only send it messages.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering, mpsc},
    thread,
};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{
    Event, Graph, Instance, Options, Outcome, Reason, Reporter, Selection, Status,
    plan::{Decision, Surroundings, Verdict, decide},
    worker::{Failure, Job, execute},
};
use crate::{
    digest::{ArtifactHash, StageKey},
    stage::Note,
    store::{History, Manifest, Output, Store, StoreError},
};

/// A message from a worker: the instance, and what it says.
pub(super) type Message = (usize, Word);

pub(super) enum Word {
    Note(Note),
    Done(Box<Result<Manifest, Failure>>),
}

/// How often an instance was tried, and how often its inputs turned out damaged.
#[derive(Default)]
struct Tries {
    failed: u32,
    damaged: u32,
}

/// The work of one running instance, and the slot (thread pool) that it runs in.
struct Running {
    decision: Decision,
    slot: usize,
}

pub(super) struct Coordinator<'a, 't> {
    graph: &'a Graph<'t>,
    selection: &'a Selection,
    store: &'a Store,
    options: &'a Options,
    reporter: &'a mut dyn Reporter,
    /// The instances that are done with.
    states: BTreeMap<usize, Outcome>,
    tries: BTreeMap<usize, Tries>,
    running: BTreeMap<usize, Running>,
    pools: Vec<Arc<ThreadPool>>,
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
            states: BTreeMap::new(),
            tries: BTreeMap::new(),
            running: BTreeMap::new(),
            pools: Vec::new(),
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
        let result = self.settle(scope, sender, history).and_then(|()| {
            while !self.running.is_empty() {
                let Ok((index, word)) = receiver.recv() else { break };
                match word {
                    Word::Note(note) => self.note(index, note),
                    Word::Done(result) => {
                        self.done(index, *result)?;
                        self.settle(scope, sender, history)?;
                    }
                }
            }
            Ok(())
        });
        if result.is_err() {
            // The scope waits for its threads: let them end soon.
            self.options.cancel.store(true, Ordering::Relaxed);
        }
        result
    }

    /// Decides whatever can be decided now, and starts what must run while slots are free.
    fn settle<'scope>(
        &mut self,
        scope: &'scope thread::Scope<'scope, '_>,
        sender: &mpsc::Sender<Message>,
        history: &History,
    ) -> Result<(), StoreError>
    where
        'a: 'scope,
    {
        let (graph, store) = (self.graph, self.store);
        let around = Surroundings { store, history, root: &graph.pipeline.root, remember: true };
        for &index in &self.selection.all {
            self.interrupted |= self.options.cancel.load(Ordering::Relaxed);
            self.stopping |= self.interrupted;
            if self.states.contains_key(&index) || self.running.contains_key(&index) {
                continue;
            }
            let instance = &graph.instances[index];
            let inputs = match self.inputs(instance) {
                Ok(Some(inputs)) => inputs,
                Ok(None) => continue,
                Err((status, message)) => {
                    self.finish(index, status, None, None, None, Some(message));
                    continue;
                }
            };
            let force = self.options.force && self.selection.targets.contains(&index) && instance.same_as.is_none();
            let decision = decide(instance, inputs, force, &around)?;
            let key = decision.key();
            match decision.verdict {
                Verdict::Cached(manifest) => self.finish(index, Status::Cached, key, None, Some(manifest), None),
                Verdict::Waiting(_) => {}
                Verdict::Run(ref reasons) => {
                    let busy = key.is_some() && self.running.values().any(|running| running.decision.key() == key);
                    if self.stopping || busy || self.running.len() >= self.options.jobs {
                        continue;
                    }
                    let reason = reasons.first().cloned().unwrap_or(Reason::New);
                    self.reporter.event(&Event::StageStarted {
                        instance: instance.name.clone(),
                        kind: instance.kind.name.to_owned(),
                        reason: reason.clone(),
                    });
                    match &decision.recipe {
                        Some(_) => self.start(scope, sender, index, decision)?,
                        None => {
                            let message = Some(reason.to_string());
                            self.finish(index, Status::Failed, None, Some(reason), None, message);
                        }
                    }
                }
            }
        }
        if self.running.is_empty() {
            self.block_the_rest();
        }
        Ok(())
    }

    /// The input hashes of an instance; `None` while something above is not done.
    fn inputs(&self, instance: &Instance<'_>) -> Result<Option<BTreeMap<String, ArtifactHash>>, (Status, String)> {
        let mut inputs = BTreeMap::new();
        let needed = instance.inputs.iter().map(|link| link.from).chain(instance.same_as);
        for from in needed {
            match self.states.get(&from) {
                None => return Ok(None),
                Some(above) if above.manifest.is_none() => {
                    let name = &self.graph.instances[from].name;
                    let word = above.status.word();
                    return Err((
                        Status::Blocked,
                        format!("{name} {}", if word == "failed" { word } else { "is blocked" }),
                    ));
                }
                Some(_) => {}
            }
        }
        for link in &instance.inputs {
            let made = self.states[&link.from].manifest.as_ref().and_then(|m| m.outputs.get(link.output));
            let Some(Output { hash, .. }) = made else {
                let maker = &self.graph.instances[link.from];
                let message = format!("{} did not make its optional output `{}`", maker.name, link.output);
                return Err((Status::Failed, message));
            };
            inputs.insert(link.port.to_owned(), *hash);
        }
        Ok(Some(inputs))
    }

    fn start<'scope>(
        &mut self,
        scope: &'scope thread::Scope<'scope, '_>,
        sender: &mpsc::Sender<Message>,
        index: usize,
        decision: Decision,
    ) -> Result<(), StoreError>
    where
        'a: 'scope,
    {
        // Better now than after hours of work.
        self.store.ensure_writable()?;
        let taken: BTreeSet<usize> = self.running.values().map(|running| running.slot).collect();
        let slot = (0..).find(|slot| !taken.contains(slot)).unwrap_or_default();
        let pool = self.pool(slot);
        let (graph, store, options) = (self.graph, self.store, self.options);
        let job = Job {
            instance: &graph.instances[index],
            recipe: decision.recipe.clone().expect("only work with a recipe is started"),
            pipeline: &graph.pipeline.name,
            root: &graph.pipeline.root,
            store,
            device: options.device.clone(),
            threads: options.threads,
            cancel: &options.cancel,
        };
        self.running.insert(index, Running { decision, slot });
        let sender = sender.clone();
        scope.spawn(move || {
            let notes = sender.clone();
            // The coordinator may have gone on an error of its own; then nobody wants to know.
            let result = pool.install(|| execute(&job, &mut |note| drop(notes.send((index, Word::Note(note))))));
            let _ = sender.send((index, Word::Done(Box::new(result))));
        });
        Ok(())
    }

    /// The thread pool of a slot. Made when first needed: a run that finds everything cached starts no thread.
    fn pool(&mut self, slot: usize) -> Arc<ThreadPool> {
        while self.pools.len() <= slot {
            let pool = ThreadPoolBuilder::new().num_threads(self.options.threads).build();
            self.pools.push(Arc::new(pool.expect("threads can be started")));
        }
        self.pools[slot].clone()
    }

    fn note(&mut self, index: usize, note: Note) {
        let instance = self.graph.instances[index].name.clone();
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
        });
    }

    fn done(&mut self, index: usize, result: Result<Manifest, Failure>) -> Result<(), StoreError> {
        let Some(Running { decision, .. }) = self.running.remove(&index) else { return Ok(()) };
        let key = decision.key();
        let reason = match decision.verdict {
            Verdict::Run(reasons) => reasons.into_iter().next(),
            _ => None,
        };
        let tries = self.tries.entry(index).or_default();
        match result {
            Ok(manifest) => self.finish(index, Status::Ran, key, reason, Some(Box::new(manifest)), None),
            Err(Failure::Cancelled) => {
                self.interrupted = true;
                self.finish(index, Status::Blocked, key, reason, None, Some("interrupted".to_owned()));
            }
            Err(Failure::Failed(message)) => {
                tries.failed += 1;
                if tries.failed > self.graph.instances[index].retries {
                    self.finish(index, Status::Failed, key, reason, None, Some(message));
                }
            }
            Err(Failure::Damaged { port, message }) => {
                tries.damaged += 1;
                if tries.damaged > 3 {
                    self.finish(index, Status::Failed, key, reason, None, Some(message));
                } else {
                    self.remake(index, &port, &decision.recipe.map(|recipe| recipe.inputs).unwrap_or_default())?;
                }
            }
        }
        Ok(())
    }

    /// Throws away the damaged object at an input port; its maker becomes pending and will find it missing.
    fn remake(&mut self, index: usize, port: &str, inputs: &BTreeMap<String, ArtifactHash>) -> Result<(), StoreError> {
        if let Some(hash) = inputs.get(port) {
            self.store.discard(hash)?;
        }
        for link in self.graph.instances[index].inputs.iter().filter(|link| link.port == port) {
            let maker = self.graph.instances[link.from].same_as.unwrap_or(link.from);
            self.states.remove(&link.from);
            self.states.remove(&maker);
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
