//! What the coordinator hears of running instances, and what becomes of them.

use std::time::{Duration, Instant};

use super::{Event, Outcome, Status, dispatcher::Coordinator, worker::Failure};
use crate::{
    digest::StageKey,
    plan::Reason,
    stage::Note,
    store::{Manifest, StoreError},
};

/// The pause before the first retry; each further one is twice as long.
const BACKOFF: Duration = Duration::from_millis(500);

impl Coordinator<'_, '_> {
    pub(super) fn note(&mut self, index: usize, note: Note) {
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
            Note::Warning(message) => Event::Warning { instance, message },
            Note::Resumed(at) => Event::Resumed { instance, epoch: at.epoch, step: at.step },
            Note::Saved(at) => Event::Checkpoint { instance, epoch: at.epoch, step: at.step },
        });
    }

    pub(super) fn done(&mut self, index: usize, result: Result<Manifest, Failure>) -> Result<(), StoreError> {
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
            Err(Failure::Changed(file)) => {
                tries.changed += 1;
                if tries.changed > 3 {
                    let message =
                        format!("{} changes again and again while it is read; run again when it rests", file.display());
                    self.finish(index, Status::Failed, key, reason, None, Some(message));
                } else {
                    self.open.insert(index);
                    let instance = self.graph.instances[index].name.clone();
                    self.reporter.event(&Event::SourceChanged { instance, file });
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

    pub(super) fn finish(
        &mut self,
        index: usize,
        status: Status,
        key: Option<StageKey>,
        reason: Option<Reason>,
        manifest: Option<Box<Manifest>>,
        message: Option<String>,
    ) {
        let instance = &self.graph.instances[index];
        if status == Status::Failed {
            self.stopping |= !self.options.keep_going;
            self.failed.extend(key.zip(message.clone()));
        }
        if status == Status::Cached && instance.same_as.is_none() {
            for message in manifest.iter().flat_map(|manifest| &manifest.warnings) {
                let (instance, message) = (instance.name.clone(), message.clone());
                self.reporter.event(&Event::Warning { instance, message });
            }
        }
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
        self.shorten_outlook(index, status);
    }

    /// Takes an instance that is done out of what is left, and says so.
    fn shorten_outlook(&mut self, index: usize, status: Status) {
        let Some((seconds, unknown)) = &mut self.outlook else { return };
        if self.graph.instances[index].same_as.is_none() {
            match self.expected[index] {
                Some(expected) => *seconds = (*seconds - expected).max(0.0),
                None => *unknown = unknown.saturating_sub(1),
            }
        }
        if status != Status::Cached {
            self.reporter.event(&Event::Outlook { seconds: *seconds, unknown: *unknown });
        }
    }
}
