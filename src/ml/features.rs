//! Feature matrices, one row for each image, and their scaling.

use std::collections::HashSet;

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Error, Result};

/// How features are scaled before distances are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// As they are.
    #[default]
    None,
    /// Every row to unit Euclidean length, so that distances depend on angles alone.
    L2,
    /// Every column to mean 0 and standard deviation 1.
    Standardize,
}

impl Normalize {
    /// A scaled copy of `features` `[N, D]`. Rows of length 0 and constant columns become 0.
    #[must_use]
    pub fn apply(self, features: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut out = features.as_standard_layout().into_owned();
        match self {
            Self::None => {}
            Self::L2 => out.axis_iter_mut(Axis(0)).into_par_iter().for_each(|mut row| {
                let norm = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
                if norm > 0.0 {
                    row.mapv_inplace(|x| (f64::from(x) / norm) as f32);
                }
            }),
            Self::Standardize => Scaler::fit(features).apply(&mut out),
        }
        out
    }
}

/// Mean and standard deviation of every column.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaler {
    /// Means, `[D]`.
    pub mean: Vec<f64>,
    /// Population standard deviations, `[D]`; for a constant column 1, or the rounding error of its value if that is
    /// larger.
    pub deviation: Vec<f64>,
}

impl Scaler {
    /// The statistics of `features` `[N, D]`.
    #[must_use]
    pub fn fit(features: ArrayView2<'_, f32>) -> Self {
        let (mean, variance) = moments(features);
        // The variance of a constant column consists of rounding errors, and dividing by them would turn it into noise.
        let floor = |m: f64| (f64::from(f32::EPSILON) * m.abs()).powi(2);
        let constant = |m: f64| floor(m).sqrt().max(1.0);
        let deviation =
            mean.iter().zip(&variance).map(|(&m, &v)| if v <= floor(m) { constant(m) } else { v.sqrt() }).collect();
        Self { mean, deviation }
    }

    /// Scales `features` `[N, D]` in place.
    pub fn apply(&self, features: &mut Array2<f32>) {
        features.axis_iter_mut(Axis(0)).into_par_iter().for_each(|mut row| {
            for ((x, mean), deviation) in row.iter_mut().zip(&self.mean).zip(&self.deviation) {
                *x = ((f64::from(*x) - mean) / deviation) as f32;
            }
        });
    }
}

/// Mean and population variance of every column of `features` `[N, D]`, in double precision.
#[must_use]
pub fn moments(features: ArrayView2<'_, f32>) -> (Vec<f64>, Vec<f64>) {
    let n = features.nrows().max(1) as f64;
    let sum = |term: &(dyn Fn(f64, f64) -> f64 + Sync), centre: &[f64]| {
        // Chunks are fixed and added in order, so the sum does not depend on the number of threads.
        let partial: Vec<Vec<f64>> = features
            .axis_chunks_iter(Axis(0), 1024)
            .into_par_iter()
            .map(|chunk| {
                let mut sums = vec![0.0; centre.len()];
                for row in chunk.rows() {
                    for ((s, &x), &c) in sums.iter_mut().zip(row).zip(centre) {
                        *s += term(f64::from(x), c);
                    }
                }
                sums
            })
            .collect();
        let mut total = vec![0.0; centre.len()];
        for sums in partial {
            for (t, s) in total.iter_mut().zip(sums) {
                *t += s;
            }
        }
        total.iter().map(|t| t / n).collect::<Vec<f64>>()
    };
    let mean = sum(&|x, _| x, &vec![0.0; features.ncols()]);
    let variance = sum(&|x, c| (x - c) * (x - c), &mean);
    (mean, variance)
}

/// Refuses features that are empty or hold a value that is not finite.
pub(crate) fn check(features: ArrayView2<'_, f32>) -> Result<()> {
    if features.is_empty() {
        let (rows, columns) = features.dim();
        return Err(Error::Invalid(format!("there are no features: {rows} rows of {columns} columns")));
    }
    let broken = |row: &ArrayView1<'_, f32>| row.iter().copied().find(|value| !value.is_finite());
    match features.rows().into_iter().enumerate().find_map(|(row, values)| Some((row, broken(&values)?))) {
        Some((row, value)) => Err(Error::NotFinite { what: format!("the features of row {row}"), value: value.into() }),
        None => Ok(()),
    }
}

/// Largest values between which squared distances of features neither overflow nor vanish in single precision.
const ORDINARY: std::ops::RangeInclusive<f32> = 1e-9..=1e12;

/// The power of two by which `features` must be multiplied before squared distances are computed in single precision.
/// It is 1 for ordinary features, and otherwise makes the largest value less than 1. Multiplying by it loses no digits.
pub(crate) fn distance_scale(features: ArrayView2<'_, f32>) -> f64 {
    let largest = features.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    if largest == 0.0 || !largest.is_finite() || ORDINARY.contains(&largest) {
        return 1.0;
    }
    f64::from(largest).log2().ceil().exp2().recip()
}

/// Multiplies `features` by a [`distance_scale`].
pub(crate) fn rescale(features: &mut Array2<f32>, scale: f64) {
    if scale != 1.0 {
        features.par_mapv_inplace(|value| (f64::from(value) * scale) as f32);
    }
}

/// The number of different rows, counted up to `enough`.
#[must_use]
pub fn distinct_rows(features: ArrayView2<'_, f32>, enough: usize) -> usize {
    let mut seen = HashSet::new();
    for row in features.rows() {
        if seen.len() == enough {
            break;
        }
        // 0 and -0 are equal.
        seen.insert(row.iter().map(|value| (value + 0.0).to_bits()).collect::<Vec<u32>>());
    }
    seen.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn standardised_columns_have_mean_zero_and_deviation_one() {
        let scaled = Normalize::Standardize.apply(array![[1.0, 5.0], [3.0, 5.0], [5.0, 5.0]].view());
        let edge = (1.5_f32).sqrt();
        for (value, expected) in scaled.iter().zip([-edge, 0.0, 0.0, 0.0, edge, 0.0]) {
            assert!((value - expected).abs() < 1e-6, "{scaled}");
        }
    }

    #[test]
    fn a_constant_column_stays_zero_whatever_its_rounding() {
        let column = Array2::from_elem((1000, 1), 0.1_f32);
        assert!(Normalize::Standardize.apply(column.view()).iter().all(|x| x.abs() < 1e-6));
    }

    #[test]
    fn l2_rows_have_length_one() {
        let scaled = Normalize::L2.apply(array![[3.0, 4.0], [0.0, 0.0]].view());
        assert_eq!(scaled, array![[0.6, 0.8], [0.0, 0.0]]);
    }

    #[test]
    fn a_large_constant_column_is_no_noise() {
        let column = Array2::from_elem((1000, 1), 1.1e30_f32);
        assert!(Normalize::Standardize.apply(column.view()).iter().all(|x| x.abs() < 1e-6));
    }

    #[test]
    fn ordinary_features_keep_their_scale_and_extreme_ones_fit() {
        for ordinary in [0.0, 1e-9, 1.0, 1e12] {
            assert_eq!(distance_scale(array![[ordinary, 0.0]].view()), 1.0);
        }
        for extreme in [f32::MAX, -1e25, 3e-30, 1e-45] {
            let mut features = array![[extreme, extreme / 2.0]];
            let scale = distance_scale(features.view());
            rescale(&mut features, scale);
            assert!(features[[0, 0]].abs() <= 1.0 && features[[0, 0]].abs() >= 0.5, "{extreme}: {features}");
            assert_eq!(f64::from(features[[0, 0]]) / scale, f64::from(extreme));
        }
    }

    #[test]
    fn distinct_rows_are_counted_as_far_as_asked() {
        let rows = array![[0.0, 1.0], [-0.0, 1.0], [2.0, 1.0], [0.0, 1.0], [3.0, 1.0]];
        assert_eq!([2, 9].map(|enough| distinct_rows(rows.view(), enough)), [2, 3]);
    }

    #[test]
    fn a_value_that_is_not_finite_is_refused() {
        assert!(check(array![[0.0, 1.0]].view()).is_ok());
        assert!(check(array![[0.0, 1.0], [f32::NAN, 0.0]].view()).unwrap_err().to_string().contains("row 1"));
        assert!(check(Array2::zeros((0, 3)).view()).is_err());
    }
}
