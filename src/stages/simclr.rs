//! `simclr`: contrastive training on given batches.

mod neighbours;
mod pairs;

use std::path::Path;

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{
    checks, idle,
    images::{self, Images, pixels},
    network,
    session::{Part, Session},
    start::{self, Known},
};
use crate::{
    ml::{
        self,
        augment::Augment,
        data::ImageSet,
        finite,
        loss::{Loss, LossKind},
        nn::{Architecture, Encoder, Mode, Network, Pool},
        optim::{Optim, Optimizer, OptimizerKind},
        rng::Stream,
        schedule::Schedule,
        train::{Contrastive, Latest, Run, Settings, Task, diverged, remedy},
    },
    stage::{
        Context, Drawing, Extent, Foreseen, Foresight, Form, Inputs, Metric, Need, Outputs, Port, Problems, Stage,
        StageError, View,
    },
    store::Artifact,
};

/// Trains an encoder and a projection head to tell the random views of one image from those of the others in its batch.
///
/// Arms that differ only in their batches start from equal weights and share the stream of augmentations. With
/// `epochs = 0` the weights are the initial ones: the random encoder, a control. With the input `weights`, training starts
/// from those, and `encoder` must describe them.
///
/// The true labels of `images`, if they have any, are used for diagnosis only: `false_negative_rate` is the share of negatives of an image's
/// own class over all steps, `false_negative_rate_expected` the closed form for batches drawn at random.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Simclr {
    /// The encoder.
    pub encoder: Encoder,
    /// Sizes of the projection head's layers, ReLU between them.
    pub head: Vec<usize>,
    /// Passes over a round of batches; epoch e uses round e modulo their number.
    pub epochs: usize,
    /// The loss: `nt_xent`, `dcl`, `debiased`, `hard` or `supcon`, which takes its positives from the input `labels`.
    pub loss: LossKind,
    /// Which images are negatives: `all`, those of another label (`mask`), or by how sure labels are (`weighted`).
    pub negatives: Negatives,
    /// Temperature of the similarities, above 0.
    pub temperature: f64,
    /// Chance of a false negative in the losses `debiased` and `hard`, in [0, 1).
    pub prior: f64,
    /// How much more near negatives count in the loss `hard`, at least 0.
    pub concentration: f64,
    /// How random views are made.
    pub augment: Augment,
    /// How weights follow gradients.
    pub optimizer: Optimizer,
    /// Earlier epochs whose weights are outputs too, as `weights@EPOCH`.
    pub keep_epochs: Vec<usize>,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// Whether the views of a batch are normalised `together`, or `apart` in a forward pass each (the reference code).
    pub views: BatchViews,
    /// Random views of each image in a step, at least 2: each of them is a positive of the others. A step costs as many
    /// forward and backward passes (Hoffer et al. 2020; Tong et al. 2023).
    // Left out of the key at 2, which was fixed before this was a parameter, so that results in caches stay valid.
    #[serde(skip_serializing_if = "is_two")]
    #[schemars(extend("default" = 2))]
    pub views_per_image: usize,
    /// Images of one forward pass, with batch statistics of their own; 0 means the whole batch.
    ///
    /// Less memory for the same batch, and the same gradient but for the statistics (GradCache, Gao et al. 2021); every
    /// pass is made twice.
    pub chunk_size: usize,
    /// Epochs between two measurements of `knn_accuracy` (input `val`); 0 means only at the end.
    pub knn_every: usize,
    /// Seed of initial weights and augmentation.
    pub seed: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_two(value: &usize) -> bool {
    *value == 2
}

/// Which images are negatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Negatives {
    /// All other images of the batch.
    All,
    /// Those with another (pseudo) label.
    Mask,
    /// All, but images of one label with a weight of 1 less the product of their labels' confidences.
    Weighted,
}

/// Over what batch normalisation takes its statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum BatchViews {
    /// All views of a batch.
    Together,
    /// Each view by itself.
    Apart,
}

/// Number of images whose features are checked after training.
const JUDGED: usize = 64;

/// Series whose last values are metrics.
const SERIES: [&str; 7] =
    ["loss", "contrastive_top1", "alignment", "uniformity", "feature_std", "effective_rank", "grad_norm"];

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
            concentration: 1.0,
            augment: Augment::default(),
            optimizer: sgd,
            keep_epochs: Vec::new(),
            schedule: Schedule { warmup_epochs: 1.0, ..Schedule::default() },
            views: BatchViews::Together,
            views_per_image: 2,
            chunk_size: 0,
            knn_every: 0,
            seed: 0,
        }
    }
}

impl Stage for Simclr {
    const KIND: &'static str = "simclr";
    // 2: 3x3 convolutions by Winograd's products.
    // 3: losses sum over blocks of rows; new metrics and series.
    // 4: a network that has diverged fails the stage; measures treat projections of length zero as equal.
    const VERSION: u32 = 4;
    const INPUTS: &'static [Port] = &[
        Port::new("images", &[Form::Images], "the training images; their labels are for diagnosis only"),
        Port::new("batches", &[Form::Batches], "which images meet in a step"),
        Port::optional(
            "labels",
            &[Form::Labels, Form::Images],
            "pseudo labels (or images: their true ones), for `negatives` other than `all` and the loss `supcon`",
        ),
        Port::optional(
            "val",
            &[Form::Images],
            "images to measure `knn_accuracy` on, by the votes of the training images",
        ),
        Port::optional(
            "weights",
            &[Form::Weights],
            "weights of the same `encoder` to start from; of a head too, if it has the same layers",
        ),
    ];
    const EXTEND: Option<&'static str> = Some(checks::EPOCHS);
    const OUTPUTS: &'static [Port] = &[
        Port::new("weights", &[Form::Weights], "encoder and head; levels `p3`, `p2`, `p1`"),
        Port::new("views", &[Form::Matrix], "u8 images [images, views, C, H, W]: random views of the first images"),
    ];

    fn check(&self, problems: &mut Problems) {
        problems.require(!self.head.is_empty(), "head", "must name at least one layer");
        checks::check_widths(problems, "head", &self.head);
        problems.positive("temperature", self.temperature);
        problems.within("views_per_image", self.views_per_image as f64, 2.0, 64.0);
        problems.within("prior", self.prior, 0.0, 0.99);
        problems.within("concentration", self.concentration, 0.0, 1e6);
        if self.loss == LossKind::Supcon && self.negatives != Negatives::All {
            let message = "the loss `supcon` takes images of one label as positives, so none of them is a negative";
            problems.add_with_help("negatives", message, "leave `negatives` at \"all\"");
        }
        checks::nested(problems, "encoder", self.encoder.check());
        checks::nested(problems, "augment", self.augment.check());
        checks::nested(problems, "optimizer", self.optimizer.check());
        checks::check_kept(problems, &self.keep_epochs, self.epochs);
        checks::nested(problems, "schedule", self.schedule.check());
        checks::check_warmup(problems, &self.schedule, self.epochs);
    }

    fn idle(&self) -> Vec<&'static str> {
        let mut idle = match self.loss {
            LossKind::NtXent | LossKind::Dcl | LossKind::Supcon => vec!["prior", "concentration"],
            LossKind::Debiased => vec!["concentration"],
            LossKind::Hard => Vec::new(),
        };
        if self.epochs == 0 {
            idle = vec!["temperature", "prior", "concentration", "views", "views_per_image", "chunk_size", "knn_every"];
        }
        idle.extend(idle::training(self.epochs > 0, &self.optimizer, &self.schedule));
        idle.extend(idle::encoder(&self.encoder));
        idle.extend(idle::augment(&self.augment));
        idle
    }

    fn foresee(&self, inputs: &Foresight, _: &Path, problems: &mut Problems) -> Foresight {
        let known = Known::encoder(&self.encoder, inputs.get("images").and_then(|images| images.size));
        known.foresee(inputs, problems);
        images::foresee_labels(inputs, "val", problems);
        if self.loss == LossKind::Supcon || self.negatives != Negatives::All {
            images::foresee_labels(inputs, "labels", problems);
        }
        let weights = Foreseen { levels: Network::encoder_levels(self.head.len()), ..Foreseen::default() };
        Foresight::from([("weights", known.tell(weights))])
    }

    fn needs(&self) -> Vec<Need> {
        let labels = |path, what| Need { port: "labels", path, what };
        let mut needs = Vec::new();
        match self.negatives {
            Negatives::All => {}
            Negatives::Mask => needs.push(labels("negatives", "a mask")),
            Negatives::Weighted => needs.push(labels("negatives", "a weight by label")),
        }
        if self.loss == LossKind::Supcon {
            needs.push(labels("loss", "`supcon`"));
        }
        if self.knn_every > 0 {
            needs.push(Need { port: "val", path: "knn_every", what: "a kNN accuracy" });
        }
        needs
    }

    fn extent(&self) -> Option<Extent> {
        checks::extent(self.epochs, None, &self.schedule, &self.keep_epochs)
    }

    fn metrics() -> Vec<Metric> {
        let mut all = checks::losses();
        all.extend([
            Metric::new("contrastive_top1", "share of views whose nearest other view is of their image")
                .fraction()
                .higher()
                .explains(),
            Metric::new("knn_accuracy", "accuracy on `val` by the votes of the nearest training images")
                .fraction()
                .higher(),
            Metric::new("false_negative_rate", "share of negatives of an image's own class")
                .fraction()
                .lower()
                .explains(),
            Metric::new("false_negative_rate_expected", "its closed form for batches drawn at random")
                .fraction()
                .predicts("false_negative_rate", None),
            Metric::new("alignment", "mean squared distance of the views of an image").lower(),
            Metric::new("uniformity", "logarithm of the mean Gaussian potential of all pairs").lower(),
        ]);
        all
    }

    fn draw(&self, view: &dyn View) -> Vec<Drawing> {
        let picture = || {
            let images = view.output("views")?.tensor("images").ok()?.clone();
            let [rows, columns, ..] = *images.dims() else { return None };
            Some(Drawing::Images {
                title: "augmentation".to_owned(),
                caption: "A row for each image: random views of it.".to_owned(),
                images,
                shown: (0..rows * columns).map(Some).collect(),
                columns,
            })
        };
        picture().into_iter().collect()
    }

    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let set = Images::bytes(inputs.at("images"))?;
        let rounds = inputs.at("batches").tensor("batches")?.to_vec3::<u32>()?;
        if rounds.iter().flatten().flatten().any(|&index| index as usize >= set.len()) {
            return Err(StageError::failed(format!("the batches name images beyond the {} there are", set.len())));
        }
        let labels = pairs::labels(self, inputs, set.len())?;
        if let Some(classes) = set.known_labels() {
            pairs::tell_false_negatives(cx, classes, labels.as_ref(), &rounds, self.epochs);
        }
        let val = inputs.get("val").map(Images::bytes).transpose()?;
        if val.is_some() {
            images::require_labels(set.classes.len(), "images")?;
        }
        if val.as_ref().is_some_and(|val| val.size != set.size || val.classes != set.classes) {
            return Err(StageError::failed("training and validation images differ in size or classes"));
        }
        let device = cx.device().clone();
        let [colours, height, width] = set.size;
        let encoder = self.encoder.resolved([height, width]);
        let architecture = Architecture::Contrastive { colours, encoder, head: self.head.clone() };
        let (network, params) = architecture.build(self.seed, &device)?;
        if let Some(weights) = inputs.get("weights") {
            start::load(weights, &architecture, &params)?;
        }
        let Network::Encoder { encoder, head } = &network else { unreachable!("built from an encoder") };
        let stream = Stream::new(self.seed, "simclr/augment");
        let neighbours = || val.as_ref().map(|val| neighbours::accuracy(encoder, &set, val, &device)).transpose();
        let measured = |epoch: usize| self.knn_every > 0 && epoch.is_multiple_of(self.knn_every);
        let monitor = |epoch: usize| -> ml::Result<Vec<(&'static str, f64)>> {
            let accuracy = if measured(epoch) { neighbours()? } else { None };
            Ok(accuracy.map(|accuracy| ("knn_accuracy", accuracy)).into_iter().collect())
        };
        let mut task = Contrastive {
            encoder,
            head,
            mode: Mode::Train,
            loss: Loss {
                kind: self.loss,
                temperature: self.temperature,
                prior: self.prior,
                concentration: self.concentration,
                views: self.views_per_image,
            },
            indices: &|epoch, step| rounds[epoch % rounds.len()][step].clone(),
            views: &|indices, epoch, step| {
                let stream = stream.at(epoch as u64).at(step as u64);
                self.augment.views(self.views_per_image, &set, indices, &stream, &device)
            },
            labels: labels.as_ref(),
            steps: rounds.first().map_or(0, Vec::len),
            split_views: self.views == BatchViews::Apart,
            chunk: self.chunk_size,
            monitor: Some(&monitor),
            latest: Latest::default(),
        };
        let mut run = Run::new(params.clone(), Optim::new(&self.optimizer, params.parameters())?);
        let settings = Settings { epochs: self.epochs, steps: None, schedule: self.schedule.clone(), patience: 0 };
        let mut session = Session::open(cx)?;
        session.fit(Part::default(), &mut task, &mut run, &settings)?;
        checks::record(session.cx, &run, &SERIES);
        // Training only uses the network in training mode, which does not involve the running statistics, so they are
        // checked here.
        let first: Vec<u32> = (0..set.len().min(JUDGED) as u32).collect();
        for (name, level) in network.levels(&set.batch(&first, &device)?, Pool::Mean)? {
            finite::require_rows(&level, |row| format!("level `{name}` of image {row}"))
                .map_err(|error| diverged(error, run.epoch, None, remedy(&run, &settings, task.blame())))?;
        }
        let last = run.series.get("knn_accuracy").filter(|_| measured(run.epoch)).and_then(|values| values.last());
        if let Some(accuracy) = last.copied().map_or_else(neighbours, |accuracy| Ok(Some(accuracy)))? {
            session.cx.metric("knn_accuracy", accuracy);
        }
        let weights = network::save(&architecture, &params)?;
        let outputs = Outputs::new().with("weights", weights).with("views", self.shown(&set)?);
        session.with_kept(outputs, &architecture)
    }
}

impl Simclr {
    /// Views for the report. They do not depend on the seed, so runs with equal augmentations share them.
    fn shown(&self, set: &ImageSet) -> Result<Artifact, StageError> {
        let edge = if set.size[1].max(set.size[2]) <= 64 { 8 } else { 4 };
        let indices: Vec<u32> = (0..set.len().min(edge) as u32).collect();
        let stream = Stream::new(0, "simclr/shown");
        let pairs = (0..edge as u64 / 2)
            .map(|pair| pixels(&self.augment.views(2, set, &indices, &stream.at(pair), &Device::Cpu)?))
            .collect::<Result<Vec<_>, _>>()?;
        let [colours, height, width] = set.size;
        let views = Tensor::cat(&pairs, 0)?.reshape((edge, indices.len(), colours, height, width))?;
        Ok(Artifact::new().with("images", views.transpose(0, 1)?.contiguous()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A training with two views has the same identity as before the number of views became a parameter.
    #[test]
    fn two_views_leave_the_identity_as_it_was() -> Result<(), serde_json::Error> {
        let mut simclr = Simclr::default();
        let plain = serde_json::to_value(&simclr)?;
        assert!(plain.get("views_per_image").is_none() && plain.get("views").is_some());
        simclr.views_per_image = 4;
        assert_eq!(serde_json::to_value(&simclr)?["views_per_image"], 4);
        Ok(())
    }
}
