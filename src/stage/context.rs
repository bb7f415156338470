//! What a running stage is given beside its inputs: where to compute, and whom to tell.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use candle_core::Device;

use super::Root;

/// How far a stage has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all; 0 when not known.
    pub total: u64,
    /// What a unit is: "step", "image", …
    pub unit: &'static str,
    /// The epoch being worked on, from 1, and their number.
    pub epoch: Option<(usize, usize)>,
    /// The loss of the last step.
    pub loss: Option<f64>,
}

/// Something that a running stage tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// How far it has come.
    Progress(Progress),
    /// A final number.
    Metric {
        /// Its name, snake_case.
        name: String,
        /// Its value.
        value: f64,
    },
    /// A point of a curve.
    Point {
        /// The curve, snake_case.
        series: String,
        /// The epoch, from 1.
        epoch: u64,
        /// The value there.
        value: f64,
    },
}

/// At most one progress note in this time, whatever the stage says.
const INTERVAL: Duration = Duration::from_millis(100);

/// The surroundings of a running stage.
pub struct Context<'a> {
    device: Device,
    threads: usize,
    root: &'a Path,
    cancel: &'a AtomicBool,
    listener: &'a mut dyn FnMut(Note),
    last: Option<Instant>,
}

impl<'a> Context<'a> {
    /// A context for one run of one stage. Everything the stage tells goes to `listener`.
    pub fn new(
        device: Device,
        threads: usize,
        root: &'a Path,
        cancel: &'a AtomicBool,
        listener: &'a mut dyn FnMut(Note),
    ) -> Self {
        Self { device, threads, root, cancel, listener, last: None }
    }

    /// Where tensors are to be computed.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The size of the rayon pool that the stage runs in. Results must not depend on it.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The file or folder that a path in a parameter names.
    #[must_use]
    pub fn resolve(&self, path: &str) -> PathBuf {
        Root(self.root).resolve(path)
    }

    /// True once the stage should stop at the next good moment and return [`StageError::Cancelled`](super::StageError).
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Tells how far the stage has come. Cheap enough for every step.
    pub fn progress(&mut self, progress: Progress) {
        let due = self.last.is_none_or(|last| last.elapsed() >= INTERVAL) || progress.done == progress.total;
        if due {
            self.last = Some(Instant::now());
            (self.listener)(Note::Progress(progress));
        }
    }

    /// Records a final number in the manifest. The last value of a name stands.
    pub fn metric(&mut self, name: impl Into<String>, value: f64) {
        (self.listener)(Note::Metric { name: name.into(), value });
    }

    /// Records a point of a curve in the manifest. Epochs count from 1.
    pub fn point(&mut self, series: impl Into<String>, epoch: u64, value: f64) {
        (self.listener)(Note::Point { series: series.into(), epoch, value });
    }
}
