//! Prints the progress of a run as lines, where the output is not a terminal: a file, a pipe, the log of a CI run.

use std::{
    collections::BTreeMap,
    io::Write,
    time::{Duration, Instant},
};

use super::{
    Lines,
    folding::{self, Folding},
};
use crate::{
    plan::Reason,
    run::{Event, Reporter, Status},
};

/// The shortest time between two lines of progress of an instance.
const INTERVAL: Duration = Duration::from_secs(30);

/// Prints a line when an instance starts and finishes, and occasionally in between. Of a stage with many quick instances
/// it prints the first and counts the others.
pub struct Plain<W: Write> {
    to: W,
    lines: Lines,
    begun: BTreeMap<String, Begun>,
    /// Lines about cached work, which are written together with the next other line.
    waiting: String,
    folding: Folding,
}

/// A running instance.
struct Begun {
    start: Instant,
    /// When a line about it was printed.
    last: Instant,
    /// Whether one was printed at all.
    shown: bool,
}

impl<W: Write> Plain<W> {
    /// Prints to `to`.
    pub fn new(to: W, lines: Lines) -> Self {
        Self { to, lines, begun: BTreeMap::new(), waiting: String::new(), folding: Folding::default() }
    }

    /// The same, which prints a line for every instance.
    #[must_use]
    pub fn everything(mut self) -> Self {
        self.folding.everything = true;
        self
    }

    /// Returns whether a line about an instance is printed. A stage with one instance is always told of.
    fn prints(&mut self, instance: &str, status: Status) -> bool {
        !instance.contains('@') || self.folding.prints(stage_of(instance), status)
    }

    /// Prints what was counted so far.
    fn unfold(&mut self) {
        for ((stage, status), hidden) in self.folding.rest().collect::<Vec<_>>() {
            self.waiting.push_str(&self.lines.more(&stage, status, hidden.count, hidden.seconds));
            self.waiting.push('\n');
        }
    }

    fn finished(&mut self, instance: &str, status: Status, seconds: Option<f64>, message: Option<&str>) {
        let stage = stage_of(instance);
        let line = self.lines.finished(instance, status, seconds, message);
        let prints = match status {
            Status::Failed => self.folding.fails(instance, message.unwrap_or_default()),
            // What was seen to start is seen to end.
            Status::Ran | Status::Resumed => {
                let begun = self.begun.remove(instance);
                begun.is_none_or(|begun| begun.shown || begun.start.elapsed() >= folding::PAUSE)
            }
            Status::Cached | Status::Blocked => self.prints(instance, status),
        };
        match (prints, status) {
            (true, Status::Cached) => {
                self.waiting.push_str(&line);
                self.waiting.push('\n');
            }
            (true, _) => self.print(&line),
            // Failures that are alike are told together at the end.
            (false, Status::Failed) => {}
            (false, _) => self.folding.hide(stage, status, seconds),
        }
    }

    fn print(&mut self, line: &str) {
        self.waiting.push_str(line);
        self.waiting.push('\n');
        self.flush();
    }

    /// Writes whole lines at once, so that lines of other processes do not end up between them.
    fn flush(&mut self) {
        if !self.waiting.is_empty() {
            // The reader may be gone.
            let _ = self.to.write_all(self.waiting.as_bytes());
            self.waiting.clear();
        }
    }
}

impl<W: Write> Reporter for Plain<W> {
    fn event(&mut self, event: &Event) {
        match event {
            // It fails at once, and the line about that says everything.
            Event::StageStarted { reason: Reason::Unreadable { .. }, .. } => {}
            Event::StageStarted { instance, reason, .. } => {
                let shown = self.prints(instance, Status::Ran);
                self.begun.insert(instance.clone(), Begun { start: Instant::now(), last: Instant::now(), shown });
                if shown {
                    self.print(&self.lines.started(instance, reason));
                }
            }
            Event::Progress { instance, done, total, .. } => {
                self.flush();
                let Some(begun) = self.begun.get_mut(instance) else { return };
                if begun.last.elapsed() < INTERVAL {
                    return;
                }
                (begun.last, begun.shown) = (Instant::now(), true);
                let rate = *done as f64 / begun.start.elapsed().as_secs_f64();
                let left = (*total > 0 && rate > 0.0).then(|| (total.saturating_sub(*done) as f64 / rate) as u64);
                if let Some(line) = self.lines.progress(event, &[], Some(rate), left) {
                    self.print(&line);
                }
            }
            Event::StageFinished { instance, status, seconds, message, .. } => {
                self.finished(instance, *status, *seconds, message.as_deref());
            }
            Event::RunFinished { .. } => {
                self.unfold();
                self.flush();
                for (message, instances) in self.folding.shared_failures().collect::<Vec<_>>() {
                    self.print(&self.lines.same_error(&instances, &message));
                }
            }
            _ => {
                self.flush();
                if let Some(line) = self.lines.happened(event) {
                    self.print(&line);
                }
            }
        }
    }
}

fn stage_of(instance: &str) -> &str {
    instance.split_once('@').map_or(instance, |(stage, _)| stage)
}

impl<W: Write> Drop for Plain<W> {
    fn drop(&mut self) {
        self.unfold();
        self.flush();
    }
}
