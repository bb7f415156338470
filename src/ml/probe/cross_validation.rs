//! Cross-validation: every row is predicted by a classifier that has not seen it.

use ndarray::Axis;

use super::{Labelled, Linear};
use crate::ml::{Error, Result};

/// The predicted class of every row. `fit` receives the rows of all other folds, and then the fold itself, which only
/// the leaky early stopping of the reference uses. Its classifier predicts the fold.
///
/// # Errors
/// [`Error::Invalid`] if the number of folds is not that of the rows, or all rows are in one fold. Errors of `fit` are
/// passed on.
pub fn cross_validate<E: From<Error>>(
    data: Labelled<'_>,
    folds: &[u32],
    fit: impl Fn(Labelled<'_>, Labelled<'_>) -> Result<Linear, E>,
) -> Result<Vec<u32>, E> {
    data.check()?;
    if folds.len() != data.len() {
        let message = format!("there are {} folds for {} rows", folds.len(), data.len());
        return Err(Error::Invalid(message).into());
    }
    let mut predictions = vec![0; data.len()];
    for fold in 0..folds.iter().max().map_or(0, |&f| f + 1) {
        let (inside, outside): (Vec<usize>, Vec<usize>) = (0..data.len()).partition(|&row| folds[row] == fold);
        if inside.is_empty() {
            continue;
        }
        let part = |rows: &[usize]| {
            let labels: Vec<u32> = rows.iter().map(|&row| data.labels[row]).collect();
            (data.features.select(Axis(0), rows), labels)
        };
        let ((held_out, held_out_labels), (rest, rest_labels)) = (part(&inside), part(&outside));
        let rest = Labelled { features: rest.view(), labels: &rest_labels };
        let held_out = Labelled { features: held_out.view(), labels: &held_out_labels };
        let model = fit(rest, held_out)?;
        for (row, predicted) in inside.into_iter().zip(model.predict(held_out.features)?) {
            predictions[row] = predicted;
        }
    }
    Ok(predictions)
}
