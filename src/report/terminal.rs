//! Shows progress on a terminal: a line for each running instance, and a line for the whole run that counts the
//! finished ones.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{Lines, Styles, escape::one_line, folding::Folding, gauge::wall_clock};
use crate::{
    plan::Reason,
    run::{Event, Reporter, Status},
};

const TICK: Duration = Duration::from_millis(120);

/// Draws on standard error, from the start of the first running instance. It has no thread of its own: the run loop
/// calls it to redraw.
pub struct Terminal {
    styles: Styles,
    quiet: bool,
    drawn: Option<Drawn>,
    stages: usize,
    counts: BTreeMap<Status, usize>,
    /// The most instances that run at the same time.
    jobs: usize,
    /// The losses of each running instance, one for each epoch.
    losses: BTreeMap<String, Vec<f64>>,
    /// The latest estimate of the remaining work, and its time.
    outlook: Option<(Left, Instant)>,
    folding: Folding,
    /// When spinners and clocks were last updated.
    moved: Instant,
}

/// The remaining work: seconds of all instances, instances of unknown length, and seconds of the longest chain.
type Left = (f64, usize, f64);

struct Drawn {
    all: MultiProgress,
    whole: ProgressBar,
    bars: BTreeMap<String, ProgressBar>,
}

impl Terminal {
    /// Shows runs with `jobs` instances at a time. Failures leave a line; other events do so unless `quiet` is set.
    #[must_use]
    pub fn new(styles: Styles, quiet: bool, jobs: usize) -> Self {
        let (counts, losses, folding) = (BTreeMap::new(), BTreeMap::new(), Folding::default());
        let moved = Instant::now();
        Self { styles, quiet, drawn: None, stages: 0, counts, jobs, losses, outlook: None, folding, moved }
    }

    /// Returns a formatter for the current width of the terminal, which may be resized.
    fn lines(&self) -> Lines {
        let (_, columns) = console::Term::stderr().size();
        Lines { styles: self.styles, width: Some(usize::from(columns)) }
    }

    fn start(&mut self, instance: &str) {
        let drawn = self.drawn.get_or_insert_with(|| {
            let all = MultiProgress::new();
            let whole = all.add(ProgressBar::no_length().with_style(style("  {elapsed} {msg}")));
            Drawn { all, whole, bars: BTreeMap::new() }
        });
        let bar = drawn.all.insert_before(&drawn.whole, ProgressBar::no_length().with_style(style("{spinner} {msg}")));
        bar.set_message(one_line(instance).into_owned());
        drawn.bars.insert(instance.to_owned(), bar);
    }

    fn progress(&mut self, event: &Event) {
        let lines = self.lines();
        let Event::Progress { instance, done, total, epoch, loss, .. } = event else { return };
        let losses = self.losses.entry(instance.clone()).or_default();
        if let (Some(epoch), Some(loss)) = (epoch, loss) {
            losses.resize(losses.len().max(*epoch), *loss);
            losses[*epoch - 1] = *loss;
        }
        let Some(bar) = self.drawn.as_ref().and_then(|drawn| drawn.bars.get(instance)) else { return };
        if *total > 0 {
            bar.set_length(*total);
        }
        bar.set_position(*done);
        let left = time_left(bar).map(|left| left.as_secs());
        let rate = is_settled(bar).then(|| bar.per_sec());
        bar.set_message(lines.progress(event, losses, rate, left).unwrap_or_default());
        self.whole();
    }

    fn print(&self, line: &str) {
        match &self.drawn {
            Some(drawn) => drop(drawn.all.println(line)),
            None => drop(io::stderr().write_all(format!("{line}\n").as_bytes())),
        }
    }

    fn whole(&self) {
        let Some(drawn) = &self.drawn else { return };
        let left = self.outlook.map(|((seconds, unknown, chain), then)| {
            let since = then.elapsed().as_secs_f64();
            let running = drawn.bars.values().filter_map(time_left).map(|left| left.as_secs_f64());
            (wall_clock(seconds - since * self.jobs as f64, self.jobs, chain - since, running), unknown)
        });
        drawn.whole.set_message(self.lines().whole(self.stages, &self.counts, left));
    }
}

/// Returns whether an instance has run for long enough to say something about its speed.
fn is_settled(bar: &ProgressBar) -> bool {
    bar.elapsed() > Duration::from_secs(1)
}

/// Returns the time that an instance needs at its speed so far, if that is known.
fn time_left(bar: &ProgressBar) -> Option<Duration> {
    (is_settled(bar) && bar.length().is_some_and(|length| length > 0)).then(|| bar.eta())
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of this file are right")
}

impl Reporter for Terminal {
    fn event(&mut self, event: &Event) {
        match event {
            Event::RunStarted { stages, .. } => {
                self.stages = *stages;
                self.counts.clear();
            }
            Event::StageStarted { reason: Reason::Unreadable { .. }, .. } => {}
            Event::StageStarted { instance, .. } => {
                self.start(instance);
                self.whole();
            }
            Event::Progress { .. } => self.progress(event),
            Event::Outlook { seconds, unknown, chain } => {
                self.outlook = Some(((*seconds, *unknown, *chain), Instant::now()));
                self.whole();
            }
            Event::StageFinished { instance, status, seconds, message, .. } => {
                *self.counts.entry(*status).or_default() += 1;
                self.losses.remove(instance);
                if let Some(drawn) = &mut self.drawn
                    && let Some(bar) = drawn.bars.remove(instance)
                {
                    bar.finish_and_clear();
                    drawn.all.remove(&bar);
                }
                if *status == Status::Failed && self.folding.fails(instance, message.as_deref().unwrap_or_default()) {
                    self.print(&self.lines().finished(instance, *status, *seconds, message.as_deref()));
                }
                self.whole();
            }
            Event::RunFinished { .. } => {
                for (message, instances) in self.folding.shared_failures().collect::<Vec<_>>() {
                    self.print(&self.lines().same_error(&instances, &message));
                }
                if let Some(drawn) = self.drawn.take() {
                    drawn.whole.finish_and_clear();
                    let _ = drawn.all.clear();
                }
            }
            _ => {
                if let Some(line) = self.lines().happened(event).filter(|_| !self.quiet) {
                    self.print(&line);
                }
            }
        }
    }

    fn tick(&mut self) {
        if let Some(drawn) = self.drawn.as_ref().filter(|_| self.moved.elapsed() >= TICK) {
            self.moved = Instant::now();
            drawn.bars.values().for_each(ProgressBar::tick);
            drawn.whole.tick();
        }
    }
}
