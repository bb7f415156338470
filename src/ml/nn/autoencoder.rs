//! The denoising autoencoder.

use candle_core::Tensor;

use super::{
    Padding,
    layers::{BatchNorm, Conv2d, ConvBn, ConvShape, Mode},
};
use crate::ml::{
    Error, Result,
    init::{Init, Scope},
    kernels::Activation,
};

/// Convolutional autoencoder: each stage down is convolution, batch normalisation, ReLU and 2x2 max-pool; each stage up
/// doubles the pixels (nearest), then convolution, batch normalisation and ReLU; a last convolution and a sigmoid.
#[derive(Clone, Debug)]
pub struct Autoencoder {
    down: Vec<ConvBn>,
    up: Vec<ConvBn>,
    last: Conv2d,
}

/// The epsilon of Keras's batch normalisation, which the reference's autoencoder uses.
const BN_EPS: f64 = 1e-3;

impl Autoencoder {
    /// The usual weight of a new batch in the running statistics. The reference has 0.01; with 0.1 the statistics
    /// settle in a short run.
    pub const BN_MOMENTUM: f64 = 0.1;

    /// Creates the parameters: `channels` of the stages down, an odd `kernel`, `colours` channels of the images, and
    /// `bn_momentum`, the weight of a new batch in the running statistics.
    ///
    /// # Errors
    /// If a parameter cannot be made.
    pub fn new(scope: &mut Scope, channels: &[usize], kernel: usize, colours: usize, bn_momentum: f64) -> Result<Self> {
        let shape =
            |inputs, outputs| ConvShape { inputs, outputs, kernel, stride: 1, padding: Padding::Symmetric, bias: true };
        let mut inputs = colours;
        let mut stage = |scope: &mut Scope, outputs: usize| -> Result<ConvBn> {
            let conv = Conv2d::new(&mut scope.at("conv"), shape(inputs, outputs), Init::GlorotUniform)?;
            inputs = outputs;
            Ok(ConvBn::new(conv, BatchNorm::new(&mut scope.at("bn"), outputs, BN_EPS, bn_momentum)?))
        };
        let down = (0..channels.len())
            .map(|i| stage(&mut scope.at(&format!("down{}", i + 1)), channels[i]))
            .collect::<Result<_>>()?;
        let up = (0..channels.len())
            .map(|i| stage(&mut scope.at(&format!("up{}", i + 1)), channels[channels.len() - 1 - i]))
            .collect::<Result<_>>()?;
        let last = Conv2d::new(&mut scope.at("out"), shape(inputs, colours), Init::GlorotUniform)?;
        Ok(Self { down, up, last })
    }

    /// The bottleneck of images `[N, H, W, C]`: `[N, H / 2^s, W / 2^s, channels]` with s stages.
    ///
    /// # Errors
    /// If height or width is not a multiple of `2^s`.
    pub fn encode(&self, images: &Tensor, mode: Mode) -> Result<Tensor> {
        self.bottleneck(&Activation::new(images)?, mode)?.into_tensor()
    }

    fn bottleneck(&self, images: &Activation, mode: Mode) -> Result<Activation> {
        let [_, height, width, _] = images.dims4()?;
        let multiple = 1 << self.down.len();
        if height % multiple != 0 || width % multiple != 0 {
            return Err(Error::Invalid(format!(
                "an autoencoder of {} stages needs sides that are multiples of {multiple}, not {height}x{width}",
                self.down.len()
            )));
        }
        let mut x = images.clone();
        for stage in &self.down {
            x = stage.forward(&x, mode, None, true)?.max_pool2d(2, 2, 0)?;
        }
        Ok(x)
    }

    /// Reconstructions in [0, 1] of images `[N, H, W, C]`, of the same shape.
    ///
    /// # Errors
    /// As [`Autoencoder::encode`].
    pub fn forward(&self, images: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut x = self.bottleneck(&Activation::new(images)?, mode)?;
        for stage in &self.up {
            x = stage.forward(&x.upsample_nearest2x()?, mode, None, true)?;
        }
        let logits = self.last.forward(&x, mode)?.into_tensor()?;
        Ok(candle_nn::ops::sigmoid(&logits)?)
    }
}
