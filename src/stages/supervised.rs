//! `supervised`: an encoder learns to classify, from a fresh start or from given weights.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{
    checks,
    classifier::{self, Classifier, Phase, Statistics, Subset, require_kept},
    held_out::{HeldOut, Watch},
    idle, images, mistakes,
    session::Session,
    start::{self, Known},
};
use crate::{
    ml::{
        augment::Augment,
        nn::{Architecture, Encoder, Mode},
        optim::{Optimizer, OptimizerKind},
        schedule::Schedule,
    },
    stage::{
        Context, Drawing, Extent, Foreseen, Foresight, Form, Inputs, Metric, Outputs, Port, Problems, Stage,
        StageError, View,
    },
};

/// Trains an encoder and a linear classifier from random weights, on all labels or a fraction of them: with the fraction
/// of `fine_tune`, the control that shows what the pretraining gave. With the input `weights`, the encoder starts from
/// those, and `encoder` must describe them.
///
/// A result carries a warning where the training ended far from done: fewer than 95 % of the images trained on are
/// classified right (`train_accuracy`, without augmentation), no early stopping ended it, and either it had fewer than 200
/// steps, or the mean loss fell by more than 5 % from the last tenth of the epochs but one to the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Supervised {
    /// The encoder.
    pub encoder: Encoder,
    /// Share of the training labels that are known, in (0, 1].
    pub fraction: f64,
    /// Whether each class keeps its share in that fraction.
    pub stratified: bool,
    /// Whether an image can be drawn several times into the fraction (`np.random.choice`); needs `stratified = false`.
    pub replacement: bool,
    /// Passes over the training images.
    pub epochs: usize,
    /// Steps of the training, in place of `epochs`: as many whatever the number of images is; left out: as `epochs` says.
    // Left out of the key if it is not set, so that results in caches stay valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Images a step.
    pub batch_size: usize,
    /// How weights follow gradients.
    pub optimizer: Optimizer,
    /// Earlier epochs whose weights are outputs too, as `weights@EPOCH`.
    pub keep_epochs: Vec<usize>,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// How training images are varied; by default cropped and flipped.
    pub augment: Augment,
    /// What the validation loss is taken on: `validation`, or `test`, the test images, which flatters the result.
    pub stop_on: HeldOut,
    /// Share of the known labels that `stop_on = "validation"` holds out, in [0, 1); 0 means none.
    pub val_fraction: f64,
    /// Epochs without a better validation loss after which to stop and restore the best; 0 means never.
    pub patience: usize,
    /// Batch normalisation where the network is judged: by `running` statistics, or those of the test `batch` itself.
    pub evaluate_with: Statistics,
    /// Seed of the fraction, initial weights, order and augmentation.
    pub seed: u64,
}

impl Default for Supervised {
    fn default() -> Self {
        let sgd = Optimizer { kind: OptimizerKind::Sgd, lr: 0.03, weight_decay: 5e-4, ..Optimizer::default() };
        Self {
            encoder: Encoder::default(),
            fraction: 1.0,
            stratified: true,
            replacement: false,
            epochs: 30,
            steps: None,
            batch_size: 64,
            optimizer: sgd,
            keep_epochs: Vec::new(),
            schedule: Schedule { warmup_epochs: 1.0, ..Schedule::default() },
            augment: Augment::crop_and_flip(),
            stop_on: HeldOut::Validation,
            val_fraction: 0.0,
            patience: 0,
            evaluate_with: Statistics::Running,
            seed: 0,
        }
    }
}

impl Supervised {
    fn trains(&self) -> bool {
        self.steps.is_some() || self.epochs > 0
    }

    fn watch(&self) -> Watch {
        let patience = if self.trains() { self.patience } else { 0 };
        Watch { stop_on: self.stop_on, val_fraction: self.val_fraction, patience }
    }

    fn subset(&self) -> Subset {
        let Self { fraction, stratified, replacement, stop_on, val_fraction, evaluate_with, batch_size, seed, .. } =
            *self;
        Subset { fraction, stratified, replacement, stop_on, val_fraction, evaluate_with, batch_size, seed }
    }
}

impl Stage for Supervised {
    const KIND: &'static str = "supervised";
    // 2: 3x3 convolutions by Winograd's products.
    // 3: a network that has diverged fails the stage.
    const VERSION: u32 = 3;
    const INPUTS: &'static [Port] = &[
        Port::new("train", &[Form::Images], "the training images"),
        Port::new("test", &[Form::Images], "the images of the final accuracy"),
        Port::optional(
            "weights",
            &[Form::Weights],
            "weights of the same `encoder` to start from; the classifier starts anew",
        ),
    ];
    const EXTEND: Option<&'static str> = Some(checks::EPOCHS);
    const OUTPUTS: &'static [Port] = &[Port::new("weights", &[Form::Weights], "encoder and classifier; level `p3`")];

    fn check(&self, problems: &mut Problems) {
        self.subset().check(problems);
        checks::nested(problems, "encoder", self.encoder.check());
        checks::nested(problems, "optimizer", self.optimizer.check());
        checks::check_steps(problems, self.steps, self.epochs != Self::default().epochs);
        checks::check_kept(problems, &self.keep_epochs, self.steps.unwrap_or(self.epochs));
        self.watch().check(problems);
        checks::nested(problems, "schedule", self.schedule.check());
        if self.steps.is_none() {
            checks::check_warmup(problems, &self.schedule, self.epochs);
        }
        checks::nested(problems, "augment", self.augment.check());
    }

    fn idle(&self) -> Vec<&'static str> {
        let mut idle = self.subset().idle();
        idle.extend(idle::training(self.trains(), &self.optimizer, &self.schedule));
        idle.extend(idle::encoder(&self.encoder));
        if self.steps.is_some() {
            idle.push("epochs");
        }
        if self.trains() {
            idle.extend(idle::augment(&self.augment));
        } else {
            idle.extend(["augment", "patience"]);
        }
        idle
    }

    fn foresee(&self, inputs: &Foresight, _: &Path, problems: &mut Problems) -> Foresight {
        ["train", "test"].into_iter().for_each(|port| images::foresee_labels(inputs, port, problems));
        let images = inputs.get("train").and_then(|images| images.rows);
        self.watch().foresee(images.and_then(|images| self.subset().count(images)), problems);
        let known = Known::encoder(&self.encoder, inputs.get("train").and_then(|images| images.size));
        known.foresee(inputs, problems);
        Foresight::from([("weights", known.tell(Foreseen::levels(&["p3"])))])
    }

    fn extent(&self) -> Option<Extent> {
        checks::extent(self.epochs, self.steps, &self.schedule, &self.keep_epochs)
    }

    fn metrics() -> Vec<Metric> {
        classifier::metrics()
    }

    fn draw(&self, _: &dyn View) -> Vec<Drawing> {
        vec![mistakes::not_kept(Self::KIND)]
    }

    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let classifier = Classifier::new(inputs, self.subset(), &cx.device().clone(), |colours, size, classes| {
            Ok(Architecture::Classifier { colours, encoder: self.encoder.resolved(size), classes })
        })?;
        if let Some(weights) = inputs.get("weights") {
            start::load(weights, &classifier.architecture, &classifier.params)?;
        }
        require_kept(&self.keep_epochs, classifier.epochs(self.steps, self.epochs))?;
        let mut session = Session::open(cx)?;
        let phase = Phase {
            number: 0,
            epochs: self.epochs,
            steps: self.steps,
            around: [0, 0],
            mode: Mode::Train,
            optimizer: &self.optimizer,
            schedule: &self.schedule,
            augment: &self.augment,
            patience: self.watch().patience,
        };
        let ending = classifier.fit(&phase, &mut session)?;
        classifier.finish(&mut session, &ending)
    }
}
