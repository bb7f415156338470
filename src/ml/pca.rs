//! Principal components, by subspace iteration (Halko, Martinsson and Tropp 2011, algorithm 4.4).
//!
//! It takes a few products with the matrix itself, and never computes the covariance of thousands of pixels.

use linfa_linalg::{eigh::EigSort, eigh::EighInto, qr::QRInto};
use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

use super::{Error, Result, rng::Stream};

/// Number of additional directions, which make the last requested ones accurate.
const OVERSAMPLING: usize = 10;
/// Number of products with the covariance. Each reduces the error of a direction by the ratio of variances.
const ITERATIONS: usize = 8;
/// Rows of one partial sum. It is fixed, so that sums do not depend on the number of threads.
const ROWS: usize = 512;

/// The scores of the rows of `centred` `[N, D]` (columns of mean 0) on their `count` principal components, largest
/// variance first: `[N, min(count, D)]`.
///
/// # Errors
/// [`Error::Invalid`] if the values are so large that products overflow.
pub fn scores(centred: ArrayView2<'_, f32>, count: usize, stream: &Stream) -> Result<Array2<f32>> {
    let width = centred.ncols();
    let count = count.min(width);
    let failed = |error: linfa_linalg::LinalgError| Error::Invalid(format!("no principal components: {error}"));
    let mut stream = stream.clone();
    let directions = (count + OVERSAMPLING).min(width);
    let mut basis = if directions == width {
        Array2::eye(width)
    } else {
        Array2::from_shape_simple_fn((width, directions), || f64::from(stream.normal()))
    };
    if directions < width {
        for _ in 0..ITERATIONS {
            basis = covariance_times(centred, &basis).qr_into().map_err(failed)?.generate_q();
        }
    }
    let small = basis.t().dot(&covariance_times(centred, &basis));
    if small.iter().any(|value| !value.is_finite()) {
        return Err(Error::Invalid("no principal components: the features are too large".into()));
    }
    let (_, vectors) = small.eigh_into().map_err(failed)?.sort_eig_desc();
    let axes = basis.dot(&vectors.slice(s![.., ..count])).mapv(|value| value as f32);
    let parts: Vec<Array2<f32>> =
        centred.axis_chunks_iter(Axis(0), ROWS).into_par_iter().map(|rows| rows.dot(&axes)).collect();
    let views: Vec<ArrayView2<'_, f32>> = parts.iter().map(Array2::view).collect();
    ndarray::concatenate(Axis(0), &views).map_err(|error| Error::Invalid(error.to_string()))
}

/// `X^T X B` of `X` `[N, D]` and `B` `[D, m]`: N times the covariance, times B.
fn covariance_times(centred: ArrayView2<'_, f32>, basis: &Array2<f64>) -> Array2<f64> {
    let basis = basis.mapv(|value| value as f32);
    let parts: Vec<Array2<f32>> =
        centred.axis_chunks_iter(Axis(0), ROWS).into_par_iter().map(|rows| rows.t().dot(&rows.dot(&basis))).collect();
    let mut sum = Array2::zeros(basis.dim());
    for part in parts {
        sum.zip_mut_with(&part, |sum, &part| *sum += f64::from(part));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Independent columns of falling deviation, rotated; their deviations.
    fn cloud(rows: usize, deviations: &[f32], width: usize) -> Array2<f32> {
        let mut stream = Stream::new(0, "pca");
        let hidden = Array2::from_shape_fn((rows, deviations.len()), |(_, j)| deviations[j] * stream.normal());
        let mixing = Array2::from_shape_simple_fn((width, deviations.len()), || f64::from(stream.normal()));
        let rotation = mixing.qr_into().unwrap().generate_q().mapv(|x| x as f32);
        let mut points = hidden.dot(&rotation.t());
        points -= &points.mean_axis(Axis(0)).unwrap();
        points
    }

    fn variance(scores: &Array2<f32>, column: usize) -> f32 {
        scores.column(column).iter().map(|x| x * x).sum::<f32>() / scores.nrows() as f32
    }

    #[test]
    fn the_components_have_the_variances_of_the_hidden_columns() -> Result<()> {
        let points = cloud(3000, &[5.0, 3.0, 1.0, 0.1], 40);
        let scores = scores(points.view(), 3, &Stream::new(1, "t"))?;
        assert_eq!(scores.dim(), (3000, 3));
        for (column, deviation) in [5.0_f32, 3.0, 1.0].into_iter().enumerate() {
            let found = variance(&scores, column).sqrt();
            assert!((found / deviation - 1.0).abs() < 0.05, "component {column}: {found}");
        }
        let product = scores.column(0).dot(&scores.column(1)) / 3000.0;
        assert!(product.abs() < 1e-3, "components are not correlated: {product}");
        Ok(())
    }

    #[test]
    fn few_columns_are_only_rotated() -> Result<()> {
        let points = cloud(200, &[2.0, 1.0], 3);
        let rotated = scores(points.view(), 50, &Stream::new(1, "t"))?;
        assert_eq!(rotated.dim(), (200, 3));
        let length = |m: &Array2<f32>| m.row(7).iter().map(|x| x * x).sum::<f32>();
        assert!((length(&rotated) - length(&points)).abs() < 1e-3);
        Ok(())
    }

    #[test]
    fn the_draw_of_directions_hardly_matters() -> Result<()> {
        let points = cloud(1000, &[3.0, 2.0, 1.0], 64);
        let one = scores(points.view(), 2, &Stream::new(1, "t"))?;
        let other = scores(points.view(), 2, &Stream::new(2, "t"))?;
        for (a, b) in one.iter().zip(&other) {
            assert!((a.abs() - b.abs()).abs() < 1e-2, "{a} and {b}");
        }
        Ok(())
    }
}
