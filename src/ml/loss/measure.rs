//! How good a contrastive representation is, beside its loss.

use candle_core::Tensor;
use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use super::normalize;
use crate::ml::{Error, Result};

/// Rows whose cosines are one product.
const BLOCK: usize = 64;

/// Measures of a batch of views.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// Share of views whose positive is nearer than every other view.
    pub top1: f64,
    /// Mean squared distance of positives (Wang and Isola 2020); smaller is better.
    pub alignment: f64,
    /// `log mean exp(-2 ||x - y||^2)` over the pairs of one view, the mean of both views (Wang and Isola 2020);
    /// smaller is better.
    pub uniformity: f64,
}

/// The measures of projections `z` `[2B, D]`; rows `i` and `i + B` are two views of one image.
///
/// # Errors
/// If `z` is not of rank 2.
pub fn measure(z: &Tensor) -> Result<Measures> {
    let (views, width) = z.dims2()?;
    let half = views / 2;
    let z = normalize(&z.detach())?.flatten_all()?.to_vec1::<f32>()?;
    let z = ArrayView2::from_shape((views, width), &z).map_err(|error| Error::Invalid(error.to_string()))?;
    // Rows are taken in blocks, so that the whole table of cosines is never in memory.
    let blocks: Vec<Vec<(bool, f64, f64)>> = z
        .axis_chunks_iter(Axis(0), BLOCK)
        .into_par_iter()
        .enumerate()
        .map(|(block, rows)| {
            let cosines = rows.dot(&z.t());
            let of = |(row, cosines): (usize, ndarray::ArrayView1<'_, f32>)| {
                let i = block * BLOCK + row;
                let partner = (i + half) % views;
                let positive = cosines[partner];
                let first = cosines.iter().enumerate().all(|(j, &c)| j == i || j == partner || c < positive);
                // Squared distance of unit vectors: 2 - 2 cos. Each pair of one view once.
                let end = if i < half { half } else { views };
                let repulsion: f64 =
                    cosines.iter().take(end).skip(i + 1).map(|&c| (-4.0 + 4.0 * f64::from(c)).exp()).sum();
                (first, 2.0 - 2.0 * f64::from(positive), repulsion)
            };
            cosines.rows().into_iter().enumerate().map(of).collect()
        })
        .collect();
    let rows = blocks.concat();
    let mean = |value: fn(&(bool, f64, f64)) -> f64| rows.iter().map(value).sum::<f64>() / views as f64;
    let pairs = (half * half.saturating_sub(1) / 2) as f64;
    let spread = |rows: &[(bool, f64, f64)]| (rows.iter().map(|row| row.2).sum::<f64>() / pairs).ln();
    Ok(Measures {
        top1: mean(|row| f64::from(u8::from(row.0))),
        alignment: mean(|row| row.1),
        uniformity: (spread(&rows[..half]) + spread(&rows[half..])) / 2.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn perfect_pairs_on_axes() -> Result<()> {
        let z = Tensor::new(&[[1f32, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 1.0]], &Device::Cpu)?;
        let measures = measure(&z)?;
        assert!(measures.top1 == 1.0 && measures.alignment.abs() < 1e-6);
        assert!((measures.uniformity + 4.0).abs() < 1e-6, "two axes are sqrt(2) apart");
        Ok(())
    }

    /// Equal projections rank nothing first: a collapsed encoder does not look perfect.
    #[test]
    fn collapse_is_not_success() -> Result<()> {
        let z = Tensor::new(&[[1f32, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]], &Device::Cpu)?;
        let measures = measure(&z)?;
        assert_eq!((measures.top1, measures.uniformity), (0.0, 0.0));
        Ok(())
    }
}
