//! The layers as methods of an activation. Each checks the shapes and chooses an implementation.

use candle_core::Tensor;

use super::autograd::activation::{Activation, Repr};
use super::modules::{batch_norm, conv_bn, linear, pooling};
use super::{BnParams, ConvParams, Norm, Stats, candle};
use crate::ml::{Error, Result};

impl Activation {
    /// Convolution of `[N, H, W, C]`: `[N, H', W', O]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn conv2d(&self, conv: ConvParams) -> Result<Self> {
        self.check_conv(conv)?;
        match &self.0 {
            Repr::Tensor(x) => Ok(Self::by_candle(&candle::conv2d(x, conv)?)),
            Repr::Node(x) => linear::conv2d(x, conv),
        }
    }

    /// `act(bn(conv(x)) + residual)`: `[N, H', W', O]`, and the statistics of the batch when its norm is
    /// [`Norm::Train`].
    ///
    /// `residual` has the shape of the result; `act` is ReLU if `relu` is set, otherwise the identity.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn conv_bn(
        &self,
        conv: ConvParams,
        bn: BnParams,
        residual: Option<&Self>,
        relu: bool,
    ) -> Result<(Self, Option<Stats>)> {
        let out = self.check_conv(conv)?;
        check_norm(out[3], bn)?;
        if let Some(residual) = residual.filter(|residual| residual.dims() != out) {
            return Err(Error::Invalid(format!(
                "convolution: the residual has shape {:?}, but the result has {out:?}",
                residual.dims()
            )));
        }
        match (&self.0, residual.map(|residual| &residual.0)) {
            (Repr::Node(x), None) => conv_bn::conv_bn(x, conv, bn, None, relu),
            (Repr::Node(x), Some(Repr::Node(residual))) => conv_bn::conv_bn(x, conv, bn, Some(residual), relu),
            _ => {
                let x = self.clone().into_tensor()?;
                let residual = residual.map(|residual| residual.clone().into_tensor()).transpose()?;
                let (y, stats) = candle::conv_bn(&x, conv, bn, residual.as_ref(), relu)?;
                Ok((Self::by_candle(&y), stats))
            }
        }
    }

    /// Batch normalisation over all but the last dimension of `[…, C]`, followed by ReLU if `relu` is set.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn batch_norm(&self, bn: BnParams, relu: bool) -> Result<(Self, Option<Stats>)> {
        check_norm(self.dims().last().copied().unwrap_or(0), bn)?;
        match &self.0 {
            Repr::Tensor(x) => {
                let (y, stats) = candle::batch_norm(x, bn, relu)?;
                Ok((Self::by_candle(&y), stats))
            }
            Repr::Node(x) => batch_norm::batch_norm(x, bn, relu),
        }
    }

    /// `act(x weight^T + bias)` of `x` `[N, I]`, `weight` `[O, I]`, `bias` `[O]`: `[N, O]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn linear(&self, weight: &Tensor, bias: Option<&Tensor>, relu: bool) -> Result<Self> {
        let (outputs, expected) = weight.dims2()?;
        let &[rows, inputs] = self.dims() else {
            return Err(Error::Invalid(format!("linear: {:?} is not [N, features]", self.dims())));
        };
        if inputs != expected {
            return Err(Error::Invalid(format!(
                "linear: the input has {inputs} features, but the weights have {expected}"
            )));
        }
        check_vector("bias", bias, outputs)?;
        match &self.0 {
            Repr::Tensor(x) => Ok(Self::by_candle(&candle::linear(x, weight, bias, relu)?)),
            Repr::Node(x) => linear::linear(x, rows, weight, bias, relu),
        }
    }

    /// Maximum over windows of `[N, H, W, C]`; positions outside the image are ignored. The first maximum receives the
    /// gradient.
    ///
    /// # Errors
    /// If `x` is smaller than the window, or `padding >= kernel`.
    pub fn max_pool2d(&self, kernel: usize, stride: usize, padding: usize) -> Result<Self> {
        let [_, height, width, _] = self.dims4()?;
        if padding >= kernel.max(1) || height + 2 * padding < kernel || width + 2 * padding < kernel || stride == 0 {
            return Err(Error::Invalid(format!(
                "max pooling: a window of {kernel} does not fit {height}x{width} pixels"
            )));
        }
        match &self.0 {
            Repr::Tensor(x) => Ok(Self::by_candle(&candle::max_pool2d(x, kernel, stride, padding)?)),
            Repr::Node(x) => pooling::max_pool2d(x, kernel, stride, padding),
        }
    }

    /// Repeats each pixel of `[N, H, W, C]` twice along both axes: `[N, 2H, 2W, C]`.
    ///
    /// # Errors
    /// If it is not of rank 4.
    pub fn upsample_nearest2x(&self) -> Result<Self> {
        self.dims4()?;
        match &self.0 {
            Repr::Tensor(x) => Ok(Self::by_candle(&candle::upsample_nearest2x(x)?)),
            Repr::Node(x) => pooling::upsample_nearest2x(x),
        }
    }

    /// The mean of each channel of `[N, H, W, C]`: `[N, C]`.
    ///
    /// # Errors
    /// If it is not of rank 4.
    pub fn global_avg_pool(&self) -> Result<Self> {
        self.dims4()?;
        match &self.0 {
            Repr::Tensor(x) => Ok(Self::by_candle(&candle::global_avg_pool(x)?)),
            Repr::Node(x) => pooling::global_avg_pool(x),
        }
    }

    /// The dimensions of the output, if the shapes fit.
    fn check_conv(&self, conv: ConvParams) -> Result<[usize; 4]> {
        let ConvParams { weight, bias, geometry: g } = conv;
        let [n, height, width, channels] = self.dims4()?;
        let (outputs, inputs, rows, columns) = weight.dims4()?;
        if channels != inputs || rows != g.kernel || columns != g.kernel {
            let (want, got) = (weight.dims(), self.dims());
            let message = format!("convolution: weights {want:?} and kernel {} do not fit inputs {got:?}", g.kernel);
            return Err(Error::Invalid(message));
        }
        let too_few = || Error::Invalid(format!("convolution: {height}x{width} pixels are too few for {g:?}"));
        if g.stride == 0 {
            return Err(too_few());
        }
        let [out_height, out_width] = g.output([height, width]);
        if out_height == 0 || out_width == 0 {
            return Err(too_few());
        }
        check_vector("bias", bias, outputs)?;
        Ok([n, out_height, out_width, outputs])
    }
}

fn check_norm(channels: usize, bn: BnParams) -> Result<()> {
    let BnParams { gamma, beta, norm, .. } = bn;
    check_vector("gamma", Some(gamma), channels)?;
    check_vector("beta", Some(beta), channels)?;
    if let Norm::Eval { mean, var } = norm {
        check_vector("running mean", Some(mean), channels)?;
        check_vector("running variance", Some(var), channels)?;
    }
    Ok(())
}

fn check_vector(name: &str, vector: Option<&Tensor>, length: usize) -> Result<()> {
    match vector {
        Some(vector) if vector.dims() != [length] => {
            Err(Error::Invalid(format!("{name} has shape {:?}, but there are {length} channels", vector.dims())))
        }
        _ => Ok(()),
    }
}
