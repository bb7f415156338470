//! Statistics of repeats over seeds: means with intervals, paired differences, and corrections for several tests.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The confidence of every interval. The level of every test is one minus this.
const CONFIDENCE: f64 = 0.95;

/// A mean with its 95 % interval by Student's t distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean of the values.
    pub mean: f64,
    /// Both ends of the interval; `None` for a single value, or if a value is not finite.
    pub interval: Option<(f64, f64)>,
    /// The number of values.
    pub n: usize,
}

impl Estimate {
    /// Estimates the mean of independent values. Returns `None` if there are no values.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let (mean, error) = moments(values)?;
        // There is no interval if a value is not finite.
        let interval = error.filter(|error| error.is_finite()).map(|error| {
            let half = error * student(values.len()).inverse_cdf(0.5 + CONFIDENCE / 2.0);
            (mean - half, mean + half)
        });
        let interval = interval.filter(|(low, high)| low.is_finite() && high.is_finite());
        Some(Self { mean, interval, n: values.len() })
    }

    /// Returns half the width of the interval.
    #[must_use]
    pub fn half_width(&self) -> Option<f64> {
        self.interval.map(|(low, high)| (high - low) / 2.0)
    }
}

/// Returns the two-sided p-value of Student's paired t-test: the probability of a mean at least this far from zero if
/// the true mean is zero. Returns `None` for fewer than two differences, or if one is not finite.
#[must_use]
pub fn paired_p(differences: &[f64]) -> Option<f64> {
    let (mean, error) = moments(differences)?;
    let error = error.filter(|error| error.is_finite())?;
    if error == 0.0 {
        // All differences are equal: either nothing differs, or every pair differs by the same amount.
        return Some(if mean == 0.0 { 1.0 } else { 0.0 });
    }
    Some(2.0 * student(differences.len()).cdf(-(mean / error).abs()))
}

/// Returns the p-values adjusted for multiple tests, in their order (Holm, "A simple sequentially rejective multiple
/// test procedure", 1979).
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut least: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        least = least.max((p[index] * (p.len() - rank) as f64).min(1.0));
        adjusted[index] = least;
    }
    adjusted
}

/// Returns whether an adjusted p-value counts as a difference.
#[must_use]
pub fn differs(adjusted: f64) -> bool {
    adjusted < 1.0 - CONFIDENCE
}

/// Returns the mean, and its standard error if there are two values or more.
fn moments(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    match values.len() {
        0 => None,
        1 => Some((mean, None)),
        _ => Some((mean, Some((squares / (n - 1.0) / n).sqrt()))),
    }
}

/// Returns Student's t distribution for the mean of `n` values.
fn student(n: usize) -> StudentsT {
    StudentsT::new(0.0, 1.0, n as f64 - 1.0).expect("two values have a degree of freedom")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_have_no_interval_and_no_verdict() {
        assert_eq!(Estimate::of(&[]), None);
        assert_eq!(Estimate::of(&[0.5]), Some(Estimate { mean: 0.5, interval: None, n: 1 }));
        assert_eq!(Estimate::of(&[0.5, f64::NAN]).map(|of| (of.mean.is_nan(), of.interval)), Some((true, None)));
        assert_eq!((paired_p(&[]), paired_p(&[0.1])), (None, None));
        assert_eq!((paired_p(&[0.0, 0.0]), paired_p(&[0.1, 0.1])), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn holm_keeps_the_order_and_never_exceeds_one() {
        assert_eq!(holm(&[0.5, 0.01, 0.04]), [0.5, 0.03, 0.08]);
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert_eq!(holm(&[]), Vec::<f64>::new());
    }
}
