//! The reference's linear probe: a softmax layer trained by Adam until the held-out loss stops falling.

use ndarray::Axis;

use super::{
    Labelled,
    linear::{Fit, Linear},
    objective::Objective,
    same_width,
};
use crate::ml::{
    Error, Result,
    rng::Stream,
    stop::{Stop, never, proceed},
};

/// A dense softmax layer on features as they are, by Adam with early stopping; the best epoch's weights are restored.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamEarlyStop {
    /// Learning rate.
    pub lr: f64,
    /// Rows in a batch; the last one of an epoch may be smaller.
    pub batch_size: usize,
    /// Most epochs.
    pub epochs: usize,
    /// Epochs without a lower held-out loss after which training stops.
    pub patience: usize,
    /// Seed of the initial weights (Glorot uniform) and of the order of rows.
    pub seed: u64,
}

impl Default for AdamEarlyStop {
    fn default() -> Self {
        Self { lr: 1e-3, batch_size: 64, epochs: 100, patience: 2, seed: 0 }
    }
}

/// The decay of both moments and the epsilon, as in Keras.
const BETA: (f64, f64) = (0.9, 0.999);
const EPSILON: f64 = 1e-7;

impl AdamEarlyStop {
    /// Trains on `train` with `classes` classes, stopping by the loss on `held_out`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for features that are empty, not finite or of different widths, or a label not below
    /// `classes`; [`Error::Diverged`] if the loss is no longer finite.
    pub fn fit(&self, train: Labelled<'_>, held_out: Labelled<'_>, classes: usize) -> Result<Fit> {
        self.fit_until(train, held_out, classes, &never)
    }

    /// As [`AdamEarlyStop::fit`], but ends when `stop` says so.
    ///
    /// # Errors
    /// Those of [`AdamEarlyStop::fit`], and [`Error::Cancelled`].
    pub fn fit_until(
        &self,
        train: Labelled<'_>,
        held_out: Labelled<'_>,
        classes: usize,
        stop: Stop<'_>,
    ) -> Result<Fit> {
        train.check()?;
        held_out.check()?;
        same_width(train.features, held_out.features)?;
        let largest = train.classes().max(held_out.classes());
        if largest > classes {
            return Err(Error::Invalid(format!("label {} is not below the {classes} classes", largest - 1)));
        }
        if self.batch_size == 0 || self.epochs == 0 {
            return Err(Error::Invalid("the probe needs a batch of at least one row, and one epoch".into()));
        }
        let width = train.features.ncols();
        let stream = Stream::new(self.seed, "probe");
        let mut initial = stream.at(0);
        let limit = (6.0 / (width + classes) as f32).sqrt();
        let mut parameters: Vec<f64> =
            (0..classes * width).map(|_| f64::from(initial.between(-limit, limit))).collect();
        parameters.resize(classes * (width + 1), 0.0);
        let judge = Objective { features: held_out.features, labels: held_out.labels, classes, l2: 0.0 };
        let mut adam =
            Adam { lr: self.lr, step: 0, first: vec![0.0; parameters.len()], second: vec![0.0; parameters.len()] };
        let mut best = (f64::INFINITY, parameters.clone());
        let mut waited = 0;
        let mut held_out_loss = Vec::new();
        while held_out_loss.len() < self.epochs && waited < self.patience.max(1) {
            let epoch = held_out_loss.len() + 1;
            let order = stream.at(epoch as u64).permutation(train.len());
            for (step, rows) in order.chunks(self.batch_size).enumerate() {
                proceed(stop)?;
                let rows: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
                let batch = train.features.select(Axis(0), &rows);
                let labels: Vec<u32> = rows.iter().map(|&row| train.labels[row]).collect();
                let value = Objective { features: batch.view(), labels: &labels, classes, l2: 0.0 }.at(&parameters);
                if !value.cost.is_finite() {
                    return Err(diverged("the loss", value.cost, epoch, Some(step + 1)));
                }
                adam.update(&mut parameters, &value.gradient);
            }
            if let Some(&weight) = parameters.iter().find(|&&weight| !(weight as f32).is_finite()) {
                let value = if weight.is_nan() { weight } else { f64::INFINITY };
                return Err(diverged("a weight of the probe", value, epoch, None));
            }
            let loss = judge.at(&parameters).cost;
            if !loss.is_finite() {
                return Err(diverged("the held-out loss", loss, epoch, None));
            }
            held_out_loss.push(loss);
            if loss < best.0 {
                best = (loss, parameters.clone());
                waited = 0;
            } else {
                waited += 1;
            }
        }
        let whole = Objective { features: train.features, labels: train.labels, classes, l2: 0.0 };
        let model = Linear::from_parameters(&best.1, classes, None);
        Ok(Fit {
            model,
            loss: whole.at(&best.1).cross_entropy,
            iterations: held_out_loss.len(),
            converged: waited >= self.patience.max(1),
            held_out_loss,
        })
    }
}

fn diverged(what: &str, value: f64, epoch: usize, step: Option<usize>) -> Error {
    let remedy = if epoch == 1 && step == Some(1) {
        "the features are too large for the probe: train it by `lbfgs`, which standardises them"
    } else {
        "a lower learning rate may help"
    };
    Error::Diverged { what: what.to_owned(), value, epoch, step, remedy: remedy.to_owned() }
}

/// Adam (Kingma and Ba 2015), with epsilon at the same place as in Keras.
struct Adam {
    lr: f64,
    step: i32,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Adam {
    fn update(&mut self, parameters: &mut [f64], gradient: &[f64]) {
        self.step += 1;
        let rate = self.lr * (1.0 - BETA.1.powi(self.step)).sqrt() / (1.0 - BETA.0.powi(self.step));
        for (((p, &g), m), v) in parameters.iter_mut().zip(gradient).zip(&mut self.first).zip(&mut self.second) {
            *m += (1.0 - BETA.0) * (g - *m);
            *v += (1.0 - BETA.1) * (g * g - *v);
            *p -= rate * *m / (v.sqrt() + EPSILON);
        }
    }
}
