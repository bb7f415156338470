//! What `fine_tune` and `supervised` share: labelled subsets, one phase of training, and the accuracy at the end.

use candle_core::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    checks,
    held_out::{HeldOut, Watch},
    images::{self, Images},
    network,
    session::{Part, Session},
    tested,
};
use crate::{
    ml::{
        augment::Augment,
        data::{ImageSet, split},
        init::Params,
        metric,
        nn::{Architecture, Head, Mode, Network, ResNet},
        optim::{Optim, Optimizer},
        rng::Stream,
        schedule::Schedule,
        train::{Classify, Judge, Order, Run, Settings, diverged, remedy},
    },
    stage::{Inputs, Metric, Outputs, Problems, StageError},
};

/// Returns an error if a training of this many epochs does not reach an epoch to be kept. `check` finds the others.
pub(in crate::stages) fn require_kept(keep: &[usize], epochs: usize) -> Result<(), StageError> {
    match keep.iter().find(|&&epoch| epoch >= epochs) {
        Some(epoch) => Err(StageError::failed(format!(
            "`keep_epochs` names epoch {epoch}, but the training ends with epoch {epochs}, which is kept anyway"
        ))),
        None => Ok(()),
    }
}

/// What batch normalisation normalises by where a network is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::stages) enum Statistics {
    /// The running statistics of the training.
    Running,
    /// Those of the batch that is judged: a result depends on what else is in the batch.
    Batch,
}

impl Statistics {
    fn mode(self) -> Mode {
        match self {
            Self::Running => Mode::Infer,
            Self::Batch => Mode::InferBatch,
        }
    }
}

/// A classifier in training, its images, and the subset that it may use.
pub(in crate::stages) struct Classifier {
    pub(in crate::stages) architecture: Architecture,
    pub(in crate::stages) params: Params,
    network: Network,
    train: ImageSet,
    test: ImageSet,
    used: Vec<u32>,
    validation: Vec<u32>,
    device: Device,
    subset: Subset,
}

/// Which labels are known, and how they are used.
#[derive(Clone)]
pub(in crate::stages) struct Subset {
    pub(in crate::stages) fraction: f64,
    pub(in crate::stages) stratified: bool,
    pub(in crate::stages) replacement: bool,
    pub(in crate::stages) stop_on: HeldOut,
    pub(in crate::stages) val_fraction: f64,
    pub(in crate::stages) evaluate_with: Statistics,
    pub(in crate::stages) batch_size: usize,
    pub(in crate::stages) seed: u64,
}

impl Subset {
    /// Adds problems for values that are out of range or contradict each other.
    pub(in crate::stages) fn check(&self, problems: &mut Problems) {
        problems.positive("fraction", self.fraction);
        problems.within("fraction", self.fraction, 0.0, 1.0);
        problems.within("val_fraction", self.val_fraction, 0.0, 0.9);
        problems.at_least("batch_size", self.batch_size, 1);
        if self.replacement {
            let message = "draws with replacement are from all images alike";
            problems.require(!self.stratified, "stratified", format!("must be false: {message}"));
            let message = "must be 0: with replacement, copies of an image would be on both sides";
            problems.require(self.stop_on == HeldOut::Test || self.val_fraction == 0.0, "val_fraction", message);
        }
    }

    /// Parameters that have no effect, given the others.
    pub(in crate::stages) fn idle(&self) -> Vec<&'static str> {
        let mut idle = Vec::new();
        // A fraction of 1 takes every image, however images are drawn.
        if self.fraction == 1.0 && !self.replacement {
            idle.push("stratified");
        }
        if self.stop_on == HeldOut::Test {
            idle.push("val_fraction");
        }
        idle
    }

    /// How many of `images` have a known label, if that does not depend on their classes.
    pub(in crate::stages) fn count(&self, images: usize) -> Option<usize> {
        let exact = self.fraction == 1.0 || !self.stratified;
        exact.then(|| split::share(self.fraction, images).max(1).min(images))
    }

    /// The images whose labels are known.
    fn draw(&self, labels: &[u32]) -> Vec<u32> {
        if self.replacement {
            split::with_replacement(labels.len(), self.fraction, self.seed)
        } else {
            split::fraction(labels, self.fraction, self.stratified, self.seed)
        }
    }
}

/// One phase of training.
pub(in crate::stages) struct Phase<'a> {
    /// Its number in the stage, from 0.
    pub(in crate::stages) number: u32,
    pub(in crate::stages) epochs: usize,
    /// The number of steps in place of epochs.
    pub(in crate::stages) steps: Option<usize>,
    /// Epochs of the stage's phases before and after this one.
    pub(in crate::stages) around: [usize; 2],
    pub(in crate::stages) mode: Mode,
    pub(in crate::stages) optimizer: &'a Optimizer,
    pub(in crate::stages) schedule: &'a Schedule,
    pub(in crate::stages) augment: &'a Augment,
    pub(in crate::stages) patience: usize,
}

/// How a phase of training ended.
#[derive(Default)]
pub(in crate::stages) struct Ending {
    /// The last epoch of the stage so far.
    epoch: usize,
    /// Steps of the phase.
    steps: u64,
    /// The mean loss of each of its epochs.
    losses: Vec<f64>,
    /// Whether early stopping ended it.
    stopped: bool,
    /// Advice in case the network has diverged.
    remedy: String,
}

/// The training accuracy from which a training counts as done.
const LEARNT: f64 = 0.95;
/// Below `LEARNT`, a training of fewer steps than this counts as unfinished.
const FEW: u64 = 200;
/// Below `LEARNT`, a training counts as unfinished if its loss still falls by more than this share from one tenth of
/// the epochs to the next.
const FALLING: f64 = 0.05;

impl Ending {
    /// The share by which the loss fell from the second-to-last tenth of the epochs to the last one.
    fn falls(&self) -> Option<f64> {
        let tenth = (self.losses.len() / 10).max(1);
        let mut tenths = self.losses.rchunks_exact(tenth).map(|losses| losses.iter().sum::<f64>());
        let (last, before) = (tenths.next()?, tenths.next()?);
        Some(1.0 - last / before)
    }

    /// Why this network is not a fair baseline, given its accuracy on the training images; `None` if it is fair.
    fn unfinished(&self, accuracy: f64) -> Option<String> {
        if self.steps == 0 || self.stopped || accuracy >= LEARNT {
            return None;
        }
        let falls = self.falls().filter(|&falls| falls > FALLING);
        if self.steps >= FEW && falls.is_none() {
            return None;
        }
        let falls = falls.map(|falls| format!(", and the loss was still falling, by {:.0} %", falls * 100.0));
        Some(format!(
            "training ended far from done: after {} {:.1} % of the training images are classified right{}; train for \
             longer, by `epochs` or `steps`, before other results are compared with this one",
            if self.steps == 1 { "1 step".to_owned() } else { format!("{} steps", self.steps) },
            accuracy * 100.0,
            falls.unwrap_or_default()
        ))
    }
}

impl Classifier {
    /// Reads the images at `train` and `test`, and builds the network that `architecture` returns for (colours, size,
    /// classes).
    pub(in crate::stages) fn new(
        inputs: &Inputs,
        subset: Subset,
        device: &Device,
        architecture: impl FnOnce(usize, [usize; 2], usize) -> Result<Architecture, StageError>,
    ) -> Result<Self, StageError> {
        let (train, test) = (Images::bytes(inputs.at("train"))?, Images::bytes(inputs.at("test"))?);
        let [colours, height, width] = train.size;
        let classes = train.classes.len();
        images::require_labels(classes, "train")?;
        images::require_labels(test.classes.len(), "test")?;
        if test.size != train.size || test.classes != train.classes {
            return Err(StageError::failed("training and test images differ in size or classes"));
        }
        let Subset { stop_on, seed, .. } = subset;
        let val_fraction = if stop_on == HeldOut::Test { 0.0 } else { subset.val_fraction };
        let known = subset.draw(&train.labels);
        let labels: Vec<u32> = known.iter().map(|&index| train.labels[index as usize]).collect();
        let (used, held_out) = split::validation(&labels, val_fraction, &Stream::new(seed, "classifier/validation"));
        let absolute = |places: Vec<u32>| places.into_iter().map(|place| known[place as usize]).collect();
        let (used, held_out) = (absolute(used), absolute(held_out));
        let validation = if stop_on == HeldOut::Test { (0..test.len() as u32).collect() } else { held_out };
        let architecture = architecture(colours, [height, width], classes)?;
        let (network, params) = architecture.build(seed, device)?;
        let device = device.clone();
        Ok(Self { architecture, params, network, train, test, used, validation, device, subset })
    }

    fn parts(&self) -> Result<(&ResNet, &Head), StageError> {
        match &self.network {
            Network::Encoder { encoder, head } => Ok((encoder, head)),
            Network::Autoencoder(_) => Err(StageError::failed("an autoencoder has no classifier")),
        }
    }

    /// The epochs that `steps` take, rounded up; `epochs` if there are no `steps`.
    pub(in crate::stages) fn epochs(&self, steps: Option<usize>, epochs: usize) -> usize {
        let each = Order::new(self.used.clone(), self.subset.batch_size, 0).steps();
        steps.map_or(epochs, |steps| steps.div_ceil(each.max(1)))
    }

    /// Trains the classifier alone if the mode is [`Mode::Infer`], else all parameters.
    pub(in crate::stages) fn fit(&self, phase: &Phase, session: &mut Session<'_, '_>) -> Result<Ending, StageError> {
        let (encoder, classifier) = self.parts()?;
        if self.subset.stop_on == HeldOut::Validation {
            let all = self.used.len() + self.validation.len();
            let watch = Watch {
                stop_on: self.subset.stop_on,
                val_fraction: self.subset.val_fraction,
                patience: phase.patience,
            };
            watch.require(session.cx, all, self.used.len(), self.validation.len())?;
        }
        let Subset { stop_on, evaluate_with, batch_size, seed, .. } = self.subset;
        let stream = Stream::new(seed, "classifier/augment").at(phase.around[0] as u64);
        let views = |indices: &[u32], epoch: usize| {
            // The first image identifies the batch, since no other batch of the epoch contains it (unless images are
            // drawn with replacement).
            let stream = stream.at(epoch as u64).at(u64::from(indices.first().copied().unwrap_or(0)));
            phase.augment.views(1, &self.train, indices, &stream, &self.device)
        };
        let order = Order::new(self.used.clone(), batch_size, seed);
        let judged = if stop_on == HeldOut::Test { &self.test } else { &self.train };
        let steps = order.steps() as u64;
        let all = phase.mode != Mode::Infer;
        let mut task = Classify {
            encoder,
            classifier,
            mode: phase.mode,
            images: &views,
            labels: &self.train.labels,
            order,
            validation: self.validation.clone(),
            validation_images: &|indices, _| judged.batch(indices, &self.device),
            validation_labels: &judged.labels,
            // A frozen encoder is evaluated with the statistics of its pretraining.
            validation_mode: if all { evaluate_with.mode() } else { Mode::Infer },
            batch_size,
        };
        let trained = self.params.parameters().iter().filter(|(name, _)| all || name.starts_with("classifier."));
        let optim = Optim::new(phase.optimizer, &trained.cloned().collect::<Vec<_>>())?;
        let mut run = Run::new(self.params.clone(), optim);
        let settings = Settings {
            epochs: phase.epochs,
            steps: phase.steps.map(|steps| steps as u64),
            schedule: phase.schedule.clone(),
            patience: phase.patience,
        };
        let around = phase.around.map(|epochs| epochs as u64 * steps);
        let part = Part { phase: phase.number, steps: around, epochs: phase.around };
        session.fit(part, &mut task, &mut run, &settings)?;
        checks::record(session.cx, &run, &["loss", "val_loss", "val_accuracy"]);
        Ok(Ending {
            epoch: phase.around[0] + run.epoch,
            steps: (run.epoch as u64 * steps).min(settings.total(steps as usize)),
            losses: run.series.get("loss").cloned().unwrap_or_default(),
            stopped: run.epoch < settings.epochs(steps as usize),
            remedy: remedy(&run, &settings, None),
        })
    }

    /// Measures the accuracy on the training images that were used and on the test images, warns if the training ended
    /// far from done, and returns the weights.
    pub(in crate::stages) fn finish(
        &self,
        session: &mut Session<'_, '_>,
        ending: &Ending,
    ) -> Result<Outputs, StageError> {
        let cx = &mut *session.cx;
        let (encoder, classifier) = self.parts()?;
        let Subset { evaluate_with, batch_size, .. } = self.subset;
        // With running statistics, results do not depend on the batch size.
        let batch_size = if evaluate_with == Statistics::Running { batch_size.max(128) } else { batch_size };
        let stop = cx.stop();
        let judge = Judge { encoder, classifier, mode: evaluate_with.mode(), batch_size, stop: &stop };
        let correct = |set: &ImageSet, indices: &[u32], what: &str| {
            let images = |indices: &[u32], _: usize| set.batch(indices, &self.device);
            let judged = judge.judge(&images, &set.labels, indices, what);
            judged.map_err(|error| diverged(error, ending.epoch, None, ending.remedy.clone()))
        };
        let share = |right: usize, total: usize| right as f64 / total.max(1) as f64;
        let train_accuracy = share(correct(&self.train, &self.used, "training image")?.1, self.used.len());
        cx.metric("train_accuracy", train_accuracy);
        if let Some(warning) = ending.unfinished(train_accuracy) {
            cx.warn(warning);
        }
        cx.metric("train_images", self.used.len() as f64);
        if self.subset.replacement {
            let mut distinct = self.used.clone();
            distinct.dedup();
            cx.metric("distinct_images", distinct.len() as f64);
        }
        let all: Vec<u32> = (0..self.test.len() as u32).collect();
        let (_, right) = correct(&self.test, &all, "test image")?;
        let (low, high) = metric::wilson(right, all.len());
        cx.metric("test_accuracy", share(right, all.len()));
        cx.metric("test_accuracy_low", low);
        cx.metric("test_accuracy_high", high);
        let outputs = Outputs::new().with("weights", network::save(&self.architecture, &self.params)?);
        session.with_kept(outputs, &self.architecture)
    }
}

/// The metrics of every trained classifier.
pub(in crate::stages) fn metrics() -> Vec<Metric> {
    let mut all = tested::metrics();
    all.push(Metric::new("val_accuracy", "accuracy on held-out images").fraction().higher());
    all.extend(checks::losses());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_is_far_from_done_while_few_steps_or_a_falling_loss_say_so() {
        let ending = |steps, losses: &[f64]| Ending { steps, losses: losses.to_vec(), ..Ending::default() };
        let flat = vec![1.0; 30];
        assert!(ending(100, &flat).unfinished(0.5).is_some_and(|warning| warning.contains("after 100 steps 50.0 %")));
        assert_eq!(ending(100, &flat).unfinished(0.97), None, "it has learnt its images");
        assert_eq!(ending(900, &flat).unfinished(0.5), None, "it learns no more");
        let falling: Vec<f64> = (0..30).map(|epoch| 0.95_f64.powi(epoch)).collect();
        let warning = ending(900, &falling).unfinished(0.5).expect("it is still learning");
        assert!(warning.contains("still falling, by 14 %"), "{warning}");
        assert_eq!(Ending { stopped: true, ..ending(900, &falling) }.unfinished(0.5), None, "early stopping said so");
        assert_eq!(ending(0, &[]).unfinished(0.1), None, "a network that is not trained is meant to be one");
    }
}
