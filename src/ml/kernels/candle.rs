//! The kernels made of candle's own differentiable operations: the fallback for every device, and the yardstick
//! that faster ones are compared with.
//!
//! candle's `conv2d` is avoided: its backward pass is slow and wrong for stride 2 on rectangles. A convolution here is
//! a gather of windows and one matrix product, which keeps activations channels-last throughout.

use candle_core::{D, Tensor};

use super::{Geometry, Norm, Stats};
use crate::ml::Result;

pub(super) fn conv2d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, g: &Geometry) -> Result<Tensor> {
    let (n, height, width, channels) = x.dims4()?;
    let (outputs, _, k, _) = weight.dims4()?;
    let [out_height, out_width] = g.output([height, width]);
    let patches = if k == 1 && g.stride == 1 && g.padding == [0; 4] {
        x.reshape((n * height * width, channels))?
    } else {
        let [top, bottom, left, right] = g.padding;
        let padded = x.pad_with_zeros(1, top, bottom)?.pad_with_zeros(2, left, right)?;
        windows(&padded, k, [out_height, out_width], |out, tap| out * g.stride + tap)?
            .reshape((n * out_height * out_width, k * k * channels))?
    };
    let matrix = weight.permute((0, 2, 3, 1))?.reshape((outputs, k * k * channels))?.t()?;
    let y = patches.matmul(&matrix)?;
    let y = match bias {
        Some(bias) => y.broadcast_add(bias)?,
        None => y,
    };
    Ok(y.reshape((n, out_height, out_width, outputs))?)
}

/// Every window of `x` `[N, H, W, C]`: `[N, H', W', k, k, C]`. `source(out, tap)` is the row or column that a tap reads.
fn windows(x: &Tensor, k: usize, out: [usize; 2], source: impl Fn(usize, usize) -> usize) -> Result<Tensor> {
    let (n, _, _, channels) = x.dims4()?;
    let index = |out: usize| -> Result<Tensor> {
        let taps: Vec<u32> =
            (0..out).flat_map(|o| (0..k).map(move |t| (o, t))).map(|(o, t)| source(o, t) as u32).collect();
        Ok(Tensor::from_vec(taps, out * k, x.device())?)
    };
    let [height, width] = out;
    let rows = x.contiguous()?.index_select(&index(height)?, 1)?;
    let both = rows.index_select(&index(width)?, 2)?;
    Ok(both.reshape(vec![n, height, k, width, k, channels])?.permute(vec![0, 1, 3, 2, 4, 5])?.contiguous()?)
}

#[expect(clippy::too_many_arguments, reason = "the signature of the dispatching function")]
pub(super) fn conv_bn(
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
    let (y, stats) = batch_norm(&conv2d(x, weight, bias, g)?, gamma, beta, eps, norm, relu && residual.is_none())?;
    let y = match residual {
        Some(residual) if relu => rectify(&(y + residual)?)?,
        Some(residual) => (y + residual)?,
        None => y,
    };
    Ok((y, stats))
}

pub(super) fn batch_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f64,
    norm: Norm,
    relu: bool,
) -> Result<(Tensor, Option<Stats>)> {
    let (centred, var, stats) = match norm {
        Norm::Train => {
            let mean = channel_mean(x)?;
            let centred = x.broadcast_sub(&mean)?;
            let var = channel_mean(&centred.sqr()?)?;
            let stats = Stats { mean: mean.detach(), var: var.detach() };
            (centred, var, Some(stats))
        }
        Norm::Eval { mean, var } => (x.broadcast_sub(mean)?, var.clone(), None),
    };
    let scale = (gamma / (var + eps)?.sqrt()?)?;
    let y = centred.broadcast_mul(&scale)?.broadcast_add(beta)?;
    Ok((if relu { rectify(&y)? } else { y }, stats))
}

/// Mean over all but the last dimension. Images first, then over images: shorter sums round less.
fn channel_mean(x: &Tensor) -> Result<Tensor> {
    let channels = x.dim(D::Minus1)?;
    let n = x.dim(0)?;
    Ok(x.reshape((n, (), channels))?.mean(1)?.mean(0)?)
}

/// ReLU with gradient 0 at 0, as in PyTorch; candle's own has 1 there.
pub(super) fn rectify(x: &Tensor) -> Result<Tensor> {
    let positive = x.detach().gt(0f32)?.to_dtype(x.dtype())?;
    Ok((x * positive)?)
}

pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, relu: bool) -> Result<Tensor> {
    let y = x.matmul(&weight.t()?)?;
    let y = match bias {
        Some(bias) => y.broadcast_add(bias)?,
        None => y,
    };
    if relu { rectify(&y) } else { Ok(y) }
}

pub(super) fn max_pool2d(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    let (n, height, width, channels) = x.dims4()?;
    let out = [height, width].map(|size| (size + 2 * padding - kernel) / stride + 1);
    // A tap outside the image reads the nearest pixel inside, which lies in the same window: the maximum is the same.
    let padded = if padding == 0 { x.clone() } else { replicate(x, padding)? };
    let taps = windows(&padded, kernel, out, |out, tap| out * stride + tap)?;
    let taps = taps.reshape((n, out[0], out[1], kernel * kernel, channels))?;
    let winner = taps.detach().argmax_keepdim(3)?;
    Ok(taps.gather(&winner, 3)?.squeeze(3)?)
}

/// `padding` copies of the border pixels around the image.
fn replicate(x: &Tensor, padding: usize) -> Result<Tensor> {
    let (_, height, width, _) = x.dims4()?;
    let index = |size: usize| -> Result<Tensor> {
        let source: Vec<u32> =
            (0..size + 2 * padding).map(|i| i.saturating_sub(padding).min(size - 1) as u32).collect();
        Ok(Tensor::from_vec(source, size + 2 * padding, x.device())?)
    };
    Ok(x.contiguous()?.index_select(&index(height)?, 1)?.index_select(&index(width)?, 2)?)
}

pub(super) fn upsample_nearest2x(x: &Tensor) -> Result<Tensor> {
    let (n, height, width, channels) = x.dims4()?;
    let doubled =
        x.reshape(vec![n, height, 1, width, 1, channels])?.broadcast_as(vec![n, height, 2, width, 2, channels])?;
    Ok(doubled.reshape((n, 2 * height, 2 * width, channels))?)
}

pub(super) fn global_avg_pool(x: &Tensor) -> Result<Tensor> {
    let (n, height, width, channels) = x.dims4()?;
    Ok(x.reshape((n, height * width, channels))?.mean(1)?)
}
