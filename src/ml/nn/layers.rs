//! The layers that networks are made of.

use candle_core::{Tensor, Var};

use super::Padding;
use crate::ml::{
    Result,
    init::{Init, Scope},
    kernels::{Activation, BnParams, ConvParams, Geometry, Norm, Stats},
};

/// The mode in which a network runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics, running statistics updated, gradients recorded.
    Train,
    /// Running statistics, which do not change; gradients recorded.
    Frozen,
    /// Running statistics, no gradients. Nothing is kept for a backward pass.
    Infer,
    /// Batch statistics, unchanged running statistics, no gradients. A result then depends on the other images of the
    /// batch.
    InferBatch,
}

impl Mode {
    /// The variable as an operand, which shares its storage and is detached if no gradient is needed.
    fn operand(self, var: &Var) -> Tensor {
        match self {
            Self::Train | Self::Frozen => var.as_tensor().clone(),
            Self::Infer | Self::InferBatch => var.as_detached_tensor(),
        }
    }
}

/// A convolution with an optional bias.
#[derive(Clone, Debug)]
pub struct Conv2d {
    weight: Var,
    bias: Option<Var>,
    kernel: usize,
    stride: usize,
    padding: Padding,
}

/// The shape of a convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConvShape {
    pub inputs: usize,
    pub outputs: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: Padding,
    pub bias: bool,
}

impl Conv2d {
    pub(super) fn new(scope: &mut Scope, shape: ConvShape, init: Init) -> Result<Self> {
        let ConvShape { inputs, outputs, kernel, stride, padding, bias } = shape;
        let weight = scope.parameter("weight", &[outputs, inputs, kernel, kernel], init)?;
        let bias = bias.then(|| scope.parameter("bias", &[outputs], Init::Zeros)).transpose()?;
        Ok(Self { weight, bias, kernel, stride, padding })
    }

    fn geometry(&self, x: &Activation) -> Result<Geometry> {
        let [_, height, width, _] = x.dims4()?;
        Ok(match self.padding {
            Padding::Symmetric => Geometry::symmetric(self.kernel, self.stride),
            Padding::Same => Geometry::same_tf(self.kernel, self.stride, [height, width]),
        })
    }

    /// `[N, H, W, C]` to `[N, H', W', O]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(&self, x: &Activation, mode: Mode) -> Result<Activation> {
        let (weight, bias) = (mode.operand(&self.weight), self.bias.as_ref().map(|bias| mode.operand(bias)));
        x.conv2d(ConvParams { weight: &weight, bias: bias.as_ref(), geometry: self.geometry(x)? })
    }
}

/// Scale, shift and running statistics of a batch normalisation.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    gamma: Var,
    beta: Var,
    mean: Var,
    var: Var,
    eps: f64,
    momentum: f64,
}

impl BatchNorm {
    /// `momentum` is the weight of a new batch in the running statistics (PyTorch's convention).
    pub(super) fn new(scope: &mut Scope, channels: usize, eps: f64, momentum: f64) -> Result<Self> {
        Ok(Self {
            gamma: scope.parameter("weight", &[channels], Init::Ones)?,
            beta: scope.parameter("bias", &[channels], Init::Zeros)?,
            mean: scope.buffer("running_mean", &[channels], 0.0)?,
            var: scope.buffer("running_var", &[channels], 1.0)?,
            eps,
            momentum,
        })
    }

    /// Adds the statistics of a batch of `count` values for each channel. The running variance averages the unbiased
    /// estimate.
    fn update(&self, stats: &Stats, count: usize) -> Result<()> {
        let unbiased = count as f64 / (count.max(2) - 1) as f64;
        let blend = |running: &Var, batch: &Tensor, scale: f64| -> Result<()> {
            let old = (running.as_detached_tensor() * (1.0 - self.momentum))?;
            Ok(running.set(&(old + (batch * (self.momentum * scale))?)?)?)
        };
        blend(&self.mean, &stats.mean, 1.0)?;
        blend(&self.var, &stats.var, unbiased)
    }

    /// Normalises the last dimension of `x`, followed by ReLU if `relu` is set.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(&self, x: &Activation, mode: Mode, relu: bool) -> Result<Activation> {
        let (gamma, beta) = (mode.operand(&self.gamma), mode.operand(&self.beta));
        let (mean, var) = (self.mean.as_detached_tensor(), self.var.as_detached_tensor());
        let bn = BnParams { gamma: &gamma, beta: &beta, eps: self.eps, norm: norm(mode, &mean, &var) };
        let (y, stats) = x.batch_norm(bn, relu)?;
        if let Some(stats) = stats.filter(|_| mode == Mode::Train) {
            self.update(&stats, x.elem_count() / x.dims().last().copied().unwrap_or(1).max(1))?;
        }
        Ok(y)
    }
}

fn norm<'a>(mode: Mode, mean: &'a Tensor, var: &'a Tensor) -> Norm<'a> {
    match mode {
        Mode::Train | Mode::InferBatch => Norm::Train,
        Mode::Frozen | Mode::Infer => Norm::Eval { mean, var },
    }
}

/// A convolution and its batch normalisation.
#[derive(Clone, Debug)]
pub struct ConvBn {
    conv: Conv2d,
    bn: BatchNorm,
}

impl ConvBn {
    pub(super) fn new(conv: Conv2d, bn: BatchNorm) -> Self {
        Self { conv, bn }
    }

    /// `act(bn(conv(x)) + residual)`, where `act` is ReLU if `relu` is set, otherwise the identity.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(&self, x: &Activation, mode: Mode, residual: Option<&Activation>, relu: bool) -> Result<Activation> {
        let Self { conv, bn } = self;
        let (weight, bias) = (mode.operand(&conv.weight), conv.bias.as_ref().map(|bias| mode.operand(bias)));
        let (gamma, beta) = (mode.operand(&bn.gamma), mode.operand(&bn.beta));
        let (mean, var) = (bn.mean.as_detached_tensor(), bn.var.as_detached_tensor());
        let params = ConvParams { weight: &weight, bias: bias.as_ref(), geometry: conv.geometry(x)? };
        let norm = BnParams { gamma: &gamma, beta: &beta, eps: bn.eps, norm: norm(mode, &mean, &var) };
        let (y, stats) = x.conv_bn(params, norm, residual, relu)?;
        if let Some(stats) = stats.filter(|_| mode == Mode::Train) {
            let [n, height, width, _] = y.dims4()?;
            bn.update(&stats, n * height * width)?;
        }
        Ok(y)
    }
}

/// A linear map with bias.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Var,
    bias: Var,
}

impl Linear {
    pub(super) fn new(scope: &mut Scope, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Self {
            weight: scope.parameter("weight", &[outputs, inputs], Init::GlorotUniform)?,
            bias: scope.parameter("bias", &[outputs], Init::Zeros)?,
        })
    }

    /// `[N, I]` to `[N, O]`, followed by ReLU if `relu` is set.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(&self, x: &Tensor, mode: Mode, relu: bool) -> Result<Tensor> {
        let (weight, bias) = (mode.operand(&self.weight), mode.operand(&self.bias));
        Activation::new(x)?.linear(&weight, Some(&bias), relu)?.into_tensor()
    }
}
