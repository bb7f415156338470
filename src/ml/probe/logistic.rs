//! Logistic regression by L-BFGS, to convergence.

use std::cell::RefCell;

use argmin::{
    core::{CostFunction, Executor, Gradient, State, TerminationReason, TerminationStatus},
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
    /// Converged when the gradient's Euclidean norm is at most this.
    pub tolerance: f64,
}

impl Default for Logistic {
    fn default() -> Self {
        Self { c: 1.0, max_iterations: 1000, tolerance: 1e-5 }
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
        let start = vec![0.0; objective.parameters()];
        let failed = |e: argmin::core::Error| Error::Invalid(format!("logistic regression: {e}"));

        let line_search = MoreThuenteLineSearch::new();
        let solver = LBFGS::new(line_search, MEMORY).with_tolerance_grad(self.tolerance).map_err(failed)?;
        let problem = Remembered { objective, last: RefCell::new(None) };
        let result = Executor::new(problem, solver)
            .configure(|state| state.param(start).max_iters(self.max_iterations as u64))
            .timer(false)
            .run()
            .map_err(failed)?;
        let state = result.state();
        let best = state
            .get_best_param()
            .ok_or_else(|| Error::Invalid("logistic regression found no finite parameters".into()))?;
        let ran_out = TerminationStatus::Terminated(TerminationReason::MaxItersReached);
        let Some(problem) = result.problem.problem.as_ref() else {
            return Err(Error::Invalid("logistic regression lost its problem".into()));
        };
        Ok(Fit {
            model: Linear::from_parameters(best, classes, Some(&scaler)),
            loss: problem.objective.at(best).cross_entropy,
            iterations: state.get_iter() as usize,
            converged: *state.get_termination_status() != ran_out,
            held_out_loss: Vec::new(),
        })
    }
}

/// The last value, because the solver asks for the cost and the gradient one after the other.
struct Remembered<'a> {
    objective: Objective<'a>,
    last: RefCell<Option<(Vec<f64>, Value)>>,
}

impl Remembered<'_> {
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

impl CostFunction for Remembered<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, parameters: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        Ok(self.at(parameters).cost)
    }
}

impl Gradient for Remembered<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, parameters: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        Ok(self.at(parameters).gradient)
    }
}
