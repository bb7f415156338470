//! What a running stage gets besides its inputs: a device, a place to save its state, and a listener to report to.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use candle_core::Device;

use super::{DeviceId, Root, StageError};
use crate::store::{Artifact, Checkpoints, Position, SECONDS, WorkFolder, WorkRecord};

/// The progress of a running stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in total; 0 if unknown.
    pub total: u64,
    /// The unit: "step", "image", …
    pub unit: &'static str,
    /// The current epoch, from 1, and the number of epochs.
    pub epoch: Option<(usize, usize)>,
    /// The loss of the last step.
    pub loss: Option<f64>,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.epoch {
            Some((epoch, epochs)) => write!(f, "epoch {epoch}/{epochs}"),
            None if self.total > 0 => write!(f, "{} {}/{}", self.unit, self.done, self.total),
            None => write!(f, "{} {}", self.unit, self.done),
        }
    }
}

/// Something that a running stage reports.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// Its progress.
    Progress(Progress),
    /// It resumes from a saved state.
    Resumed(Position),
    /// It has saved its state.
    Saved(Position),
    /// A final number.
    Metric {
        /// Its name, snake_case.
        name: String,
        /// Its value.
        value: f64,
    },
    /// Why the result should be read with care.
    Warning(String),
    /// What the work is about, in a sentence. It is shown during the run and not kept.
    Remark(String),
    /// A point of a curve.
    Point {
        /// The curve, snake_case.
        series: String,
        /// The epoch, from 1.
        epoch: u64,
        /// The value there.
        value: f64,
    },
    /// All that a program printed. It is kept with the result, and is no event.
    Log(Vec<u8>),
}

/// What a stage that runs a program needs besides its inputs.
pub struct Workplace<'a> {
    /// `PIPELINE/INSTANCE`.
    pub instance: &'a str,
    /// A folder for its files while it runs, deleted afterwards.
    pub scratch: &'a Path,
    /// The folder for its state, which outlives it.
    pub folder: Option<&'a WorkFolder>,
    /// A text by which its processes are recognised, different for different work and caches.
    pub mark: &'a str,
    /// The devices that it may use.
    pub devices: &'a [DeviceId],
    /// Where people find what it printed.
    pub log: &'a str,
}

/// Where a stage saves its states, and which epochs it must reach and keep.
pub struct Saving {
    /// The states of its trajectory.
    pub checkpoints: Checkpoints,
    /// The epoch to reach.
    pub epochs: u64,
    /// Earlier epochs whose states are kept.
    pub keep: Vec<u64>,
    /// Time between two saved states.
    pub every: Duration,
}

/// The shortest time between two progress notes, however often the stage reports.
const INTERVAL: Duration = Duration::from_millis(100);

/// The device, folder and listener of a running stage, and its saved states.
pub struct Context<'a> {
    device: Device,
    threads: usize,
    root: &'a Path,
    cancel: &'a AtomicBool,
    listener: &'a mut dyn FnMut(Note),
    last: Option<Instant>,
    saving: Option<Saving>,
    workplace: Option<Workplace<'a>>,
    saved: Instant,
    /// The last epoch at which the folder of a program was said to be consistent.
    noted: Option<u64>,
    started: Instant,
    /// Seconds that earlier runs took to reach the state that this run resumed from.
    earlier: f64,
}

impl<'a> Context<'a> {
    /// A context for one run of one stage. Everything that the stage reports goes to `listener`.
    pub fn new(
        device: Device,
        threads: usize,
        root: &'a Path,
        cancel: &'a AtomicBool,
        listener: &'a mut dyn FnMut(Note),
    ) -> Self {
        let now = Instant::now();
        Self {
            device,
            threads,
            root,
            cancel,
            listener,
            last: None,
            saving: None,
            workplace: None,
            saved: now,
            noted: None,
            started: now,
            earlier: 0.0,
        }
    }

    /// The same, with a place to save states in.
    #[must_use]
    pub fn saving(mut self, saving: Option<Saving>) -> Self {
        self.saving = saving;
        self
    }

    /// The same, with a place for a program to work in.
    #[must_use]
    pub fn at(mut self, workplace: Workplace<'a>) -> Self {
        self.workplace = Some(workplace);
        self
    }

    /// The place for a program to work in. `None` in work that is only repeated to compare its result.
    #[must_use]
    pub fn workplace(&self) -> Option<&Workplace<'a>> {
        self.workplace.as_ref()
    }

    /// Reports that a program goes on from what is in its folder.
    pub fn resume_folder(&mut self) {
        let Some(folder) = self.workplace.as_ref().and_then(|place| place.folder) else { return };
        let found = &folder.found;
        self.earlier = found.seconds;
        (self.listener)(Note::Resumed(Position { epoch: found.epoch, step: 0 }));
    }

    /// Records that the folder of a program is consistent at this epoch, with the bytes of its events up to there.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn saved_folder(&mut self, epoch: u64, events: u64) -> Result<(), StageError> {
        let Some(Workplace { folder: Some(folder), instance, .. }) = &self.workplace else { return Ok(()) };
        let (seconds, instance) = (self.seconds(), (*instance).to_owned());
        folder.saved(&WorkRecord { epoch, seconds, instance, events })?;
        if self.noted.replace(epoch) != Some(epoch) {
            (self.listener)(Note::Saved(Position { epoch, step: 0 }));
        }
        Ok(())
    }

    /// Keeps what a program printed.
    pub fn log(&mut self, bytes: Vec<u8>) {
        (self.listener)(Note::Log(bytes));
    }

    /// The furthest saved state of this work, if there is one, and its position. A state that is not finite is useless,
    /// so it is ignored: the training starts again, and reports where it diverges.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn resume(&mut self) -> Result<Option<(Position, Artifact)>, StageError> {
        let Some(saving) = &self.saving else { return Ok(None) };
        // If the state at an epoch that must be kept is gone, states past that epoch are of no use.
        let mut limit = Position { epoch: saving.epochs, step: 0 };
        for &epoch in &saving.keep {
            let kept = Position { epoch, step: 0 };
            if saving.checkpoints.position(kept)? != Some(kept) {
                limit = limit.min(kept);
            }
        }
        let Some((at, state)) = saving.checkpoints.latest(limit)? else { return Ok(None) };
        if state.not_finite()?.is_some() {
            return Ok(None);
        }
        self.earlier = state.get(SECONDS).unwrap_or_default();
        (self.listener)(Note::Resumed(at));
        Ok(Some((at, state)))
    }

    /// Seconds that the work has taken, including those before the state that it resumed from.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.earlier + self.started.elapsed().as_secs_f64()
    }

    /// Earlier epochs whose states are outputs as well.
    #[must_use]
    pub fn keep(&self) -> Vec<u64> {
        self.saving.as_ref().map(|saving| saving.keep.clone()).unwrap_or_default()
    }

    /// The saved state at the end of `epoch`, if there is one.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn state_at(&self, epoch: u64) -> Result<Option<Artifact>, StageError> {
        let Some(saving) = &self.saving else { return Ok(None) };
        let at = Position { epoch, step: 0 };
        Ok(saving.checkpoints.latest(at)?.filter(|(found, _)| *found == at).map(|(_, state)| state))
    }

    /// Whether to save a state at this position: at the last epoch, at epochs that are kept, and whenever the time
    /// between two saved states has passed.
    #[must_use]
    pub fn save_due(&self, at: Position) -> bool {
        self.saving.as_ref().is_some_and(|saving| {
            let whole = at.step == 0 && (at.epoch == saving.epochs || saving.keep.contains(&at.epoch));
            whole || self.saved.elapsed() >= saving.every
        })
    }

    /// Saves a state and deletes earlier ones, except those at epochs that are kept.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub fn save(&mut self, at: Position, state: &Artifact) -> Result<(), StageError> {
        let Some(saving) = &self.saving else { return Ok(()) };
        let state = state.clone().attribute(SECONDS, self.seconds());
        saving.checkpoints.save(at, &state, |old| old.step == 0 && saving.keep.contains(&old.epoch))?;
        self.saved = Instant::now();
        (self.listener)(Note::Saved(at));
        Ok(())
    }

    /// The device to compute on.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The size of the rayon pool that the stage runs in. Results must not depend on it.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The project root.
    #[must_use]
    pub fn root(&self) -> &'a Path {
        self.root
    }

    /// The file or folder that a path in a parameter names.
    #[must_use]
    pub fn resolve(&self, path: &str) -> PathBuf {
        Root(self.root).resolve(path)
    }

    /// True once the stage should stop at the next opportunity and return [`StageError::Cancelled`](super::StageError).
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Answers as [`Context::cancelled`], but from other threads, or while the context is borrowed.
    pub fn stop(&self) -> impl Fn() -> bool + Sync + use<'a> {
        let cancel = self.cancel;
        move || cancel.load(Ordering::Relaxed)
    }

    /// Reports progress. Cheap enough to call at every step.
    pub fn progress(&mut self, progress: Progress) {
        let due = self.last.is_none_or(|last| last.elapsed() >= INTERVAL) || progress.done == progress.total;
        if due {
            self.last = Some(Instant::now());
            (self.listener)(Note::Progress(progress));
        }
    }

    /// Records a final number in the manifest. If a name is recorded twice, the last value counts.
    pub fn metric(&mut self, name: impl Into<String>, value: f64) {
        (self.listener)(Note::Metric { name: name.into(), value });
    }

    /// Records a warning in the manifest: the result is what was asked for, but should be read with care. The message
    /// is a lowercase fragment, and says what would help. It is shown now, and again whenever the result comes from the
    /// cache.
    pub fn warn(&mut self, message: impl Into<String>) {
        (self.listener)(Note::Warning(message.into()));
    }

    /// Says a sentence about the work, such as what it reads: a lowercase fragment. It is shown during the run and is not
    /// part of the result.
    pub fn remark(&mut self, message: impl Into<String>) {
        (self.listener)(Note::Remark(message.into()));
    }

    /// Records a point of a curve in the manifest. Epochs count from 1; of two points at one epoch the last counts.
    pub fn point(&mut self, series: impl Into<String>, epoch: u64, value: f64) {
        (self.listener)(Note::Point { series: series.into(), epoch, value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{digest::StageKey, store::Store};

    #[test]
    fn seconds_are_those_of_all_runs_of_the_work() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let store = Store::open(folder.path());
        let (cancel, pause) = (AtomicBool::new(false), Duration::from_millis(30));
        for (run, epoch) in (1..=3).zip(1..) {
            let checkpoints = store.checkpoints(&StageKey::of(b"x"));
            let saving = Saving { checkpoints, epochs: 9, keep: Vec::new(), every: Duration::ZERO };
            let mut say = |_: Note| {};
            let mut cx = Context::new(Device::Cpu, 1, folder.path(), &cancel, &mut say).saving(Some(saving));
            cx.resume()?;
            std::thread::sleep(pause);
            cx.save(Position { epoch, step: 0 }, &Artifact::new())?;
            assert!(cx.seconds() >= f64::from(run) * pause.as_secs_f64(), "{} in run {run}", cx.seconds());
        }
        Ok(())
    }
}
