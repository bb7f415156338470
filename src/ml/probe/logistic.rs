//! Logistic regression by L-BFGS, to convergence.

use std::cell::RefCell;

use argmin::{
    core::{CostFunction, Executor, Gradient, State},
    solver::{linesearch::MoreThuenteLineSearch, quasinewton::LBFGS},
};

use super::{
    Labelled,
    linear::{Fit, Linear},
    objective::{Objective, Value},
};
use crate::ml::{
    Error, Result,
    features::Scaler,
    stop::{Stop, never, proceed},
};

/// Multinomial logistic regression with an L2 penalty, on features standardised by their statistics in the training
/// set.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// Inverse strength of the penalty, as in scikit-learn: the mean cross-entropy plus |W|^2 / (2 C N) is minimised.
    pub c: f64,
    /// Most iterations.
    pub max_iterations: usize,
    /// The search ends when the Euclidean norm of the gradient is at most this (scikit-learn bounds its largest entry),
    /// and also so small that the cost is within a thousandth of its minimum. The second condition matters for weak
    /// penalties, whose cost is itself no larger than this. If rounding ends the search earlier, the second condition
    /// alone decides whether it has converged.
    pub tolerance: f64,
}

impl Default for Logistic {
    fn default() -> Self {
        Self { c: 1.0, max_iterations: 1000, tolerance: 1e-4 }
    }
}

/// Vectors that L-BFGS remembers, as in SciPy.
const MEMORY: usize = 10;

/// The distance of the cost from its minimum that is accepted, as a share of the cost.
const NEAR: f64 = 1e-3;

/// A cost in nats that counts as zero, as with a single class.
const NOTHING: f64 = 1e-9;

impl Logistic {
    /// Trains on `train` with `classes` classes. The result does not depend on the number of threads.
    ///
    /// # Errors
    /// [`Error::Invalid`] for features that are empty, a label that is not below `classes`, or parameters that are not
    /// positive; [`Error::NotFinite`] for features that are not finite.
    pub fn fit(&self, train: Labelled<'_>, classes: usize) -> Result<Fit> {
        self.fit_until(train, classes, &never)
    }

    /// As [`Logistic::fit`], but ends when `stop` says so.
    ///
    /// # Errors
    /// Those of [`Logistic::fit`], and [`Error::Cancelled`].
    pub fn fit_until(&self, train: Labelled<'_>, classes: usize, stop: Stop<'_>) -> Result<Fit> {
        train.check()?;
        if train.classes() > classes {
            return Err(Error::Invalid(format!("label {} is not below the {classes} classes", train.classes() - 1)));
        }
        if !(self.c > 0.0 && self.tolerance > 0.0) {
            return Err(Error::Invalid(
                "the penalty and the tolerance of a logistic regression must be positive".into(),
            ));
        }
        let scaler = Scaler::fit(train.features);
        let mut scaled = train.features.as_standard_layout().into_owned();
        scaler.apply(&mut scaled);
        let l2 = 1.0 / (self.c * train.len() as f64);
        let objective = Objective { features: scaled.view(), labels: train.labels, classes, l2 };
        let mut parameters = vec![0.0; objective.parameters()];
        let mut best = objective.at(&parameters);
        let (mut tolerance, mut iterations) = (self.tolerance, 0);
        let converged = loop {
            if norm(&best.gradient) <= tolerance {
                // Here the cost is known to a few per cent, which gives the norm that the gradient must reach.
                tolerance = self.tolerance.min(near(&best, l2));
                if norm(&best.gradient) <= tolerance {
                    break true;
                }
            }
            if iterations >= self.max_iterations {
                break false;
            }
            let before = best.cost;
            let search = descend(&objective, &parameters, tolerance, self.max_iterations - iterations, stop);
            let (found, steps) = match search {
                // The line search found nothing lower because of rounding, so this is the minimum.
                Err(Error::Invalid(_)) if iterations > 0 => break norm(&best.gradient) <= near(&best, l2),
                other => other?,
            };
            iterations += steps.max(1);
            let value = objective.at(&found);
            if value.cost < before {
                (parameters, best) = (found, value);
            }
            // A search ends early if rounding spoils its memory of the curvature. A new search may still go lower.
            if best.cost >= before * (1.0 - 1e-9) && norm(&best.gradient) > tolerance {
                break norm(&best.gradient) <= near(&best, l2);
            }
        };
        let model = Linear::from_parameters(&parameters, classes, Some(&scaler));
        model.require_finite()?;
        Ok(Fit { model, loss: best.cross_entropy, iterations, converged, held_out_loss: Vec::new() })
    }
}

/// The norm of the gradient below which the cost is [`NEAR`] its minimum: a cost whose curvature is nowhere less than
/// `l2` is at most `|g|^2 / (2 l2)` above its minimum. (The biases, which have no penalty, are left out of this.)
fn near(value: &Value, l2: f64) -> f64 {
    (2.0 * l2 * NEAR * value.cost.max(NOTHING)).sqrt()
}

/// One search from `start`: the best parameters that it found, and its number of iterations.
fn descend(
    objective: &Objective<'_>,
    start: &[f64],
    tolerance: f64,
    most: usize,
    stop: Stop<'_>,
) -> Result<(Vec<f64>, usize)> {
    let failed = |error: argmin::core::Error| match stop() {
        true => Error::Cancelled,
        false => Error::Invalid(format!("logistic regression: {error}")),
    };
    let search = MoreThuenteLineSearch::new();
    let solver = LBFGS::new(search, MEMORY).with_tolerance_grad(tolerance).map_err(failed)?;
    let result = Executor::new(Remembered { objective, last: RefCell::new(None), stop }, solver)
        .configure(|state| state.param(start.to_vec()).max_iters(most as u64))
        .timer(false)
        .run()
        .map_err(failed)?;
    let state = result.state();
    let best = state.get_best_param().map_or_else(|| start.to_vec(), Clone::clone);
    Ok((best, state.get_iter() as usize))
}

fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// The last value, since the solver requests the cost and then the gradient of one point.
struct Remembered<'a, 'b> {
    objective: &'a Objective<'b>,
    last: RefCell<Option<(Vec<f64>, Value)>>,
    stop: Stop<'a>,
}

impl Remembered<'_, '_> {
    fn at(&self, parameters: &[f64]) -> Value {
        let mut last = self.last.borrow_mut();
        if let Some((point, value)) = &*last
            && point == parameters
        {
            return value.clone();
        }
        let value = self.objective.at(parameters);
        *last = Some((parameters.to_vec(), value.clone()));
        value
    }
}

impl CostFunction for Remembered<'_, '_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, parameters: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        proceed(self.stop)?;
        Ok(self.at(parameters).cost)
    }
}

impl Gradient for Remembered<'_, '_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, parameters: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        proceed(self.stop)?;
        Ok(self.at(parameters).gradient)
    }
}
