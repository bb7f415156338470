//! Similarities of a batch of views, a block of rows at a time.

use std::ops::Range;

use candle_core::{D, Tensor};
use rayon::prelude::*;

use super::{PseudoLabels, kind::Loss};
use crate::ml::Result;

/// Replaces minus infinity in logits. Its exponential is zero, and gradients stay finite.
pub(super) const MASKED: f32 = -1e9;

/// Some rows of the similarities of all views, with the weight of each pair as a negative.
pub(super) struct Pairs {
    /// Cosines over the temperature, `[R, V B]`.
    pub(super) logits: Tensor,
    /// The same for each positive, `[R]`: one list for every other view of the row's image.
    pub(super) positives: Vec<Tensor>,
    /// Logarithms of the negatives' weights, `[R, V B]`; [`MASKED`] for pairs that are not negatives.
    bias: Tensor,
    /// Sum of the negatives' weights, `[R]`.
    pub(super) count: Tensor,
    /// 1 for a row with a negative, otherwise 0, `[R]`.
    pub(super) any: Tensor,
}

impl Pairs {
    /// The rows `rows` of the projections `z` `[V B, D]`.
    pub(super) fn new(z: &Tensor, rows: Range<usize>, loss: &Loss, labels: Option<&PseudoLabels>) -> Result<Self> {
        let images = loss.images(z, labels)?;
        let all = loss.views * images;
        let (z, start, length) = (normalize(z)?, rows.start, rows.len());
        let own = z.narrow(0, start, length)?;
        let logits = (own.matmul(&z.t()?)? / loss.temperature)?;
        let positive = |view: usize| -> Result<Tensor> {
            let (at, rest) = (view * images, all - view * images);
            let others = Tensor::cat(&[z.narrow(0, at, rest)?, z.narrow(0, 0, at)?], 0)?;
            Ok(((&own * others.narrow(0, start, length)?)?.sum(D::Minus1)? / loss.temperature)?)
        };
        let positives = (1..loss.views).map(positive).collect::<Result<_>>()?;
        let weight = |i: usize, j: usize| match labels {
            _ if i % images == j % images => 0.0,
            Some(labels) => labels.negative(i % images, j % images),
            None => 1.0,
        };
        let weights = table(rows, all, weight);
        let count: Vec<f32> = weights.par_chunks(all).map(|row| row.iter().sum()).collect();
        let any: Vec<f32> = count.iter().map(|&count| f32::from(u8::from(count > 0.0))).collect();
        let bias: Vec<f32> = weights.into_par_iter().map(|w| if w > 0.0 { w.ln() } else { MASKED }).collect();
        let vector = |values: Vec<f32>| Tensor::from_vec(values, length, z.device());
        let bias = Tensor::from_vec(bias, (length, all), z.device())?;
        Ok(Self { logits, positives, bias, count: vector(count)?, any: vector(any)? })
    }

    /// `log(w_ij) + tilt s_ij` of the negatives, `[R, V B]`; other pairs are masked.
    pub(super) fn negative_logits(&self, tilt: f64) -> Result<Tensor> {
        let logits = if tilt == 1.0 { self.logits.clone() } else { (&self.logits * tilt)? };
        Ok((logits + &self.bias)?)
    }
}

/// `value(i, j)` for i in `rows` and j below `columns`, row by row.
pub(super) fn table(rows: Range<usize>, columns: usize, value: impl Fn(usize, usize) -> f32 + Sync) -> Vec<f32> {
    let mut values = vec![0.0; rows.len() * columns];
    values.par_chunks_mut(columns).enumerate().with_min_len(32).for_each(|(row, values)| {
        values.iter_mut().enumerate().for_each(|(j, cell)| *cell = value(rows.start + row, j));
    });
    values
}

/// Rows scaled to length one.
///
/// # Errors
/// If `z` is not of rank 2.
pub fn normalize(z: &Tensor) -> Result<Tensor> {
    let norm = (z.sqr()?.sum_keepdim(D::Minus1)? + 1e-12)?.sqrt()?;
    Ok(z.broadcast_div(&norm)?)
}

/// `log(sum(exp(x)))` of each row.
pub(super) fn log_sum_exp(x: &Tensor) -> Result<Tensor> {
    let max = x.detach().max_keepdim(1)?;
    Ok((x.broadcast_sub(&max)?.exp()?.sum(1)?.log()? + max.squeeze(1)?)?)
}
