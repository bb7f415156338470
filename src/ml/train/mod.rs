//! The one training loop.
//!
//! A [`Task`] gives batches and their loss; [`train`] does the rest: the order of steps, the optimiser, the schedule,
//! series, early stopping, divergence and cancellation. The next batch is prepared on the thread pool while the network
//! works on the present one. Read `run` and `order`, then this file, then a task (`contrastive`, `classify` or
//! `denoise`).
//!
//! [`Run`] is the whole state of a run. A batch is a pure function of (epoch, step), so a run that was interrupted
//! after any step, saved, and loaded ends with the same bytes.

mod chunks;
mod classify;
mod contrastive;
mod denoise;
mod divergence;
mod order;
mod run;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use candle_core::{Tensor, backprop::GradStore};

pub use classify::{Classify, Judge};
pub use contrastive::{Contrastive, Latest, Monitor, Views};
pub use denoise::{Denoise, Loader};
pub use divergence::{diverged, remedy};
pub use order::Order;
pub use run::{Best, Run};

use super::{Error, Result, finite, init::Params, schedule::Schedule};

/// The data and the loss of a training.
pub trait Task: Sync {
    /// The material of one step.
    type Batch: Send;

    /// Number of steps of every epoch.
    fn steps(&self) -> usize;

    /// Prepares the order of `epoch` (from 0), which depends on the epoch alone.
    ///
    /// # Errors
    /// If the order cannot be made.
    fn begin(&mut self, _epoch: usize) -> Result<()> {
        Ok(())
    }

    /// The material of a step; a pure function of (epoch, step), called ahead of time and from another thread.
    ///
    /// # Errors
    /// If the batch cannot be made.
    fn batch(&self, epoch: usize, step: usize) -> Result<Self::Batch>;

    /// Runs the network on a batch.
    ///
    /// # Errors
    /// If the network fails.
    fn loss(&self, batch: Self::Batch) -> Result<StepLoss>;

    /// Runs the network on a batch, forward and backward. A task whose gradient does not come from one graph overrides
    /// it; `params` are the trained parameters.
    ///
    /// # Errors
    /// If the network fails.
    fn step(&self, batch: Self::Batch, _params: &Params) -> Result<Step> {
        let StepLoss { loss, values, images } = self.loss(batch)?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        let gradients = if value.is_finite() { loss.backward()? } else { GradStore::default() };
        Ok(Step { loss: value, gradients, values, images })
    }

    /// Values at the end of an epoch. Early stopping watches `val_loss` if it is among them, else `loss`.
    ///
    /// # Errors
    /// If the evaluation fails, [`Error::NotFinite`] for outputs of the network that are not finite, and
    /// [`Error::Cancelled`]; the evaluation is repeated when the run continues.
    fn evaluate(&self, _stop: &dyn Fn() -> bool) -> Result<Vec<(&'static str, f64)>> {
        Ok(Vec::new())
    }

    /// A change of the task's parameters that would prevent a divergence, as a noun ("a higher temperature").
    fn blame(&self) -> Option<&'static str> {
        None
    }
}

/// The outcome of the forward pass of a step.
#[derive(Debug)]
pub struct StepLoss {
    /// A scalar with its graph.
    pub loss: Tensor,
    /// Further values; their means over the epoch become series.
    pub values: Vec<(&'static str, f64)>,
    /// Images in the step, its weight in the means.
    pub images: usize,
}

/// The outcome of a step before the weights move; no graph is left.
pub struct Step {
    /// The loss.
    pub loss: f64,
    /// The gradient of every parameter that has one. It is ignored if the loss is not finite.
    pub gradients: GradStore,
    /// Further values; their means over the epoch become series.
    pub values: Vec<(&'static str, f64)>,
    /// Images in the step, its weight in the means.
    pub images: usize,
}

/// The length of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Number of passes over the data.
    pub epochs: usize,
    /// The number of steps, instead of `epochs`; the last epoch then ends early.
    pub steps: Option<u64>,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// Training stops after this many epochs without a better value, and the best weights are restored, also if the run
    /// ends by itself. With 0 it never stops early, and the last weights are kept.
    pub patience: usize,
}

impl Settings {
    /// Number of steps of the whole run, if an epoch has `steps_per_epoch`.
    #[must_use]
    pub fn total(&self, steps_per_epoch: usize) -> u64 {
        self.steps.unwrap_or((self.epochs * steps_per_epoch) as u64)
    }

    /// Number of epochs of the whole run; the last may be incomplete.
    #[must_use]
    pub fn epochs(&self, steps_per_epoch: usize) -> usize {
        self.steps.map_or(self.epochs, |steps| steps.div_ceil(steps_per_epoch.max(1) as u64) as usize)
    }
}

/// The progress of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps that are done, over all epochs.
    pub done: u64,
    /// Steps of the whole run.
    pub total: u64,
    /// The present epoch, from 1.
    pub epoch: usize,
    /// Epochs of the whole run.
    pub epochs: usize,
    /// Loss of the last step.
    pub loss: f64,
    /// Images per second, smoothed.
    pub rate: f64,
}

/// The observer of a run.
pub trait Observer {
    /// A step is done.
    fn step(&mut self, _progress: &Progress) {}

    /// Epoch number `epoch` (from 1) is done, with its values.
    fn epoch(&mut self, _epoch: usize, _values: &BTreeMap<String, f64>) {}

    /// Whether the run should stop after the present step.
    fn cancelled(&self) -> bool {
        false
    }

    /// Whether the state after `epoch` whole epochs and `step` steps should be saved. Asked after every step.
    fn save_due(&self, _epoch: usize, _step: usize) -> bool {
        false
    }

    /// Saves the state of the run. Called when it is due, before the run stops, and at its end (before the best weights
    /// are restored), so that a longer training can continue from there.
    ///
    /// # Errors
    /// If the state cannot be saved; the run then ends.
    fn save(&mut self, _run: &Run) -> Result<()> {
        Ok(())
    }
}

/// An observer that ignores everything.
impl Observer for () {}

/// Trains from the present state of `run` to the end.
///
/// After an error `run` has the state after the last complete step. At the end of each epoch, and whenever a state is
/// saved, all parameters, running statistics and the optimiser's memory are finite, and so are the values of each
/// epoch.
///
/// # Errors
/// [`Error::Diverged`] if a number is not finite, [`Error::Cancelled`] if the observer asks to stop. Errors of the task
/// are passed on.
pub fn train<T: Task>(task: &mut T, run: &mut Run, settings: &Settings, observer: &mut dyn Observer) -> Result<()> {
    let steps = task.steps();
    let (epochs, total) = (settings.epochs(steps), settings.total(steps));
    if steps == 0 && (settings.epochs > 0 || total > 0) {
        return Err(Error::Invalid("there is no batch to train on".to_owned()));
    }
    let mut rate = Rate::default();
    while run.epoch < epochs && !run.stopped(settings.patience) {
        task.begin(run.epoch)?;
        let whole = (run.epoch * steps) as u64;
        let end = total.saturating_sub(whole).min(steps as u64) as usize;
        let mut next = if run.step < end { Some(task.batch(run.epoch, run.step)?) } else { None };
        while let Some(batch) = next.take() {
            if observer.cancelled() {
                save(task, run, settings, observer)?;
                return Err(Error::Cancelled);
            }
            let started = Instant::now();
            let (epoch, ahead) = (run.epoch, run.step + 1);
            let factor = settings.schedule.factor(whole + run.step as u64, steps, total);
            let shared: &T = task;
            let (outcome, prepared) = rayon::join(
                || step(shared, batch, run, factor),
                || (ahead < end).then(|| shared.batch(epoch, ahead)).transpose(),
            );
            let (loss, images) = outcome
                .map_err(|error| diverged(error, run.epoch + 1, Some(ahead), remedy(run, settings, shared.blame())))?;
            next = prepared?;
            observer.step(&Progress {
                done: whole + run.step as u64,
                total,
                epoch: epoch + 1,
                epochs,
                loss,
                rate: rate.update(images, started.elapsed()),
            });
            // The end of an epoch is saved below, with its evaluation.
            if next.is_some() && observer.save_due(run.epoch, run.step) {
                save(task, run, settings, observer)?;
            }
        }
        require_finite(task, run, settings)?;
        let evaluation = task.evaluate(&|| observer.cancelled());
        if matches!(evaluation, Err(Error::Cancelled)) {
            observer.save(run)?;
        }
        let values = evaluation
            .and_then(|evaluation| run.finish_epoch(&evaluation, settings.patience > 0))
            .map_err(|error| diverged(error, run.epoch + 1, None, remedy(run, settings, task.blame())))?;
        observer.epoch(run.epoch, &values);
        if run.epoch < epochs && observer.save_due(run.epoch, 0) {
            observer.save(run)?;
        }
    }
    observer.save(run)?;
    if settings.patience > 0 { run.restore_best() } else { Ok(()) }
}

/// Saves a state between two steps.
fn save<T: Task>(task: &T, run: &Run, settings: &Settings, observer: &mut dyn Observer) -> Result<()> {
    require_finite(task, run, settings)?;
    observer.save(run)
}

fn require_finite<T: Task>(task: &T, run: &Run, settings: &Settings) -> Result<()> {
    run.require_finite().map_err(|error| diverged(error, run.epoch + 1, None, remedy(run, settings, task.blame())))
}

/// Forward pass, backward pass and update. The graph is dropped before the weights change.
fn step<T: Task>(task: &T, batch: T::Batch, run: &mut Run, factor: f64) -> Result<(f64, usize)> {
    let Step { loss: value, mut gradients, values, images } = task.step(batch, &run.params)?;
    finite::require_value(value, || "the loss".to_owned())?;
    run.optim.step(&mut gradients, factor)?;
    run.add("loss", value, images);
    run.add("lr", run.optim.lr() * factor, images);
    for (name, value) in values {
        run.add(name, value, images);
    }
    run.step += 1;
    Ok((value, images))
}

/// Images per second, an exponential mean over about ten steps.
#[derive(Default)]
struct Rate(Option<f64>);

impl Rate {
    fn update(&mut self, images: usize, took: Duration) -> f64 {
        let now = images as f64 / took.as_secs_f64().max(1e-9);
        let smoothed = self.0.map_or(now, |old| old + 0.1 * (now - old));
        self.0 = Some(smoothed);
        smoothed
    }
}

#[cfg(test)]
mod tests;
