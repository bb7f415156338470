//! Cross-validation: every row is predicted by a classifier that has not seen it.

use ndarray::Axis;

use super::{Labelled, Linear};
use crate::ml::{Error, Result};

/// The predicted class of every row. Fold f (from 0) is predicted by what `fit` makes of the rows of all other folds (its
/// first argument; the second is the fold itself, which only the leaky early stopping of the reference looks at).
///
/// # Errors
/// [`Error::Invalid`] if there is not one fold for every row, or all rows are in one fold; and what `fit` returns.
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
