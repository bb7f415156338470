//! `dae`: trains a denoising autoencoder.

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    images::Images,
    network,
    session::{Part, Session},
};
use crate::{
    ml::{
        data::split,
        nn::{Architecture, Mode, Network},
        optim::{Optim, Optimizer},
        rng::Stream,
        schedule::Schedule,
        train::{Denoise, Order, Run, Settings},
    },
    stage::{Context, Extent, Form, Inputs, Outputs, Port, Problems, Stage, StageError},
    store::Artifact,
};

/// Trains a convolutional autoencoder to give the clean image from the noisy one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dae {
    /// Channels of the stages down, each of which halves the image; the stages up mirror them.
    pub channels: Vec<usize>,
    /// Rows and columns of the convolutions, odd.
    pub kernel: usize,
    /// Passes over the training images.
    pub epochs: usize,
    /// Images a step.
    pub batch_size: usize,
    /// How weights follow gradients.
    pub optimizer: Optimizer,
    /// Earlier epochs whose weights are outputs too, as `weights@EPOCH`.
    pub keep_epochs: Vec<usize>,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// Share of the images held out for the validation loss, in [0, 1); 0 means none.
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
            epochs: 15,
            batch_size: 64,
            optimizer: Optimizer::default(),
            keep_epochs: Vec::new(),
            schedule: Schedule::constant(),
            val_fraction: 0.1,
            patience: 0,
            seed: 0,
        }
    }
}

/// Images in the grid of reconstructions.
const GRID: usize = 16;

impl Stage for Dae {
    const KIND: &'static str = "dae";
    // 2: 3x3 convolutions by Winograd's products.
    const VERSION: u32 = 2;
    const INPUTS: &'static [Port] = &[
        Port::new("clean", &[Form::Images], "the images to be restored"),
        Port::new("noisy", &[Form::Images], "the same images with noise; epoch e sees draw e modulo their number"),
    ];
    const OUTPUTS: &'static [Port] = &[
        Port::new("weights", &[Form::Weights], "the autoencoder; its level is `latent`"),
        Port::new("reconstructions", &[Form::Matrix], "u8 images: `clean`, `noisy` and `reconstruction` side by side"),
    ];

    fn check(&self, problems: &mut Problems) {
        problems.require(!self.channels.is_empty(), "channels", "must name at least one stage");
        problems.require(!self.channels.contains(&0), "channels", "must all be at least 1");
        problems.require(self.kernel % 2 == 1, "kernel", format!("must be odd, got {}", self.kernel));
        problems.at_least("batch_size", self.batch_size, 1);
        problems.within("val_fraction", self.val_fraction, 0.0, 0.9);
        super::nested(problems, "optimizer", self.optimizer.check());
        super::check_kept(problems, &self.keep_epochs, self.epochs);
        super::nested(problems, "schedule", self.schedule.check());
    }

    fn extent(&self) -> Option<Extent> {
        super::extent(self.epochs, &self.schedule, &self.keep_epochs)
    }

    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let (clean, noisy) = (Images::read(inputs.at("clean"))?, Images::read(inputs.at("noisy"))?);
        let (set, other) = (clean.set(), noisy.set());
        if set.size != other.size || set.len() != other.len() {
            let (a, b) = (set.len(), other.len());
            return Err(StageError::failed(format!("{a} clean and {b} noisy images of equal size were expected")));
        }
        let device = cx.device().clone();
        let architecture =
            Architecture::Autoencoder { colours: set.size[0], channels: self.channels.clone(), kernel: self.kernel };
        let (network, params) = architecture.build(self.seed, &device)?;
        let Network::Autoencoder(autoencoder) = &network else { unreachable!("built from an autoencoder") };
        let (train_images, validation) =
            split::validation(&set.labels, self.val_fraction, &Stream::new(self.seed, "dae/validation"));
        let mut task = Denoise {
            network: autoencoder,
            clean: &|indices, epoch| clean.batch(indices, epoch, &device),
            noisy: &|indices, epoch| noisy.batch(indices, epoch, &device),
            order: Order::new(train_images, self.batch_size, self.seed),
            validation,
            batch_size: self.batch_size,
        };
        let mut run = Run::new(params.clone(), Optim::new(&self.optimizer, params.parameters())?);
        let settings = Settings { epochs: self.epochs, schedule: self.schedule.clone(), patience: self.patience };
        let mut session = Session::open(cx)?;
        session.fit(Part::default(), &mut task, &mut run, &settings)?;
        super::record(session.cx, &run, &["loss", "val_loss"]);

        let shown: Vec<u32> = (0..set.len().min(GRID) as u32).collect();
        let input = noisy.batch(&shown, 0, &device)?;
        let restored = autoencoder.forward(&input, Mode::Infer)?;
        let grid = Artifact::new()
            .with("clean", pixels(&clean.batch(&shown, 0, &device)?)?)
            .with("noisy", pixels(&input)?)
            .with("reconstruction", pixels(&restored)?);
        let weights = network::save(&architecture, &params)?;
        session.with_kept(Outputs::new().with("weights", weights).with("reconstructions", grid), &architecture)
    }
}

/// f32 `[N, H, W, C]` in [0, 1] as u8 `[N, C, H, W]`.
fn pixels(images: &Tensor) -> Result<Tensor, StageError> {
    let images = images.to_device(&Device::Cpu)?.permute((0, 3, 1, 2))?.contiguous()?;
    let shape = images.dims().to_vec();
    let bytes: Vec<u8> = images.flatten_all()?.to_vec1::<f32>()?.iter().map(|v| (v * 255.0).round() as u8).collect();
    Ok(Tensor::from_vec(bytes, shape, &Device::Cpu)?)
}
