//! Classifiers on frozen features, which measure the quality of these.
//!
//! [`Logistic`] is multinomial logistic regression, converged; [`AdamEarlyStop`] trains the same model as the reference
//! does; [`Knn`] needs no training.

mod adam;
mod cross_validation;
mod knn;
mod linear;
mod logistic;
mod objective;

use ndarray::ArrayView2;

pub use adam::AdamEarlyStop;
pub use cross_validation::cross_validate;
pub use knn::Knn;
pub use linear::{Fit, Linear};
pub use logistic::Logistic;

use super::{
    Error, Result,
    features::check,
    metric::{accuracy, wilson},
};

/// Features `[N, D]` and the class of each row.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// One row for each image.
    pub features: ArrayView2<'a, f32>,
    /// One class for each row.
    pub labels: &'a [u32],
}

impl Labelled<'_> {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True if there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The largest class plus one.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.labels.iter().max().map_or(0, |&l| l as usize + 1)
    }

    fn check(&self) -> Result<()> {
        let (rows, labels) = (self.features.nrows(), self.labels.len());
        if rows != labels {
            return Err(Error::Invalid(format!("there are {labels} labels for {rows} rows of features")));
        }
        check(self.features)
    }
}

/// The accuracy of predictions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// The fraction of correct predictions.
    pub value: f64,
    /// Lower end of the 95 % interval (Wilson).
    pub low: f64,
    /// Upper end of it.
    pub high: f64,
}

impl Accuracy {
    /// The accuracy of `predictions`.
    ///
    /// # Panics
    /// If the lengths differ.
    #[must_use]
    pub fn of(predictions: &[u32], labels: &[u32]) -> Self {
        let value = accuracy(predictions, labels);
        let correct = predictions.iter().zip(labels).filter(|(p, l)| p == l).count();
        let (low, high) = wilson(correct, labels.len());
        Self { value, low, high }
    }
}

/// Refuses a test set with features of another width.
fn same_width(train: ArrayView2<'_, f32>, other: ArrayView2<'_, f32>) -> Result<()> {
    let (ours, theirs) = (train.ncols(), other.ncols());
    if ours == theirs {
        Ok(())
    } else {
        Err(Error::Invalid(format!("the training features have {ours} columns, the others {theirs}")))
    }
}
