//! The layers' arithmetic: convolution, batch normalisation, linear maps and pooling, forward and backward.
//!
//! Layers are methods of [`Activation`] (`layer`), which check shapes and choose an implementation: the CPU kernels of
//! this folder, or `candle`, made of candle's own operations, which runs on every device. The functions of this file are
//! the same layers one at a time, tensors in and tensors out; a network that stays with [`Activation`] between its layers
//! trains faster, because its backward pass is one operation (`chain`).
//!
//! On the CPU: `strip` is the one matrix product, written once for each instruction set (`simd`) and chosen at run time.
//! `plan` cuts a convolution into units that fit the cache, `convolve` and `convolve_grad` run it over them, `tile` holds
//! padded copies; `winograd` computes a unit of 3x3 windows and many channels with fewer products, by the transforms of
//! `transform`. `channel` and `normalise` are the passes of batch normalisation. Sums are split by sizes alone and added in
//! a fixed order: the result does not depend on the number of threads. The only `unsafe` code of the crate is here.
//!
//! Layouts: activations `[N, H, W, C]` float32, convolution weights `[out, in, height, width]`, linear weights `[out, in]`.

mod activation;
mod buffer;
mod candle;
mod chain;
mod channel;
#[cfg(test)]
mod channel_test;
mod convolve;
mod convolve_grad;
#[cfg(test)]
mod convolve_test;
mod cpu;
mod geometry;
mod in_place;
mod layer;
#[cfg(test)]
mod layer_test;
mod nearest;
mod normalise;
mod plan;
mod pooling;
mod simd;
mod source;
mod strip;
#[cfg(test)]
mod test_support;
mod tile;
mod transform;
mod winograd;

use candle_core::Tensor;

pub use activation::Activation;
pub use geometry::Geometry;
pub use in_place::in_place;
pub use nearest::nearest;

use super::Result;

/// Where batch normalisation takes its statistics from.
#[derive(Clone, Copy, Debug)]
pub enum Norm<'a> {
    /// From the batch itself; gradients flow through them.
    Train,
    /// From running averages, `[C]` each.
    Eval {
        /// Running mean.
        mean: &'a Tensor,
        /// Running variance.
        var: &'a Tensor,
    },
}

/// Statistics of one batch, detached from the graph.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Mean of each channel, `[C]`.
    pub mean: Tensor,
    /// Biased variance of each channel, `[C]`.
    pub var: Tensor,
}

/// [`Activation::conv2d`] of a tensor.
///
/// # Errors
/// If the shapes do not fit.
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, g: &Geometry) -> Result<Tensor> {
    Activation::new(x)?.conv2d(weight, bias, g)?.into_tensor()
}

/// [`Activation::conv_bn`] of tensors.
///
/// # Errors
/// If the shapes do not fit.
#[expect(
    clippy::too_many_arguments,
    reason = "one fused operation: the operands of convolution, normalisation and sum"
)]
pub fn conv_bn(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    g: &Geometry,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f64,
    norm: Norm,
    residual: Option<&Tensor>,
    relu: bool,
) -> Result<(Tensor, Option<Stats>)> {
    let residual = residual.map(Activation::new).transpose()?;
    let x = Activation::new(x)?;
    let (y, stats) = x.conv_bn(weight, bias, g, gamma, beta, eps, norm, residual.as_ref(), relu)?;
    Ok((y.into_tensor()?, stats))
}

/// [`Activation::batch_norm`] of a tensor.
///
/// # Errors
/// If the shapes do not fit.
pub fn batch_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f64,
    norm: Norm,
    relu: bool,
) -> Result<(Tensor, Option<Stats>)> {
    let (y, stats) = Activation::new(x)?.batch_norm(gamma, beta, eps, norm, relu)?;
    Ok((y.into_tensor()?, stats))
}

/// [`Activation::linear`] of a tensor.
///
/// # Errors
/// If the shapes do not fit.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, relu: bool) -> Result<Tensor> {
    Activation::new(x)?.linear(weight, bias, relu)?.into_tensor()
}

/// [`Activation::max_pool2d`] of a tensor.
///
/// # Errors
/// If `x` is smaller than the window, or `padding >= kernel`.
pub fn max_pool2d(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    Activation::new(x)?.max_pool2d(kernel, stride, padding)?.into_tensor()
}

/// [`Activation::upsample_nearest2x`] of a tensor.
///
/// # Errors
/// If `x` is not of rank 4.
pub fn upsample_nearest2x(x: &Tensor) -> Result<Tensor> {
    Activation::new(x)?.upsample_nearest2x()?.into_tensor()
}

/// [`Activation::global_avg_pool`] of a tensor.
///
/// # Errors
/// If `x` is not of rank 4.
pub fn global_avg_pool(x: &Tensor) -> Result<Tensor> {
    Activation::new(x)?.global_avg_pool()?.into_tensor()
}
