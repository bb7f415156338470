//! The spread of features, which shows a collapsed representation.

use linfa_linalg::eigh::EigValshInto;
use ndarray::{Array2, ArrayView2, Axis, s};

use crate::ml::{
    Error, Result,
    features::{Normalize, moments},
};

/// Further rows are ignored: the rank of this many is meaningful, and its cost grows with their cube.
const ROWS: usize = 512;

/// The mean over the columns of the standard deviation of `features` `[N, D]` scaled to rows of length 1, times the
/// root of D (Chen and He 2021, figure 2): 1 for directions spread evenly over the sphere, 0 for collapsed ones.
#[must_use]
pub fn feature_std(features: ArrayView2<'_, f32>) -> f64 {
    let (_, variance) = moments(Normalize::L2.apply(features).view());
    let width = variance.len().max(1) as f64;
    variance.iter().map(|variance| variance.sqrt()).sum::<f64>() / width * width.sqrt()
}

/// The effective rank of `features` `[N, D]` around their mean (Roy and Vetterli 2007): the exponential of the entropy
/// of the singular values, as shares of their sum. It is between 1 and the rank, and 0 if all rows are equal. Only the
/// first 512 rows count.
///
/// # Errors
/// If there are no features, or a value is not finite.
pub fn effective_rank(features: ArrayView2<'_, f32>) -> Result<f64> {
    crate::ml::features::check(features)?;
    let mut centred = features.slice(s![..features.nrows().min(ROWS), ..]).mapv(f64::from);
    let mean = centred.mean_axis(Axis(0)).unwrap_or_default();
    centred -= &mean;
    // The singular values are the roots of the eigenvalues of either product with the transpose; the smaller product is
    // taken.
    let (rows, columns) = centred.dim();
    let gram: Array2<f64> = if rows < columns { centred.dot(&centred.t()) } else { centred.t().dot(&centred) };
    let largest = gram.diag().iter().copied().fold(0.0, f64::max);
    // Rounding errors of equal rows are not directions.
    if largest <= f64::from(f32::EPSILON).powi(2) * mean.iter().map(|m| m * m).sum::<f64>() * rows as f64 {
        return Ok(0.0);
    }
    let values = gram.eigvalsh_into().map_err(|error| Error::Invalid(error.to_string()))?;
    let most = values.iter().copied().fold(0.0, f64::max);
    let singular: Vec<f64> = values.iter().filter(|&&v| v > 1e-14 * most).map(|v| v.sqrt()).collect();
    let sum: f64 = singular.iter().sum();
    let entropy: f64 = singular.iter().map(|value| value / sum).map(|share| -share * share.ln()).sum();
    Ok(entropy.exp())
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::ml::rng::Stream;

    #[test]
    fn equal_axes_have_their_number_as_rank() -> Result<()> {
        // Plus and minus each of three axes, in five columns.
        let axes = Array2::from_shape_fn((6, 5), |(i, j)| if i / 2 == j { 1.0 - 2.0 * (i % 2) as f32 } else { 0.0 });
        assert!((effective_rank(axes.view())? - 3.0).abs() < 1e-9);
        let wide = Array2::from_shape_fn((4, 9), |(i, j)| if i / 2 == j { 1.0 - 2.0 * (i % 2) as f32 } else { 0.0 });
        assert!((effective_rank(wide.view())? - 2.0).abs() < 1e-9);
        // Singular values 3 and 1: entropy of (3/4, 1/4).
        let two = ndarray::array![[3.0_f32, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]];
        let entropy = -(0.75f64 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
        assert!((effective_rank(two.view())? - entropy.exp()).abs() < 1e-9);
        Ok(())
    }

    #[test]
    fn collapse_is_seen() -> Result<()> {
        let equal = Array2::from_shape_fn((40, 8), |(_, j)| 0.1 + j as f32);
        assert_eq!((effective_rank(equal.view())?, feature_std(equal.view()) < 1e-6), (0.0, true));
        let line = Array2::from_shape_fn((40, 8), |(i, j)| i as f32 * (j + 1) as f32);
        assert!((effective_rank(line.view())? - 1.0).abs() < 1e-3, "{}", effective_rank(line.view())?);
        let mut stream = Stream::new(0, "spread");
        let wide = Array2::from_shape_simple_fn((2000, 16), || stream.normal());
        assert!((feature_std(wide.view()) - 1.0).abs() < 0.02);
        assert!(effective_rank(wide.view())? > 15.8);
        assert!(effective_rank(Array2::zeros((0, 3)).view()).is_err());
        Ok(())
    }
}
