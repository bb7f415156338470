//! Prints the progress of a run as lines, where the output is not a terminal: a file, a pipe, the log of a CI run.

use std::{
    collections::BTreeMap,
    io::Write,
    time::{Duration, Instant},
};

use super::Lines;
use crate::{
    plan::Reason,
    run::{Event, Reporter, Status},
};

/// The shortest time between two lines of progress of an instance.
const INTERVAL: Duration = Duration::from_secs(30);

/// Prints a line when an instance starts and finishes, and occasionally in between.
pub struct Plain<W: Write> {
    to: W,
    lines: Lines,
    begun: BTreeMap<String, (Instant, Instant)>,
    /// Lines about cached work. They come by the thousand, so they are written together with the next other line.
    waiting: String,
}

impl<W: Write> Plain<W> {
    /// Prints to `to`.
    pub fn new(to: W, lines: Lines) -> Self {
        Self { to, lines, begun: BTreeMap::new(), waiting: String::new() }
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
                self.begun.insert(instance.clone(), (Instant::now(), Instant::now()));
                self.print(&self.lines.started(instance, reason));
            }
            Event::Progress { instance, done, total, .. } => {
                self.flush();
                let Some((begun, last)) = self.begun.get_mut(instance) else { return };
                if last.elapsed() < INTERVAL {
                    return;
                }
                *last = Instant::now();
                let rate = *done as f64 / begun.elapsed().as_secs_f64();
                let left = (*total > 0 && rate > 0.0).then(|| (total.saturating_sub(*done) as f64 / rate) as u64);
                if let Some(line) = self.lines.progress(event, &[], Some(rate), left) {
                    self.print(&line);
                }
            }
            Event::StageFinished { instance, status: status @ Status::Cached, seconds, message, .. } => {
                self.waiting.push_str(&self.lines.finished(instance, *status, *seconds, message.as_deref()));
                self.waiting.push('\n');
            }
            Event::StageFinished { instance, status, seconds, message, .. } => {
                self.print(&self.lines.finished(instance, *status, *seconds, message.as_deref()));
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

impl<W: Write> Drop for Plain<W> {
    fn drop(&mut self) {
        self.flush();
    }
}
