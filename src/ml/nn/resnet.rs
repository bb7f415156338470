//! Residual networks: the bottleneck ResNet of the reference, ResNet-18, and ResNet-50 in two forms.

use candle_core::{DType, Device, Tensor};

use super::{
    Encoder, EncoderKind, Stem, WeightInit,
    layers::{BatchNorm, Conv2d, ConvBn, ConvShape, Mode},
};
use crate::ml::{
    Error, Result,
    init::{Init, Scope},
    kernels::Activation,
};

/// A residual network up to its last activation; [`ResNet::forward`] pools it.
#[derive(Clone, Debug)]
pub struct ResNet {
    /// Mean and standard deviation of each channel of the pixels, `[C]` each.
    pixels: Option<[Tensor; 2]>,
    stem: ConvBn,
    pool: bool,
    blocks: Vec<Block>,
    last: Option<BatchNorm>,
    features: usize,
}

/// `relu(body(x) + shortcut(x))`.
#[derive(Clone, Debug)]
struct Block {
    body: Vec<ConvBn>,
    shortcut: Shortcut,
}

#[derive(Clone, Debug)]
enum Shortcut {
    Identity,
    /// A biased 1x1 convolution without normalisation, as in the reference.
    Conv(Conv2d),
    /// A normalised 1x1 convolution (He et al. 2016).
    ConvBn(ConvBn),
}

/// One group of blocks: middle channels, output channels, stride of the first block, number of blocks.
type Group = (usize, usize, usize, usize);

impl ResNet {
    /// Creates the parameters below `scope`. `channels` is the number of image channels.
    ///
    /// # Errors
    /// If a parameter cannot be made, or the encoder has the mean of another number of channels.
    pub fn new(scope: &mut Scope, encoder: &Encoder, channels: usize) -> Result<Self> {
        let n = encoder.n;
        let pixels = pixels(encoder, channels, scope.device())?;
        let (stem, groups): (usize, Vec<Group>) = match encoder.kind {
            EncoderKind::Resnet => (16, vec![(16, 64, 1, n), (64, 128, 2, n), (128, 256, 2, n)]),
            EncoderKind::Resnet18 => (64, vec![(64, 64, 1, 2), (128, 128, 2, 2), (256, 256, 2, 2), (512, 512, 2, 2)]),
            EncoderKind::Resnet50 | EncoderKind::Resnet50Keras => {
                (64, vec![(64, 256, 1, 3), (128, 512, 2, 4), (256, 1024, 2, 6), (512, 2048, 2, 3)])
            }
        };
        let large = encoder.kind != EncoderKind::Resnet && encoder.stem == Stem::Large;
        let (kernel, stride) = if large { (7, 2) } else { (3, 1) };
        let build = Builder { encoder };
        let mut inputs = encoder.scaled(stem);
        let stem = build.conv_bn(&mut scope.at("stem"), "", build.shape(channels, inputs, kernel, stride))?;
        let mut blocks = Vec::new();
        for (index, (middle, outputs, stride, count)) in groups.into_iter().enumerate() {
            let (middle, outputs) = (encoder.scaled(middle), encoder.scaled(outputs));
            let mut group = scope.at(&format!("group{}", index + 1));
            for block in 0..count {
                let stride = if block == 0 { stride } else { 1 };
                let mut scope = group.at(&format!("block{block}"));
                blocks.push(build.block(&mut scope, [inputs, middle, outputs], stride, block == 0)?);
                inputs = outputs;
            }
        }
        let Encoder { bn_eps, bn_momentum, final_norm, .. } = *encoder;
        let norm = |scope: &mut Scope| BatchNorm::new(scope, inputs, bn_eps, bn_momentum);
        let last = final_norm.then(|| norm(&mut scope.at("final_bn"))).transpose()?;
        Ok(Self { pixels, stem, pool: large, blocks, last, features: inputs })
    }

    /// Length of the pooled features.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// Pooled features of images with pixels in [0, 1]: `[N, H, W, C]` to `[N, F]`.
    ///
    /// # Errors
    /// If the images are too small or have another number of channels.
    pub fn forward(&self, images: &Tensor, mode: Mode) -> Result<Tensor> {
        let images = match &self.pixels {
            Some([mean, std]) => &images.broadcast_sub(mean)?.broadcast_div(std)?,
            None => images,
        };
        self.features_of(&Activation::new(images)?, mode)?.into_tensor()
    }

    /// [`ResNet::forward`] for an activation, whose pixels are normalised.
    ///
    /// # Errors
    /// If the images are too small or have other channels.
    pub fn features_of(&self, images: &Activation, mode: Mode) -> Result<Activation> {
        let mut x = self.stem.forward(images, mode, None, true)?;
        if self.pool {
            x = x.max_pool2d(3, 2, 1)?;
        }
        for block in &self.blocks {
            x = block.forward(&x, mode)?;
        }
        if let Some(norm) = &self.last {
            x = norm.forward(&x, mode, true)?;
        }
        x.global_avg_pool()
    }
}

/// Returns the mean and the standard deviation of the pixels as tensors, if the encoder has them.
fn pixels(encoder: &Encoder, channels: usize, device: &Device) -> Result<Option<[Tensor; 2]>> {
    let Encoder { mean, std, .. } = encoder;
    if mean.is_empty() && std.is_empty() {
        return Ok(None);
    }
    if [mean.len(), std.len()] != [channels; 2] {
        let count = mean.len();
        return Err(Error::Invalid(format!(
            "`mean` and `std` of the encoder are of {count} channels, and the images have {channels}"
        )));
    }
    let tensor = |values: &[f64]| Tensor::new(values, device)?.to_dtype(DType::F32);
    Ok(Some([tensor(mean)?, tensor(std)?]))
}

impl Block {
    fn forward(&self, x: &Activation, mode: Mode) -> Result<Activation> {
        let residual = match &self.shortcut {
            Shortcut::Identity => x.clone(),
            Shortcut::Conv(conv) => conv.forward(x, mode)?,
            Shortcut::ConvBn(conv) => conv.forward(x, mode, None, false)?,
        };
        let last = self.body.len() - 1;
        let mut x = x.clone();
        for (index, layer) in self.body.iter().enumerate() {
            x = layer.forward(&x, mode, (index == last).then_some(&residual), true)?;
        }
        Ok(x)
    }
}

struct Builder<'a> {
    encoder: &'a Encoder,
}

impl Builder<'_> {
    /// A convolution of the body, with a bias where the kind of encoder has one.
    fn shape(&self, inputs: usize, outputs: usize, kernel: usize, stride: usize) -> ConvShape {
        let Encoder { padding, bias, kind, .. } = *self.encoder;
        let bias = bias && matches!(kind, EncoderKind::Resnet | EncoderKind::Resnet50Keras);
        ConvShape { inputs, outputs, kernel, stride, padding, bias }
    }

    fn init(&self) -> Init {
        match (self.encoder.init, self.encoder.kind) {
            (WeightInit::HeNormal, _) | (WeightInit::Auto, EncoderKind::Resnet) => Init::HeNormal,
            (WeightInit::HeTruncated, _) => Init::HeTruncated,
            (WeightInit::GlorotUniform, _) | (WeightInit::Auto, EncoderKind::Resnet50Keras) => Init::GlorotUniform,
            (WeightInit::HeFanOut | WeightInit::Auto, _) => Init::HeNormalFanOut,
        }
    }

    fn reference(&self) -> bool {
        self.encoder.kind == EncoderKind::Resnet
    }

    /// A convolution `conv{suffix}` and its normalisation `bn{suffix}`.
    fn conv_bn(&self, scope: &mut Scope, suffix: &str, shape: ConvShape) -> Result<ConvBn> {
        let Encoder { bn_eps, bn_momentum, .. } = *self.encoder;
        let conv = Conv2d::new(&mut scope.at(&format!("conv{suffix}")), shape, self.init())?;
        let bn = BatchNorm::new(&mut scope.at(&format!("bn{suffix}")), shape.outputs, bn_eps, bn_momentum)?;
        Ok(ConvBn::new(conv, bn))
    }

    fn block(
        &self,
        scope: &mut Scope,
        [inputs, middle, outputs]: [usize; 3],
        stride: usize,
        first: bool,
    ) -> Result<Block> {
        let body = if self.encoder.kind == EncoderKind::Resnet18 {
            vec![
                self.conv_bn(scope, "1", self.shape(inputs, outputs, 3, stride))?,
                self.conv_bn(scope, "2", self.shape(outputs, outputs, 3, 1))?,
            ]
        } else {
            let (first, second) =
                if self.encoder.kind == EncoderKind::Resnet50Keras { (stride, 1) } else { (1, stride) };
            vec![
                self.conv_bn(scope, "1", self.shape(inputs, middle, 1, first))?,
                self.conv_bn(scope, "2", self.shape(middle, middle, 3, second))?,
                self.conv_bn(scope, "3", self.shape(middle, outputs, 1, 1))?,
            ]
        };
        let mut scope = scope.at("shortcut");
        let shortcut = if self.reference() && first {
            let shape = ConvShape { bias: true, ..self.shape(inputs, outputs, 1, stride) };
            Shortcut::Conv(Conv2d::new(&mut scope, shape, self.init())?)
        } else if first && (stride != 1 || inputs != outputs) {
            Shortcut::ConvBn(self.conv_bn(&mut scope, "", self.shape(inputs, outputs, 1, stride))?)
        } else {
            Shortcut::Identity
        };
        Ok(Block { body, shortcut })
    }
}
