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
use crate::ml::{Error, Result, features::Scaler};

/// Multinomial logistic regression with an L2 penalty, on features standardised by their statistics in the training set.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// Inverse strength of the penalty, as in scikit-learn: the mean cross-entropy plus |W|^2 / (2 C N) is minimised.
    pub c: f64,
    /// Most iterations.
    pub max_iterations: usize,
    /// Converged when the gradient's Euclidean norm is at most this (scikit-learn bounds its largest entry).
    pub tolerance: f64,
}

impl Default for Logistic {
    fn default() -> Self {
        Self { c: 1.0, max_iterations: 1000, tolerance: 1e-4 }
    }
}

/// Vectors that L-BFGS remembers, as in SciPy.
const MEMORY: usize = 10;

impl Logistic {
    /// Trains on `train` with `classes` classes. The same at any number of threads.
    ///
    /// # Errors
    /// [`Error::Invalid`] for features that are empty or not finite, a label that is not below `classes`, or parameters that
    /// are not positive.
    pub fn fit(&self, train: Labelled<'_>, classes: usize) -> Result<Fit> {
        train.check()?;
        if train.classes() > classes {
            return Err(Error::Invalid(format!("a label of {} with {classes} classes", train.classes() - 1)));
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
        let mut best = objective.at(&vec![0.0; objective.parameters()]);
        let mut parameters = vec![0.0; objective.parameters()];
        let mut iterations = 0;
        while norm(&best.gradient) > self.tolerance && iterations < self.max_iterations {
            let before = best.cost;
            let (found, steps) = self.descend(&objective, &parameters, self.max_iterations - iterations)?;
            iterations += steps.max(1);
            let value = objective.at(&found);
            if value.cost < before {
                (parameters, best) = (found, value);
            }
            // A search ends early where rounding spoils its memory of curvature. A fresh one may still go lower.
            if best.cost >= before * (1.0 - 1e-9) {
                break;
            }
        }
        Ok(Fit {
            model: Linear::from_parameters(&parameters, classes, Some(&scaler)),
            loss: best.cross_entropy,
            iterations,
            converged: norm(&best.gradient) <= self.tolerance,
            held_out_loss: Vec::new(),
        })
    }

    /// One search from `start`: the best parameters on its way, and its number of iterations.
    fn descend(&self, objective: &Objective<'_>, start: &[f64], most: usize) -> Result<(Vec<f64>, usize)> {
        let failed = |e: argmin::core::Error| Error::Invalid(format!("logistic regression: {e}"));
        let search = MoreThuenteLineSearch::new();
        let solver = LBFGS::new(search, MEMORY).with_tolerance_grad(self.tolerance).map_err(failed)?;
        let result = Executor::new(Remembered { objective, last: RefCell::new(None) }, solver)
            .configure(|state| state.param(start.to_vec()).max_iters(most as u64))
            .timer(false)
            .run()
            .map_err(failed)?;
        let state = result.state();
        let best = state.get_best_param().map_or_else(|| start.to_vec(), Clone::clone);
        Ok((best, state.get_iter() as usize))
    }
}

fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// The last value, because the solver asks for the cost and the gradient one after the other.
struct Remembered<'a, 'b> {
    objective: &'a Objective<'b>,
    last: RefCell<Option<(Vec<f64>, Value)>>,
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
        Ok(self.at(parameters).cost)
    }
}

impl Gradient for Remembered<'_, '_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, parameters: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        Ok(self.at(parameters).gradient)
    }
}
