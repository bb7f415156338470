//! The accuracy of a classifier, and its confidence interval.

/// The 97.5 % point of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// The 95 % confidence interval of a proportion, by Wilson's score method (Wilson 1927).
///
/// `correct` of `total` trials succeeded. Without trials the interval is (0, 1).
///
/// ```
/// let (low, high) = strata::ml::metric::wilson(150, 250);
/// assert!((low - 0.538).abs() < 1e-3 && (high - 0.659).abs() < 1e-3);
/// ```
#[must_use]
pub fn wilson(correct: usize, total: usize) -> (f64, f64) {
    if total == 0 {
        return (0.0, 1.0);
    }
    let n = total as f64;
    let p = correct as f64 / n;
    let scale = 1.0 / (1.0 + Z * Z / n);
    let centre = scale * (p + Z * Z / (2.0 * n));
    let half = scale * Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    // At the ends the exact value is 0 or 1, which rounding would miss slightly.
    let low = if correct == 0 { 0.0 } else { centre - half };
    let high = if correct == total { 1.0 } else { centre + half };
    (low, high)
}

/// The fraction of `predictions` that equal `labels`; 0 if there are none.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn accuracy(predictions: &[u32], labels: &[u32]) -> f64 {
    assert_eq!(predictions.len(), labels.len(), "one prediction for every label");
    if labels.is_empty() {
        return 0.0;
    }
    let correct = predictions.iter().zip(labels).filter(|(p, l)| p == l).count();
    correct as f64 / labels.len() as f64
}

/// The confusion matrix, row-major `[classes, classes]`: rows are true classes, columns predicted ones.
///
/// # Panics
/// If the lengths differ or a label is not below `classes`.
#[must_use]
pub fn confusion(predictions: &[u32], labels: &[u32], classes: usize) -> Vec<u32> {
    assert_eq!(predictions.len(), labels.len(), "one prediction for every label");
    let mut counts = vec![0; classes * classes];
    for (&prediction, &label) in predictions.iter().zip(labels) {
        assert!((prediction as usize) < classes && (label as usize) < classes, "labels are below {classes}");
        counts[label as usize * classes + prediction as usize] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_holds_its_proportion_and_stays_in_range() {
        for total in [1, 2, 10, 1000] {
            for correct in 0..=total {
                let (low, high) = wilson(correct, total);
                let p = correct as f64 / total as f64;
                assert!(0.0 <= low && low <= p && p <= high && high <= 1.0, "{correct} of {total}: {low} to {high}");
                assert!(high - low < 1.0);
            }
        }
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }

    #[test]
    fn confusion_counts_true_rows_and_predicted_columns() {
        assert_eq!(confusion(&[0, 1, 1, 2], &[0, 0, 1, 2], 3), [1, 1, 0, 0, 1, 0, 0, 0, 1]);
        assert_eq!(accuracy(&[0, 1, 1, 2], &[0, 0, 1, 2]), 0.75);
    }
}
