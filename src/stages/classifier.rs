//! What `fine_tune` and `supervised` share: labelled subsets, one phase of training, and the accuracy at the end.

use candle_core::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    held_out::HeldOut,
    images::Images,
    network,
    session::{Part, Session},
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
        train::{Classify, Order, Run, Settings, accuracy},
    },
    stage::{Inputs, Outputs, Problems, StageError},
};

/// What batch normalisation normalises by where a network is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Statistics {
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

/// A classifier in training, its images, and which of them it may use.
pub(super) struct Classifier {
    pub(super) architecture: Architecture,
    pub(super) params: Params,
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
pub(super) struct Subset {
    pub(super) fraction: f64,
    pub(super) stratified: bool,
    pub(super) replacement: bool,
    pub(super) stop_on: HeldOut,
    pub(super) val_fraction: f64,
    pub(super) evaluate_with: Statistics,
    pub(super) batch_size: usize,
    pub(super) seed: u64,
}

impl Subset {
    /// Notes values that are out of range, or that contradict each other.
    pub(super) fn check(&self, problems: &mut Problems) {
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
pub(super) struct Phase<'a> {
    /// Its number in the stage, from 0.
    pub(super) number: u32,
    pub(super) epochs: usize,
    /// Epochs of the stage's phases before and behind this one.
    pub(super) around: [usize; 2],
    pub(super) mode: Mode,
    pub(super) optimizer: &'a Optimizer,
    pub(super) schedule: &'a Schedule,
    pub(super) augment: &'a Augment,
    pub(super) patience: usize,
}

impl Classifier {
    /// Reads the images at `train` and `test`, and builds the network that `architecture` gives for (colours, size, classes).
    pub(super) fn new(
        inputs: &Inputs,
        subset: Subset,
        device: &Device,
        architecture: impl FnOnce(usize, [usize; 2], usize) -> Result<Architecture, StageError>,
    ) -> Result<Self, StageError> {
        let (train, test) = (Images::bytes(inputs.at("train"))?, Images::bytes(inputs.at("test"))?);
        let [colours, height, width] = train.size;
        let classes = train.classes.len();
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

    /// Trains the classifier alone if the mode is [`Mode::Infer`], else all parameters.
    pub(super) fn fit(&self, phase: &Phase, session: &mut Session<'_, '_>) -> Result<(), StageError> {
        let (encoder, classifier) = self.parts()?;
        let Subset { stop_on, evaluate_with, batch_size, seed, .. } = self.subset;
        let stream = Stream::new(seed, "classifier/augment").at(phase.around[0] as u64);
        let views = |indices: &[u32], epoch: usize| {
            // The first image names the batch: it is in no other of the epoch (but where images are drawn several times).
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
            // A frozen encoder is judged as it was trained.
            validation_mode: if all { evaluate_with.mode() } else { Mode::Infer },
            batch_size,
        };
        let trained = self.params.parameters().iter().filter(|(name, _)| all || name.starts_with("classifier."));
        let optim = Optim::new(phase.optimizer, &trained.cloned().collect::<Vec<_>>())?;
        let mut run = Run::new(self.params.clone(), optim);
        let settings = Settings { epochs: phase.epochs, schedule: phase.schedule.clone(), patience: phase.patience };
        let steps = phase.around.map(|epochs| epochs as u64 * steps);
        session.fit(Part { phase: phase.number, steps, epochs: phase.around }, &mut task, &mut run, &settings)?;
        super::record(session.cx, &run, &["loss", "val_loss", "val_accuracy"]);
        Ok(())
    }

    /// Measures the accuracy on the images trained on and on the test images, and gives the weights.
    pub(super) fn finish(&self, session: &mut Session<'_, '_>) -> Result<Outputs, StageError> {
        let cx = &mut *session.cx;
        let (encoder, classifier) = self.parts()?;
        let Subset { evaluate_with, batch_size, .. } = self.subset;
        // The running statistics give the same in batches of any size.
        let batch_size = if evaluate_with == Statistics::Running { batch_size.max(128) } else { batch_size };
        let correct = |set: &ImageSet, indices: &[u32]| {
            let labels: Vec<u32> = indices.iter().map(|&index| set.labels[index as usize]).collect();
            let images = |places: &[u32], _: usize| {
                let chosen: Vec<u32> = places.iter().map(|&place| indices[place as usize]).collect();
                set.batch(&chosen, &self.device)
            };
            accuracy(encoder, classifier, &images, &labels, batch_size, evaluate_with.mode())
        };
        let share = |right: usize, total: usize| right as f64 / total.max(1) as f64;
        cx.metric("train_accuracy", share(correct(&self.train, &self.used)?, self.used.len()));
        cx.metric("train_images", self.used.len() as f64);
        if self.subset.replacement {
            let mut distinct = self.used.clone();
            distinct.dedup();
            cx.metric("distinct_images", distinct.len() as f64);
        }
        let all: Vec<u32> = (0..self.test.len() as u32).collect();
        let right = correct(&self.test, &all)?;
        let (low, high) = metric::wilson(right, all.len());
        cx.metric("test_accuracy", share(right, all.len()));
        cx.metric("test_accuracy_low", low);
        cx.metric("test_accuracy_high", high);
        let outputs = Outputs::new().with("weights", network::save(&self.architecture, &self.params)?);
        session.with_kept(outputs, &self.architecture)
    }
}
