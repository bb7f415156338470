//! Supervised contrast: all views of one label attract each other.

use std::ops::Range;

use candle_core::Tensor;

use super::{
    PseudoLabels,
    kind::Loss,
    pairs::{MASKED, log_sum_exp, normalize, table},
};
use crate::ml::Result;

/// The losses of the rows `rows`, `[R]`.
pub(super) fn rows(z: &Tensor, rows: Range<usize>, loss: &Loss, labels: Option<&PseudoLabels>) -> Result<Tensor> {
    let images = loss.images(z, labels)?;
    let z = normalize(z)?;
    let (length, views) = (rows.len(), loss.views * images);
    let logits = (z.narrow(0, rows.start, length)?.matmul(&z.t()?)? / loss.temperature)?;
    let attracts = |i: usize, j: usize| {
        let same = i % images == j % images || labels.is_some_and(|labels| labels.same(i % images, j % images));
        f32::from(u8::from(same && i != j))
    };
    let mut shares = table(rows.clone(), views, attracts);
    for row in shares.chunks_mut(views) {
        let count: f32 = row.iter().sum();
        row.iter_mut().for_each(|share| *share /= count);
    }
    let itself = table(rows, views, |i, j| if i == j { MASKED } else { 0.0 });
    let matrix = |values: Vec<f32>| Tensor::from_vec(values, (length, views), z.device());
    let attraction = (&logits * matrix(shares)?)?.sum(1)?;
    Ok((log_sum_exp(&(logits + matrix(itself)?)?)? - attraction)?)
}
