//! `fine_tune`: a pretrained encoder learns to classify from few labels.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{
    checks,
    classifier::{self, Classifier, Phase, Statistics, Subset, require_kept},
    held_out::{HeldOut, Watch},
    idle, images, mistakes, network,
    session::Session,
    start::Known,
};
use crate::{
    ml::{
        augment::Augment,
        nn::{Architecture, Mode},
        optim::{Optimizer, OptimizerKind},
        schedule::Schedule,
    },
    stage::{
        Context, Drawing, Extent, Foreseen, Foresight, Form, Inputs, Metric, Outputs, Port, Problems, Stage,
        StageError, View,
    },
};

/// Puts a linear classifier on a pretrained encoder and trains on a fraction of the labels: first the classifier alone
/// (warm-up), then everything.
///
/// A result carries a warning where the training ended far from done, by the rule of `supervised`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FineTune {
    /// Share of the training labels that are known, in (0, 1].
    pub fraction: f64,
    /// Whether each class keeps its share in that fraction.
    pub stratified: bool,
    /// Whether an image can be drawn several times into the fraction (`np.random.choice`); needs `stratified = false`.
    pub replacement: bool,
    /// Batch normalisation after the warm-up: `train` (batch statistics) or `frozen` (those of the pretraining).
    pub batch_norm: BatchNormPolicy,
    /// Passes of the warm-up, in which the encoder is frozen.
    pub warmup_epochs: usize,
    /// How the classifier's weights follow gradients in the warm-up.
    pub warmup_optimizer: Optimizer,
    /// Passes in which everything is trained.
    pub epochs: usize,
    /// Steps in which everything is trained, in place of `epochs`: as many whatever the number of images is; left out: as
    /// `epochs` says.
    // Left out of the key if it is not set, so that results in caches stay valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Images a step.
    pub batch_size: usize,
    /// How weights follow gradients when everything is trained.
    pub optimizer: Optimizer,
    /// Earlier epochs whose weights are outputs too, as `weights@EPOCH`.
    pub keep_epochs: Vec<usize>,
    /// The learning rate when everything is trained.
    pub schedule: Schedule,
    /// How training images are varied; by default cropped and flipped.
    pub augment: Augment,
    /// What the validation loss is taken on: `validation`, or `test`, the test images, which flatters the result.
    pub stop_on: HeldOut,
    /// Share of the known labels that `stop_on = "validation"` holds out, in [0, 1); 0 means none.
    pub val_fraction: f64,
    /// Epochs without a better validation loss after which to end a phase and restore the best; 0 means never.
    pub patience: usize,
    /// Batch normalisation where the network is judged: by `running` statistics, or those of the test `batch` itself.
    pub evaluate_with: Statistics,
    /// Seed of the fraction, the classifier's initial weights, order and augmentation.
    pub seed: u64,
}

/// What batch normalisation does in fine-tuning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum BatchNormPolicy {
    /// Statistics of the batch; running statistics go on.
    Train,
    /// The running statistics of the pretraining, unchanged.
    Frozen,
}

impl Default for FineTune {
    fn default() -> Self {
        let sgd = Optimizer { kind: OptimizerKind::Sgd, lr: 0.03, weight_decay: 5e-4, ..Optimizer::default() };
        Self {
            fraction: 0.1,
            stratified: true,
            replacement: false,
            batch_norm: BatchNormPolicy::Train,
            warmup_epochs: 5,
            warmup_optimizer: Optimizer::default(),
            epochs: 30,
            steps: None,
            batch_size: 64,
            optimizer: sgd,
            keep_epochs: Vec::new(),
            schedule: Schedule::default(),
            augment: Augment::crop_and_flip(),
            stop_on: HeldOut::Validation,
            val_fraction: 0.0,
            patience: 0,
            evaluate_with: Statistics::Running,
            seed: 0,
        }
    }
}

impl FineTune {
    /// Whether the whole network is trained, and not only the classifier.
    fn trains(&self) -> bool {
        self.steps.is_some() || self.epochs > 0
    }

    fn watch(&self) -> Watch {
        let patience = if self.trains() || self.warmup_epochs > 0 { self.patience } else { 0 };
        Watch { stop_on: self.stop_on, val_fraction: self.val_fraction, patience }
    }

    fn subset(&self) -> Subset {
        let Self { fraction, stratified, replacement, stop_on, val_fraction, evaluate_with, batch_size, seed, .. } =
            *self;
        Subset { fraction, stratified, replacement, stop_on, val_fraction, evaluate_with, batch_size, seed }
    }
}

impl Stage for FineTune {
    const KIND: &'static str = "fine_tune";
    // 2: 3x3 convolutions by Winograd's products.
    // 3: a network that has diverged fails the stage.
    const VERSION: u32 = 3;
    const INPUTS: &'static [Port] = &[
        Port::new("weights", &[Form::Weights], "the pretrained encoder: of a training, or of a file (`import`)"),
        Port::new("train", &[Form::Images], "the training images, a fraction of whose labels is used"),
        Port::new("test", &[Form::Images], "the images of the final accuracy"),
    ];
    const EXTEND: Option<&'static str> = Some(checks::EPOCHS);
    const OUTPUTS: &'static [Port] = &[Port::new("weights", &[Form::Weights], "encoder and classifier; level `p3`")];

    fn check(&self, problems: &mut Problems) {
        self.subset().check(problems);
        checks::nested(problems, "warmup_optimizer", self.warmup_optimizer.check());
        checks::nested(problems, "optimizer", self.optimizer.check());
        checks::check_steps(problems, self.steps, self.epochs != Self::default().epochs);
        checks::check_kept(problems, &self.keep_epochs, self.warmup_epochs + self.steps.unwrap_or(self.epochs));
        self.watch().check(problems);
        checks::nested(problems, "schedule", self.schedule.check());
        if self.steps.is_none() {
            checks::check_warmup(problems, &self.schedule, self.epochs);
        }
        checks::nested(problems, "augment", self.augment.check());
    }

    fn idle(&self) -> Vec<&'static str> {
        let mut idle = self.subset().idle();
        let trains = self.trains();
        idle.extend(idle::training(trains, &self.optimizer, &self.schedule));
        if self.steps.is_some() {
            idle.push("epochs");
        }
        if !trains {
            idle.push("batch_norm");
        }
        if self.warmup_epochs > 0 {
            idle.extend(idle::warmup_optimizer(&self.warmup_optimizer));
        } else {
            idle.push("warmup_optimizer");
        }
        if trains || self.warmup_epochs > 0 {
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
        let mut weights = Foreseen::levels(&["p3"]);
        match Known::at(inputs, "weights") {
            Some(Known::Autoencoder { .. }) => {
                let message = "an autoencoder cannot be fine-tuned";
                problems.add_with_help("weights", message, "join the input `weights` to the weights of an encoder");
            }
            known => weights.network = known.and(inputs.get("weights")).and_then(|input| input.network.clone()),
        }
        Foresight::from([("weights", weights)])
    }

    fn extent(&self) -> Option<Extent> {
        let steps = self.steps.map(|steps| self.warmup_epochs + steps);
        checks::extent(self.warmup_epochs + self.epochs, steps, &self.schedule, &self.keep_epochs)
    }

    fn metrics() -> Vec<Metric> {
        classifier::metrics()
    }

    fn draw(&self, _: &dyn View) -> Vec<Drawing> {
        vec![mistakes::not_kept(Self::KIND)]
    }

    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let weights = inputs.at("weights");
        let classifier = Classifier::new(inputs, self.subset(), &cx.device().clone(), |colours, _, classes| {
            let pretrained: Architecture = weights.get("architecture")?;
            match pretrained.encoder() {
                Some(_) if pretrained.colours() != colours => {
                    let message = format!("the encoder is for {} channels, not {colours}", pretrained.colours());
                    Err(StageError::failed(message))
                }
                Some(encoder) => Ok(Architecture::Classifier { colours, encoder: encoder.clone(), classes }),
                None => Err(StageError::failed("an autoencoder cannot be fine-tuned; give the weights of an encoder")),
            }
        })?;
        network::check(weights)?;
        classifier.params.load_matching(weights.tensors(), |name| name.starts_with("encoder."))?;
        let epochs = classifier.epochs(self.steps, self.epochs);
        require_kept(&self.keep_epochs, self.warmup_epochs + epochs)?;
        let mut session = Session::open(cx)?;
        let warmup = Phase {
            number: 0,
            epochs: self.warmup_epochs,
            steps: None,
            around: [0, epochs],
            mode: Mode::Infer,
            optimizer: &self.warmup_optimizer,
            schedule: &Schedule::constant(),
            augment: &self.augment,
            patience: self.watch().patience,
        };
        let ending = classifier.fit(&warmup, &mut session)?;
        let mode = if self.batch_norm == BatchNormPolicy::Train { Mode::Train } else { Mode::Frozen };
        let (optimizer, schedule) = (&self.optimizer, &self.schedule);
        let around = [self.warmup_epochs, 0];
        let all = Phase { number: 1, epochs, steps: self.steps, around, mode, optimizer, schedule, ..warmup };
        let last = classifier.fit(&all, &mut session)?;
        classifier.finish(&mut session, if epochs > 0 { &last } else { &ending })
    }
}
