//! How good a contrastive representation is, beside its loss.

use candle_core::Tensor;
use rayon::prelude::*;

use super::normalize;
use crate::ml::Result;

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
    let z = normalize(&z.detach())?;
    let cosines = z.matmul(&z.t()?)?.to_vec2::<f32>()?;
    let (views, half) = (cosines.len(), cosines.len() / 2);
    let rows: Vec<(bool, f64, f64)> = cosines
        .par_iter()
        .enumerate()
        .map(|(i, row)| {
            let positive = row[(i + half) % views];
            let first = row.iter().enumerate().all(|(j, &c)| j == i || j == (i + half) % views || c < positive);
            // Squared distance of unit vectors: 2 - 2 cos. Each pair of one view once.
            let end = if i < half { half } else { views };
            let repulsion: f64 = row[i + 1..end].iter().map(|&c| (-4.0 + 4.0 * f64::from(c)).exp()).sum();
            (first, 2.0 - 2.0 * f64::from(positive), repulsion)
        })
        .collect();
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
