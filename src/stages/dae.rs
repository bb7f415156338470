//! `dae`: trains a denoising autoencoder.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{
    checks,
    held_out::{HeldOut, Watch},
    idle,
    images::{Images, pixels},
    network,
    session::{Part, Session},
    start::{self, Known},
};
use crate::{
    ml::{
        data::split,
        finite,
        nn::{Architecture, Autoencoder, Mode, Network},
        optim::{Optim, Optimizer},
        rng::Stream,
        schedule::Schedule,
        train::{Denoise, Order, Run, Settings, diverged, remedy},
    },
    stage::{
        Context, Drawing, Extent, Foreseen, Foresight, Form, Inputs, Metric, Outputs, Port, Problems, Stage,
        StageError, View,
    },
    store::Artifact,
};

/// Trains a convolutional autoencoder to give the clean image from the noisy one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Dae {
    /// Channels of the stages down, each of which halves the image; the stages up mirror them.
    pub channels: Vec<usize>,
    /// Rows and columns of the convolutions, odd.
    pub kernel: usize,
    /// Weight of a new batch in the running statistics of batch normalisation, in (0, 1].
    pub bn_momentum: f64,
    /// Passes over the training images.
    pub epochs: usize,
    /// Images a step; those that do not fill one sit the epoch out.
    pub batch_size: usize,
    /// Whether each epoch has an order of its own; `false` is the order of the dataset, as in the reference.
    pub shuffle: bool,
    /// How weights follow gradients.
    pub optimizer: Optimizer,
    /// Earlier epochs whose weights are outputs too, as `weights@EPOCH`.
    pub keep_epochs: Vec<usize>,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// What the validation loss is taken on: `validation`, or `test` (input `test`, without noise), which flatters the result.
    pub stop_on: HeldOut,
    /// Share of the images that `stop_on = "validation"` holds out, in [0, 1); 0 means none.
    pub val_fraction: f64,
    /// Epochs without a better validation loss after which to stop and restore the best; 0 means never.
    pub patience: usize,
    /// Seed of initial weights, held-out images and order.
    pub seed: u64,
}

impl Default for Dae {
    fn default() -> Self {
        Self {
            channels: vec![32, 64, 128],
            kernel: 3,
            bn_momentum: Autoencoder::BN_MOMENTUM,
            epochs: 15,
            batch_size: 64,
            shuffle: true,
            optimizer: Optimizer::default(),
            keep_epochs: Vec::new(),
            schedule: Schedule::constant(),
            stop_on: HeldOut::Validation,
            val_fraction: 0.1,
            patience: 0,
            seed: 0,
        }
    }
}

impl Dae {
    fn watch(&self) -> Watch {
        let patience = if self.epochs > 0 { self.patience } else { 0 };
        Watch { stop_on: self.stop_on, val_fraction: self.val_fraction, patience }
    }
}

/// Number of images in the grid of reconstructions.
const GRID: usize = 16;

impl Stage for Dae {
    const KIND: &'static str = "dae";
    // 2: 3x3 convolutions by Winograd's products.
    // 3: a network that has diverged fails the stage.
    const VERSION: u32 = 3;
    const INPUTS: &'static [Port] = &[
        Port::new("clean", &[Form::Images], "the images to be restored"),
        Port::new("noisy", &[Form::Images], "the same images with noise; epoch e sees draw e modulo their number"),
        Port::optional("test", &[Form::Images], "test images, for `stop_on = \"test\"`; not trained on"),
        Port::optional("weights", &[Form::Weights], "weights of the same autoencoder to start from"),
    ];
    const EXTEND: Option<&'static str> = Some(checks::EPOCHS);
    const OUTPUTS: &'static [Port] = &[
        Port::new("weights", &[Form::Weights], "the autoencoder; its level is `latent`"),
        Port::new("reconstructions", &[Form::Matrix], "u8 images: `clean`, `noisy` and `reconstruction` side by side"),
    ];

    fn check(&self, problems: &mut Problems) {
        problems.require(!self.channels.is_empty(), "channels", "must name at least one stage");
        checks::check_widths(problems, "channels", &self.channels);
        problems.require(
            self.channels.len() <= 16,
            "channels",
            "must name at most 16 stages, as each halves the image",
        );
        problems.require(self.kernel % 2 == 1, "kernel", format!("must be odd, got {}", self.kernel));
        problems.positive("bn_momentum", self.bn_momentum);
        problems.within("bn_momentum", self.bn_momentum, 0.0, 1.0);
        problems.at_least("batch_size", self.batch_size, 1);
        problems.within("val_fraction", self.val_fraction, 0.0, 0.9);
        self.watch().check(problems);
        checks::nested(problems, "optimizer", self.optimizer.check());
        checks::check_kept(problems, &self.keep_epochs, self.epochs);
        checks::nested(problems, "schedule", self.schedule.check());
        checks::check_warmup(problems, &self.schedule, self.epochs);
    }

    fn idle(&self) -> Vec<&'static str> {
        let mut idle = idle::training(self.epochs > 0, &self.optimizer, &self.schedule);
        if self.epochs == 0 {
            idle.extend(["batch_size", "shuffle", "patience", "val_fraction"]);
        } else if self.stop_on == HeldOut::Test {
            idle.push("val_fraction");
        }
        idle
    }

    fn foresee(&self, inputs: &Foresight, _: &Path, problems: &mut Problems) -> Foresight {
        let clean = inputs.get("clean");
        self.watch().foresee(clean.and_then(|clean| clean.rows), problems);
        let (stages, sides) = (self.channels.len(), 1usize.checked_shl(self.channels.len() as u32));
        if let (Some([_, height, width]), Some(multiple)) = (clean.and_then(|clean| clean.size), sides)
            && (height % multiple != 0 || width % multiple != 0)
        {
            let message = format!(
                "{stages} stages halve the images {stages} times, so their sides must be multiples of {multiple}, not \
                 {height}x{width}"
            );
            let edge = height.max(width).div_ceil(multiple) * multiple;
            problems.add_with_help(
                "channels",
                message,
                format!("name fewer stages, or give the dataset `size = {edge}`"),
            );
        }
        let known = Known::Autoencoder { channels: self.channels.clone(), kernel: self.kernel };
        known.foresee(inputs, problems);
        Foresight::from([("weights", known.tell(Foreseen { sides, ..Foreseen::levels(&["latent"]) }))])
    }

    fn extent(&self) -> Option<Extent> {
        checks::extent(self.epochs, None, &self.schedule, &self.keep_epochs)
    }

    fn metrics() -> Vec<Metric> {
        checks::losses()
    }

    fn draw(&self, view: &dyn View) -> Vec<Drawing> {
        let picture = || {
            let made = view.output("reconstructions")?;
            let rows = ["clean", "noisy", "reconstruction"].map(|name| made.tensor(name).ok());
            let [Some(clean), Some(noisy), Some(reconstruction)] = rows else { return None };
            let columns = clean.dims().first().copied()?;
            Some(Drawing::Images {
                title: "reconstructions".to_owned(),
                caption: "From above: the image, what the autoencoder saw, what it made of that.".to_owned(),
                images: candle_core::Tensor::cat(&[clean, noisy, reconstruction], 0).ok()?,
                shown: (0..3 * columns).map(Some).collect(),
                columns,
            })
        };
        picture().into_iter().collect()
    }

    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let (clean, noisy) = (Images::read(inputs.at("clean"))?, Images::read(inputs.at("noisy"))?);
        let (set, other) = (clean.set(), noisy.set());
        if set.size != other.size || set.len() != other.len() {
            let (a, b) = (set.len(), other.len());
            return Err(StageError::failed(format!("{a} clean and {b} noisy images of equal size were expected")));
        }
        let device = cx.device().clone();
        let test = match (self.stop_on, inputs.get("test")) {
            (HeldOut::Validation, _) => None,
            (HeldOut::Test, Some(test)) => Some(Images::read(test)?),
            (HeldOut::Test, None) => return Err(StageError::failed("`stop_on = \"test\"` needs the input `test`")),
        };
        if let Some(other) = test.as_ref().map(|test| test.set().size).filter(|&size| size != set.size) {
            return Err(StageError::failed(format!("test images of {other:?} for training images of {:?}", set.size)));
        }
        let Self { kernel, bn_momentum, .. } = *self;
        let channels = self.channels.clone();
        let architecture = Architecture::Autoencoder { colours: set.size[0], channels, kernel, bn_momentum };
        let (network, params) = architecture.build(self.seed, &device)?;
        if let Some(weights) = inputs.get("weights") {
            start::load(weights, &architecture, &params)?;
        }
        let Network::Autoencoder(autoencoder) = &network else { unreachable!("built from an autoencoder") };
        let val_fraction = if test.is_some() { 0.0 } else { self.val_fraction };
        let (train_images, held_out) =
            split::validation(&set.labels, val_fraction, &Stream::new(self.seed, "dae/validation"));
        if test.is_none() {
            self.watch().require(cx, set.len(), train_images.len(), held_out.len())?;
        }
        let order = Order::new(train_images, self.batch_size, self.seed);
        let validation = test.as_ref().map_or(held_out, |test| (0..test.set().len() as u32).collect());
        // The validation loss is that of restoring the test images from themselves, or held-out images from noise.
        let (judged, seen) = (test.as_ref().unwrap_or(&clean), test.as_ref().unwrap_or(&noisy));
        let mut task = Denoise {
            network: autoencoder,
            clean: &|indices, epoch| clean.batch(indices, epoch, &device),
            noisy: &|indices, epoch| noisy.batch(indices, epoch, &device),
            order: if self.shuffle { order } else { order.fixed() },
            validation,
            validation_images: [&|indices, epoch| judged.batch(indices, epoch, &device), &|indices, epoch| {
                seen.batch(indices, epoch, &device)
            }],
            batch_size: self.batch_size,
        };
        let mut run = Run::new(params.clone(), Optim::new(&self.optimizer, params.parameters())?);
        let Self { epochs, patience, .. } = *self;
        let settings = Settings { epochs, steps: None, schedule: self.schedule.clone(), patience };
        let mut session = Session::open(cx)?;
        session.fit(Part::default(), &mut task, &mut run, &settings)?;
        checks::record(session.cx, &run, &["loss", "val_loss"]);

        let shown: Vec<u32> = (0..set.len().min(GRID) as u32).collect();
        let input = noisy.batch(&shown, 0, &device)?;
        let restored = autoencoder.forward(&input, Mode::Infer)?;
        finite::require_rows(&restored, |row| format!("the reconstruction of image {row}"))
            .map_err(|error| diverged(error, run.epoch, None, remedy(&run, &settings, None)))?;
        let grid = Artifact::new()
            .with("clean", pixels(&clean.batch(&shown, 0, &device)?)?)
            .with("noisy", pixels(&input)?)
            .with("reconstruction", pixels(&restored)?);
        let weights = network::save(&architecture, &params)?;
        session.with_kept(Outputs::new().with("weights", weights).with("reconstructions", grid), &architecture)
    }
}
