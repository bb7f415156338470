//! Records a run while it passes the events on to a listener.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{Experiment, ExperimentError, Listener, Refusal, Request};
use crate::{
    graph::{Graph, Instance, Selection},
    run::{Event, Outcome, Reporter, Status, Summary, line},
    store::{Git, Recording, RunEnd, RunId, RunInstance, RunOutcome, RunRecord, RunStatus, Store, StoreError},
};

/// The least time between two recorded lines about the progress of one instance.
const PROGRESS: Duration = Duration::from_millis(400);

/// How long the end of a run waits for git.
const PATIENCE: Duration = Duration::from_secs(1);

/// The state of the project in git, which is looked for when the first stage starts: a run that has nothing to do starts
/// no program.
enum Looking {
    NotYet,
    Looks(JoinHandle<Option<Git>>),
    Looked,
}

/// Passes the events of a run to a listener, and records them. A record that cannot be written costs a warning, never the
/// run.
pub(super) struct Recorder<'a> {
    listener: &'a mut dyn Listener,
    /// What the run was asked; `None` before it begins.
    record: Option<RunRecord>,
    /// `None` if the run is not recorded.
    recording: Option<Recording>,
    began: Instant,
    /// When the last line about the progress of each running instance was recorded.
    told: BTreeMap<String, Instant>,
    git: Looking,
}

impl<'a> Recorder<'a> {
    /// Records nothing yet: a run that cannot begin has no record.
    pub(super) fn new(listener: &'a mut dyn Listener) -> Self {
        let (told, git) = (BTreeMap::new(), Looking::NotYet);
        Self { listener, record: None, recording: None, began: Instant::now(), told, git }
    }

    /// Returns the id of the run, if it has begun.
    pub(super) fn id(&self) -> Option<&RunId> {
        self.record.as_ref().map(|record| &record.id)
    }

    /// Records a graph that is about to run, if the listener agrees to it. If seeds were added, it replaces the one before.
    pub(super) fn begin(
        &mut self,
        experiment: &Experiment,
        request: &Request,
        (graph, wanted): (&Graph<'_>, &Selection),
        store: &Store,
    ) -> Result<(), Refusal> {
        let mut record = match self.record.take() {
            Some(record) => record,
            None => {
                let (id, recording) = store.new_run();
                match recording {
                    Ok(recording) => self.recording = recording,
                    Err(error) => self.warn(&error),
                }
                RunRecord::here(id)
            }
        };
        if let Err(refusal) = self.listener.graph(graph, &record.id) {
            self.recording.take().into_iter().for_each(Recording::discard);
            return Err(refusal);
        }
        let instances = wanted.all.iter().map(|&index| instance(&graph.instances[index])).collect();
        let (root, file) = experiment.place();
        record = RunRecord {
            pipeline: graph.pipeline.name.clone(),
            file,
            root,
            text: experiment.text.clone(),
            included: experiment.included_texts(),
            arguments: request.arguments.clone(),
            changes: experiment.changes.clone(),
            targets: request.targets.clone(),
            until: request.until.clone(),
            instances,
            ..record
        };
        self.record = Some(record);
        self.keep(|record, recording| recording.begin(record));
        Ok(())
    }

    /// Records what became of the run.
    pub(super) fn end(&mut self, graph: &Graph<'_>, summary: &Summary, in_vain: bool) {
        let status = match summary.counts {
            _ if summary.interrupted => RunStatus::Interrupted,
            counts if counts.failed > 0 || in_vain => RunStatus::Failed,
            _ => RunStatus::Done,
        };
        let outcome = |outcome: &Outcome| {
            let status = outcome.status.word().to_owned();
            let seconds = outcome.manifest.as_ref().map(|manifest| manifest.seconds);
            (graph.instances[outcome.index].name.to_string(), RunOutcome { status, key: outcome.key, seconds })
        };
        let outcomes = summary.outcomes.iter().map(outcome).collect();
        let counts = summary.counts.words().map(|(word, count)| (word.to_owned(), count)).collect();
        self.finish(RunEnd { counts, outcomes, ..RunEnd::new(status, self.seconds()) });
        self.listener.end();
    }

    /// Records that the run itself failed: the cache could not be written, or a search has no score.
    pub(super) fn fail(&mut self, error: &ExperimentError) {
        let message = Some(error.to_string());
        self.finish(RunEnd { message, ..RunEnd::new(RunStatus::Failed, self.seconds()) });
    }

    /// Passes on a message about the progress of a search.
    pub(super) fn say(&mut self, words: &str) {
        self.listener.remark(words);
    }

    fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    fn finish(&mut self, end: RunEnd) {
        self.add_git(true);
        if let Some(recording) = self.recording.take()
            && let Err(error) = recording.end(&end)
        {
            self.warn(&error);
        }
    }

    fn line(&mut self, event: &Event) {
        if let Event::Progress { instance, done, total, .. } = event {
            let now = Instant::now();
            let last = self.told.get(instance);
            if done < total && last.is_some_and(|last| now.duration_since(*last) < PROGRESS) {
                return;
            }
            self.told.insert(instance.clone(), now);
        }
        // Cached instances come by the thousand at the start; what follows them flushes.
        let waits = matches!(event, Event::StageFinished { status: Status::Cached, .. } | Event::Warning { .. });
        self.keep(|record, recording| {
            line(event, &record.id).map_or(Ok(()), |line| recording.line(&line))?;
            if waits { Ok(()) } else { recording.flush() }
        });
    }

    /// Writes to the record as long as that succeeds.
    fn keep(&mut self, write: impl FnOnce(&RunRecord, &mut Recording) -> Result<(), StoreError>) {
        if let (Some(record), Some(recording)) = (&self.record, &mut self.recording)
            && let Err(error) = write(record, recording)
        {
            self.recording = None;
            self.warn(&error);
        }
    }

    fn warn(&mut self, error: &StoreError) {
        self.listener.remark(&format!("warning: the run is not recorded: {error}"));
    }

    /// Adds the state of the project in git once it is known, and at the end of the run waits a little for it.
    fn add_git(&mut self, at_end: bool) {
        let Looking::Looks(thread) = &self.git else { return };
        let patience = Instant::now() + if at_end { PATIENCE } else { Duration::ZERO };
        while !thread.is_finished() && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
        if thread.is_finished()
            && let Looking::Looks(thread) = std::mem::replace(&mut self.git, Looking::Looked)
            && let Ok(Some(git)) = thread.join()
            && let Some(record) = &mut self.record
        {
            record.git = Some(git);
            self.keep(|record, recording| recording.begin(record));
        }
    }
}

impl Reporter for Recorder<'_> {
    fn event(&mut self, event: &Event) {
        if let (Event::StageStarted { .. }, Looking::NotYet, Some(_), Some(record)) =
            (event, &self.git, &self.recording, &self.record)
        {
            let root = record.root.clone();
            self.git = Looking::Looks(std::thread::spawn(move || git(&root)));
        }
        if self.recording.is_some() {
            self.line(event);
        }
        self.listener.event(event);
    }

    fn tick(&mut self) {
        self.add_git(false);
        self.keep(|_, recording| recording.flush());
        self.listener.tick();
    }

    fn remark(&mut self, words: &str) {
        self.listener.remark(words);
    }
}

fn instance(instance: &Instance<'_>) -> RunInstance {
    RunInstance {
        instance: instance.name.to_string(),
        stage: instance.stage.clone(),
        kind: instance.kind.name.to_owned(),
        axes: instance.axes.iter().map(|(axis, value)| (axis.to_owned(), value.clone())).collect(),
        key: None,
    }
}

/// Asks git for the commit of a project, and whether its files differ from that.
fn git(root: &str) -> Option<Git> {
    let mut git = Command::new("git");
    // In a hook of another repository these would name that one.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(name);
    }
    git.args(["--no-optional-locks", "-C", root, "status", "--porcelain=v2", "--branch", "--untracked-files=no"]);
    let answer = git.stdin(Stdio::null()).output().ok().filter(|answer| answer.status.success())?;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let commit = text.lines().find_map(|line| line.strip_prefix("# branch.oid "))?;
    let dirty = text.lines().any(|line| !line.starts_with('#'));
    Some(Git { commit: (commit != "(initial)").then(|| commit.to_owned()), dirty })
}
