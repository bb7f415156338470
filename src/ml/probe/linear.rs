//! A linear classifier, the result of both solvers.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

use super::same_width;
use crate::ml::{Error, Result, features::Scaler};

/// A linear softmax classifier over features as they are (any scaling is folded in).
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// `[classes, D]`.
    pub weight: Array2<f32>,
    /// `[classes]`.
    pub bias: Array1<f32>,
}

/// A trained classifier, with figures of its training.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The classifier.
    pub model: Linear,
    /// Mean cross-entropy on the training set in nats, without the penalty.
    pub loss: f64,
    /// Iterations (L-BFGS) or epochs (Adam).
    pub iterations: usize,
    /// Whether the training converged: it reached the minimum (L-BFGS), or the held-out loss stopped falling (Adam).
    /// False if it used up its iterations or epochs, or if rounding kept the search from going lower.
    pub converged: bool,
    /// Mean cross-entropy on the held-out set after every epoch; empty for L-BFGS.
    pub held_out_loss: Vec<f64>,
}

impl Linear {
    /// The classifier of parameters `[classes, D]` and then `[classes]` that were fitted to features scaled by
    /// `scaler`.
    pub(super) fn from_parameters(parameters: &[f64], classes: usize, scaler: Option<&Scaler>) -> Self {
        let width = parameters.len() / classes - 1;
        let (weights, biases) = parameters.split_at(classes * width);
        let scale = |j: usize| scaler.map_or(1.0, |s| s.deviation[j]);
        let centre = |j: usize| scaler.map_or(0.0, |s| s.mean[j]);
        Self {
            weight: Array2::from_shape_fn((classes, width), |(c, j)| (weights[c * width + j] / scale(j)) as f32),
            bias: (0..classes)
                .map(|c| {
                    let shift: f64 = (0..width).map(|j| weights[c * width + j] / scale(j) * centre(j)).sum();
                    (biases[c] - shift) as f32
                })
                .collect(),
        }
    }

    /// Logits `[N, classes]` of `features` `[N, D]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the width differs.
    pub fn logits(&self, features: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        same_width(self.weight.view(), features)?;
        let mut logits = Array2::zeros((features.nrows(), self.bias.len()));
        features
            .axis_chunks_iter(Axis(0), 1024)
            .into_par_iter()
            .zip(logits.axis_chunks_iter_mut(Axis(0), 1024).into_par_iter())
            .for_each(|(chunk, mut out)| out.assign(&(chunk.dot(&self.weight.t()) + &self.bias)));
        Ok(logits)
    }

    /// The class of the largest logit of every row (the first of several).
    ///
    /// # Errors
    /// [`Error::Invalid`] if the width differs, [`Error::NotFinite`] if a logit is not finite.
    pub fn predict(&self, features: ArrayView2<'_, f32>) -> Result<Vec<u32>> {
        let class = |(row, logits): (usize, ArrayView1<'_, f32>)| {
            if let Some(&logit) = logits.iter().find(|logit| !logit.is_finite()) {
                return Err(Error::NotFinite { what: format!("the logits of row {row}"), value: logit.into() });
            }
            Ok(first_largest(logits.iter().copied()))
        };
        self.logits(features)?.rows().into_iter().enumerate().map(class).collect()
    }

    /// Refuses weights that are not finite, which come from features that are too small or too large.
    pub(super) fn require_finite(&self) -> Result<()> {
        match self.weight.iter().chain(&self.bias).find(|value| !value.is_finite()) {
            Some(&value) => Err(Error::NotFinite { what: "the weights of the probe".to_owned(), value: value.into() }),
            None => Ok(()),
        }
    }
}

/// The index of the largest value, the first of several.
pub(super) fn first_largest<T: PartialOrd + Copy>(values: impl Iterator<Item = T>) -> u32 {
    let mut best: Option<(u32, T)> = None;
    for (index, value) in values.enumerate() {
        if best.is_none_or(|(_, b)| value > b) {
            best = Some((index as u32, value));
        }
    }
    best.map_or(0, |(index, _)| index)
}
