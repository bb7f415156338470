//! The layers' arithmetic: convolution, batch normalisation, linear maps and pooling, forward and backward.
//!
//! Every layer goes through the functions of this file. They check shapes, then choose an implementation;
//! `candle` holds the one made of candle's own operations, which runs on every device.
//!
//! Layouts: activations `[N, H, W, C]` float32, convolution weights `[out, in, height, width]`, linear weights `[out, in]`.

mod candle;
mod convolve;
mod convolve_grad;
#[cfg(test)]
mod convolve_test;
mod geometry;
mod plan;
mod simd;
mod strip;
#[cfg(test)]
mod test_support;
mod tile;

use candle_core::Tensor;

pub use geometry::Geometry;

use super::{Error, Result};

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

/// Convolution of `x` `[N, H, W, C]` with `weight` `[O, C, k, k]` and `bias` `[O]`: `[N, H', W', O]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, g: &Geometry) -> Result<Tensor> {
    check_conv(x, weight, bias, g)?;
    candle::conv2d(x, weight, bias, g)
}

/// `act(bn(conv(x)) + residual)`: `[N, H', W', O]`, and the statistics of the batch when `norm` is [`Norm::Train`].
///
/// `gamma` and `beta` are `[O]`; `residual` has the shape of the result; `act` is ReLU if `relu`, else the identity.
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
    let channels = check_conv(x, weight, bias, g)?;
    check_norm(channels, gamma, beta, norm)?;
    candle::conv_bn(x, weight, bias, g, gamma, beta, eps, norm, residual, relu)
}

/// Batch normalisation over all but the last dimension of `x` `[…, C]`, with ReLU behind it if `relu`.
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
    check_norm(x.dims().last().copied().unwrap_or(0), gamma, beta, norm)?;
    candle::batch_norm(x, gamma, beta, eps, norm, relu)
}

/// `act(x weight^T + bias)` of `x` `[N, I]`, `weight` `[O, I]`, `bias` `[O]`: `[N, O]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, relu: bool) -> Result<Tensor> {
    let ((_, inputs), (outputs, expected)) = (x.dims2()?, weight.dims2()?);
    if inputs != expected {
        return Err(Error::Invalid(format!("linear: {inputs} features for weights of {expected} inputs")));
    }
    check_vector("bias", bias, outputs)?;
    candle::linear(x, weight, bias, relu)
}

/// Maximum over windows of `x` `[N, H, W, C]`; positions outside the image never win. The first maximum takes the gradient.
///
/// # Errors
/// If `x` is smaller than the window, or `padding >= kernel`.
pub fn max_pool2d(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    let (_, height, width, _) = x.dims4()?;
    if padding >= kernel.max(1) || height + 2 * padding < kernel || width + 2 * padding < kernel {
        return Err(Error::Invalid(format!("max pooling: a window of {kernel} does not fit {height}x{width} pixels")));
    }
    candle::max_pool2d(x, kernel, stride, padding)
}

/// Each pixel of `x` `[N, H, W, C]` twice along both axes: `[N, 2H, 2W, C]`.
///
/// # Errors
/// If `x` is not of rank 4.
pub fn upsample_nearest2x(x: &Tensor) -> Result<Tensor> {
    candle::upsample_nearest2x(x)
}

/// The mean of each channel of `x` `[N, H, W, C]`: `[N, C]`.
///
/// # Errors
/// If `x` is not of rank 4.
pub fn global_avg_pool(x: &Tensor) -> Result<Tensor> {
    candle::global_avg_pool(x)
}

/// The number of output channels, if the shapes fit.
fn check_conv(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, g: &Geometry) -> Result<usize> {
    let ((_, height, width, channels), (outputs, inputs, rows, columns)) = (x.dims4()?, weight.dims4()?);
    if channels != inputs || rows != g.kernel || columns != g.kernel {
        let (want, got) = (weight.dims(), x.dims());
        return Err(Error::Invalid(format!("convolution: {want:?} weights, kernel {} and {got:?} inputs", g.kernel)));
    }
    if g.stride == 0 || g.output([height, width]).contains(&0) {
        return Err(Error::Invalid(format!("convolution: {height}x{width} pixels are too few for {g:?}")));
    }
    check_vector("bias", bias, outputs)?;
    Ok(outputs)
}

fn check_norm(channels: usize, gamma: &Tensor, beta: &Tensor, norm: Norm) -> Result<()> {
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
            Err(Error::Invalid(format!("{name}: {:?} values for {length} channels", vector.dims())))
        }
        _ => Ok(()),
    }
}
