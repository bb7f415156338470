//! `simclr`: contrastive training on given batches.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    images::Images,
    network,
    session::{Part, Session},
};
use crate::{
    ml::{
        augment::Augment,
        nn::{Architecture, Encoder, Network},
        optim::{Optim, Optimizer, OptimizerKind},
        rng::Stream,
        schedule::Schedule,
        train::{Contrastive, Loss, LossKind, Run, Settings},
    },
    stage::{Context, Extent, Form, Inputs, Outputs, Port, Problems, Stage, StageError},
};

/// Trains an encoder and a projection head to tell two random views of one image from those of the others in its batch.
///
/// Arms that differ only in their batches start from equal weights and share the stream of augmentations. With
/// `epochs = 0` the weights are the initial ones: the random encoder, a control.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Simclr {
    /// The encoder.
    pub encoder: Encoder,
    /// Sizes of the projection head's layers, ReLU between them.
    pub head: Vec<usize>,
    /// Passes over a round of batches; epoch e uses round e modulo their number.
    pub epochs: usize,
    /// The loss: `nt_xent`, `dcl` or `debiased`.
    pub loss: LossKind,
    /// Which images are negatives: `all`, or with `mask` only those of another label (input `labels`).
    pub negatives: Negatives,
    /// Temperature of the similarities, above 0.
    pub temperature: f64,
    /// Chance of a false negative in the `debiased` loss, in [0, 1).
    pub prior: f64,
    /// How random views are made.
    pub augment: Augment,
    /// How weights follow gradients.
    pub optimizer: Optimizer,
    /// Earlier epochs whose weights are outputs too, as `weights@EPOCH`.
    pub keep_epochs: Vec<usize>,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// Whether the views of a batch are normalised `together`, or `apart` in two forward passes (the reference code).
    pub views: BatchViews,
    /// Seed of initial weights and augmentation.
    pub seed: u64,
}

/// Which images are negatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Negatives {
    /// All other images of the batch.
    All,
    /// Those with another (pseudo) label.
    Mask,
}

/// Over what batch normalisation takes its statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchViews {
    /// Both views of a batch.
    Together,
    /// Each view by itself.
    Apart,
}

impl Default for Simclr {
    fn default() -> Self {
        let sgd = Optimizer { kind: OptimizerKind::Sgd, lr: 0.06, weight_decay: 5e-4, ..Optimizer::default() };
        Self {
            encoder: Encoder::default(),
            head: vec![256, 128, 50],
            epochs: 15,
            loss: LossKind::NtXent,
            negatives: Negatives::All,
            temperature: 0.5,
            prior: 0.1,
            augment: Augment::default(),
            optimizer: sgd,
            keep_epochs: Vec::new(),
            schedule: Schedule { warmup_epochs: 1.0, ..Schedule::default() },
            views: BatchViews::Together,
            seed: 0,
        }
    }
}

impl Stage for Simclr {
    const KIND: &'static str = "simclr";
    // 2: 3x3 convolutions by Winograd's products.
    const VERSION: u32 = 2;
    const INPUTS: &'static [Port] = &[
        Port::new("images", &[Form::Images], "the training images; their labels are not used"),
        Port::new("batches", &[Form::Batches], "which images meet in a step"),
        Port::optional(
            "labels",
            &[Form::Labels, Form::Images],
            "pseudo labels (or images: their true ones), for `negatives = \"mask\"`",
        ),
    ];
    const OUTPUTS: &'static [Port] =
        &[Port::new("weights", &[Form::Weights], "encoder and head; levels `p3`, `p2`, `p1`")];

    fn check(&self, problems: &mut Problems) {
        problems.require(!self.head.is_empty() && !self.head.contains(&0), "head", "must be sizes of at least 1");
        problems.positive("temperature", self.temperature);
        problems.within("prior", self.prior, 0.0, 0.99);
        super::nested(problems, "encoder", self.encoder.check());
        super::nested(problems, "augment", self.augment.check());
        super::nested(problems, "optimizer", self.optimizer.check());
        super::check_kept(problems, &self.keep_epochs, self.epochs);
        super::nested(problems, "schedule", self.schedule.check());
    }

    fn extent(&self) -> Option<Extent> {
        super::extent(self.epochs, &self.schedule, &self.keep_epochs)
    }

    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let set = Images::bytes(inputs.at("images"))?;
        let rounds = inputs.at("batches").tensor("batches")?.to_vec3::<u32>()?;
        if rounds.iter().flatten().flatten().any(|&index| index as usize >= set.len()) {
            return Err(StageError::failed(format!("the batches name images beyond the {} there are", set.len())));
        }
        let labels = match (self.negatives, inputs.get("labels")) {
            (Negatives::All, _) => None,
            (Negatives::Mask, Some(labels)) => Some(labels.tensor("labels")?.to_vec1::<u32>()?),
            (Negatives::Mask, None) => {
                return Err(StageError::failed("`negatives = \"mask\"` needs the input `labels`"));
            }
        };
        if let Some(count) = labels.as_ref().map(Vec::len).filter(|&count| count != set.len()) {
            return Err(StageError::failed(format!("{count} labels for {} images", set.len())));
        }
        let device = cx.device().clone();
        let [colours, height, width] = set.size;
        let encoder = self.encoder.resolved([height, width]);
        let architecture = Architecture::Contrastive { colours, encoder, head: self.head.clone() };
        let (network, params) = architecture.build(self.seed, &device)?;
        let Network::Encoder { encoder, head } = &network else { unreachable!("built from an encoder") };
        let stream = Stream::new(self.seed, "simclr/augment");
        let mut task = Contrastive {
            encoder,
            head,
            loss: Loss { kind: self.loss, temperature: self.temperature, prior: self.prior },
            indices: &|epoch, step| rounds[epoch % rounds.len()][step].clone(),
            views: &|indices, epoch, step| {
                self.augment.two_views(&set, indices, &stream.at(epoch as u64).at(step as u64), &device)
            },
            labels: labels.as_deref(),
            steps: rounds.first().map_or(0, Vec::len),
            split_views: self.views == BatchViews::Apart,
        };
        let mut run = Run::new(params.clone(), Optim::new(&self.optimizer, params.parameters())?);
        let settings = Settings { epochs: self.epochs, schedule: self.schedule.clone(), patience: 0 };
        let mut session = Session::open(cx)?;
        session.fit(Part::default(), &mut task, &mut run, &settings)?;
        super::record(session.cx, &run, &["loss", "contrastive_top1", "alignment", "uniformity"]);
        let outputs = Outputs::new().with("weights", network::save(&architecture, &params)?);
        session.with_kept(outputs, &architecture)
    }
}
