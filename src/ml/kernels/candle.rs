//! The layers as candle's own differentiable operations. They run on every device, and tests compare the faster kernels
//! with them.
//!
//! candle's `conv2d` is avoided: its backward pass is slow and wrong for stride 2 on rectangles. A convolution here
//! gathers the windows and takes one matrix product, which keeps activations channels-last.

use candle_core::{D, Tensor};

use super::{BnParams, ConvParams, Norm, Stats};
use crate::ml::Result;

pub(super) fn conv2d(x: &Tensor, conv: ConvParams) -> Result<Tensor> {
    let ConvParams { weight, bias, geometry: g } = conv;
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
    let y = add_bias(patches.matmul(&matrix)?, bias)?;
    Ok(y.reshape((n, out_height, out_width, outputs))?)
}

/// Every window of `x` `[N, H, W, C]`: `[N, H', W', k, k, C]`. `source(out, tap)` is the row or column that a tap
/// reads.
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

pub(super) fn conv_bn(
    x: &Tensor,
    conv: ConvParams,
    bn: BnParams,
    residual: Option<&Tensor>,
    relu: bool,
) -> Result<(Tensor, Option<Stats>)> {
    let (y, stats) = batch_norm(&conv2d(x, conv)?, bn, relu && residual.is_none())?;
    let y = match residual {
        Some(residual) if relu => rectify(&(y + residual)?)?,
        Some(residual) => (y + residual)?,
        None => y,
    };
    Ok((y, stats))
}

pub(super) fn batch_norm(x: &Tensor, bn: BnParams, relu: bool) -> Result<(Tensor, Option<Stats>)> {
    let BnParams { gamma, beta, eps, norm } = bn;
    let channels = x.dim(D::Minus1)?;
    let rows = x.reshape(((), channels))?;
    let count = rows.dim(0)?;
    let (mean, var, centred) = match norm {
        Norm::Train => {
            let mean = row_mean(&rows)?;
            let centred = (&rows - repeat(&mean, count)?)?;
            let var = row_mean(&centred.sqr()?)?;
            (mean, var, centred)
        }
        Norm::Eval { mean, var } => {
            let (mean, var) = (mean.reshape((1, channels))?, var.reshape((1, channels))?);
            let centred = (&rows - repeat(&mean, count)?)?;
            (mean, var, centred)
        }
    };
    let scale = (gamma.reshape((1, channels))? / (&var + eps)?.sqrt()?)?;
    let y = ((centred * repeat(&scale, count)?)? + repeat(&beta.reshape((1, channels))?, count)?)?;
    let y = if relu { rectify(&y)? } else { y };
    let stats = match norm {
        Norm::Train => Some(Stats { mean: mean.detach().squeeze(0)?, var: var.detach().squeeze(0)? }),
        Norm::Eval { .. } => None,
    };
    Ok((y.reshape(x.dims())?, stats))
}

// candle computes reductions over leading dimensions, and the sums in the backward pass of a broadcast, element by
// element. A product with a vector of ones gives the same at the speed of a matrix product, forward and backward.

/// The mean of the rows of `[M, C]`: `[1, C]`.
fn row_mean(rows: &Tensor) -> Result<Tensor> {
    let count = rows.dim(0)?;
    let ones = Tensor::ones((1, count), rows.dtype(), rows.device())?;
    Ok((ones.matmul(rows)? / count as f64)?)
}

/// `[1, C]` repeated: `[M, C]`.
fn repeat(row: &Tensor, count: usize) -> Result<Tensor> {
    Ok(Tensor::ones((count, 1), row.dtype(), row.device())?.matmul(row)?)
}

fn add_bias(rows: Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (count, channels) = rows.dims2()?;
    match bias {
        Some(bias) => Ok((rows + repeat(&bias.reshape((1, channels))?, count)?)?),
        None => Ok(rows),
    }
}

/// ReLU with gradient 0 at 0, as in PyTorch; candle's own ReLU has 1 there.
fn rectify(x: &Tensor) -> Result<Tensor> {
    let positive = x.detach().relu()?.sign()?;
    Ok((x * positive)?)
}

pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, relu: bool) -> Result<Tensor> {
    let y = add_bias(x.matmul(&weight.t()?)?, bias)?;
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
    let pixels = height * width;
    let ones = Tensor::ones((n, 1, pixels), x.dtype(), x.device())?;
    Ok((ones.matmul(&x.reshape((n, pixels, channels))?)?.squeeze(1)? / pixels as f64)?)
}
