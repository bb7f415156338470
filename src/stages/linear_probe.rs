//! `linear_probe`: a linear classifier on frozen features.

use std::path::Path;

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    held_out::HeldOut,
    level::{self, Level},
};
use crate::{
    ml::{
        data::split,
        metric,
        probe::{self, Accuracy, AdamEarlyStop, Fit, Logistic},
        rng::Stream,
    },
    stage::{Context, Foresight, Form, Inputs, Outputs, Port, Problems, Stage, StageError},
    store::Artifact,
};

/// Trains a linear classifier on features that stay as they are, and measures its accuracy on other images.
///
/// Without further parameters the classifier is converged, so that levels and networks can be compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LinearProbe {
    /// The level of the features: `p1`, `p2`, `p3`, `latent`, `pixels`; by default the only one there is.
    pub at: Option<String>,
    /// How it is trained: `lbfgs` (standardised features, converged) or `adam_early_stop` (as the reference).
    pub solver: Solver,
    /// Inverse strength of the L2 penalty (lbfgs): mean cross-entropy + |W|^2 / (2 c N) is minimised.
    pub c: f64,
    /// Most iterations (lbfgs).
    pub max_iterations: usize,
    /// Gradient norm at which the training has converged (lbfgs).
    pub tolerance: f64,
    /// Learning rate (adam_early_stop).
    pub lr: f64,
    /// Images in a step (adam_early_stop).
    pub batch_size: usize,
    /// Most passes over the images (adam_early_stop).
    pub epochs: usize,
    /// Passes without a lower held-out loss after which to stop (adam_early_stop).
    pub patience: usize,
    /// What the held-out loss is taken on (adam_early_stop): `validation`, or `test`, as the reference does.
    pub stop_on: HeldOut,
    /// Share of the training images that `stop_on = "validation"` holds out.
    pub val_fraction: f64,
    /// Share of the training labels that are known, in (0, 1]; each class keeps its share.
    pub fraction: f64,
    /// Parts of a cross-validation over training and test images together, for few images; 0 means none.
    pub folds: usize,
    /// Seed of these parts; neither the pipeline's seed nor `seeds` of a sweep move it.
    pub fold_seed: u64,
    /// Seed of the fraction, and of initial weights, order and validation images (adam_early_stop).
    pub seed: u64,
}

/// How the classifier is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Solver {
    /// Logistic regression by L-BFGS.
    Lbfgs,
    /// Adam until the held-out loss stops falling; the best epoch is kept.
    AdamEarlyStop,
}

impl Default for LinearProbe {
    fn default() -> Self {
        let Logistic { c, max_iterations, tolerance } = Logistic::default();
        let AdamEarlyStop { lr, batch_size, epochs, patience, seed } = AdamEarlyStop::default();
        let (solver, stop_on) = (Solver::Lbfgs, HeldOut::Validation);
        Self {
            at: None,
            solver,
            c,
            max_iterations,
            tolerance,
            lr,
            batch_size,
            epochs,
            patience,
            stop_on,
            val_fraction: 0.1,
            fraction: 1.0,
            folds: 0,
            fold_seed: 0,
            seed,
        }
    }
}

impl LinearProbe {
    fn fit(&self, train: &Level, test: &Level, classes: usize) -> Result<Fit, StageError> {
        let Self { c, max_iterations, tolerance, lr, batch_size, epochs, patience, seed, .. } = *self;
        let adam = AdamEarlyStop { lr, batch_size, epochs, patience, seed };
        Ok(match (self.solver, self.stop_on) {
            (Solver::Lbfgs, _) => Logistic { c, max_iterations, tolerance }.fit(train.labelled(), classes)?,
            (Solver::AdamEarlyStop, HeldOut::Test) => adam.fit(train.labelled(), test.labelled(), classes)?,
            (Solver::AdamEarlyStop, HeldOut::Validation) => {
                let stream = Stream::new(seed, "probe/validation");
                let (used, held_out) = split::validation(&train.labels, self.val_fraction, &stream);
                let (used, held_out) = (train.rows(&used), train.rows(&held_out));
                adam.fit(used.labelled(), held_out.labelled(), classes)?
            }
        })
    }

    /// The pooled predictions of a cross-validation over both sets, against their labels.
    fn cross_validate(&self, train: &Level, test: &Level, classes: usize) -> Result<Accuracy, StageError> {
        let pooled = train.with(test)?;
        let stream = Stream::new(self.fold_seed, "probe/folds");
        let folds = split::folds(&pooled.labels, self.folds, &stream);
        let predictions = probe::cross_validate(pooled.labelled(), &folds, |train, test| {
            Ok::<_, StageError>(self.fit(&Level::of(train), &Level::of(test), classes)?.model)
        })?;
        Ok(Accuracy::of(&predictions, &pooled.labels))
    }
}

impl Stage for LinearProbe {
    const KIND: &'static str = "linear_probe";
    const VERSION: u32 = 1;
    const INPUTS: &'static [Port] = &[
        Port::new("train", &[Form::Features], "features to learn from"),
        Port::new("test", &[Form::Features], "features to measure the accuracy on"),
    ];
    const OUTPUTS: &'static [Port] = &[
        Port::new("weights", &[Form::Classifier], "`weight` [classes, D] and `bias` [classes], for unscaled features"),
        Port::new("confusion", &[Form::Matrix], "test images by true class (rows) and predicted class (columns)"),
    ];

    fn check(&self, problems: &mut Problems) {
        problems.positive("c", self.c);
        problems.at_least("max_iterations", self.max_iterations, 1);
        problems.positive("tolerance", self.tolerance);
        problems.positive("lr", self.lr);
        problems.at_least("batch_size", self.batch_size, 1);
        problems.at_least("epochs", self.epochs, 1);
        problems.at_least("patience", self.patience, 1);
        problems.positive("val_fraction", self.val_fraction);
        problems.within("val_fraction", self.val_fraction, 0.0, 0.9);
        problems.positive("fraction", self.fraction);
        problems.within("fraction", self.fraction, 0.0, 1.0);
        problems.require(self.folds != 1, "folds", "must be 0, or at least 2");
    }

    fn foresee(&self, inputs: &Foresight, _: &Path, problems: &mut Problems) -> Foresight {
        level::foresee(inputs, &["train", "test"], self.at.as_deref(), problems);
        Foresight::new()
    }

    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let (mut train, test) = Level::pair(inputs, self.at.as_deref())?;
        let classes = train.classes.max(test.classes);
        if self.folds > 0 {
            let Accuracy { value, low, high } = self.cross_validate(&train, &test, classes)?;
            cx.metric("cv_accuracy", value);
            cx.metric("cv_accuracy_low", low);
            cx.metric("cv_accuracy_high", high);
        }
        if self.fraction < 1.0 {
            train = train.rows(&split::fraction(&train.labels, self.fraction, true, self.seed));
            cx.metric("train_images", train.labels.len() as f64);
        }
        let fit = self.fit(&train, &test, classes)?;
        cx.metric("loss", fit.loss);
        cx.metric("iterations", fit.iterations as f64);
        for (epoch, &loss) in (1..).zip(&fit.held_out_loss) {
            cx.point("val_loss", epoch, loss);
        }
        if let Some(best) = fit.held_out_loss.iter().copied().min_by(f64::total_cmp) {
            cx.metric("val_loss", best);
        }
        if !fit.converged {
            cx.metric("converged", 0.0);
        }
        let on_train = Accuracy::of(&fit.model.predict(train.features.view())?, &train.labels);
        cx.metric("train_accuracy", on_train.value);
        let predictions = fit.model.predict(test.features.view())?;
        let confusion = tested(cx, &predictions, &test.labels, classes)?;
        let weights = Artifact::new()
            .with("weight", level::tensor(fit.model.weight.view())?)
            .with("bias", Tensor::new(fit.model.bias.to_vec(), &Device::Cpu)?)
            .attribute("at", train.name);
        Ok(Outputs::new().with("weights", weights).with("confusion", confusion))
    }
}

/// Records the test accuracy with its 95 % interval; gives the confusion matrix.
pub(super) fn tested(
    cx: &mut Context<'_>,
    predictions: &[u32],
    labels: &[u32],
    classes: usize,
) -> Result<Artifact, StageError> {
    let Accuracy { value, low, high } = Accuracy::of(predictions, labels);
    cx.metric("test_accuracy", value);
    cx.metric("test_accuracy_low", low);
    cx.metric("test_accuracy_high", high);
    let counts = metric::confusion(predictions, labels, classes);
    Ok(Artifact::new().with("confusion", Tensor::from_vec(counts, (classes, classes), &Device::Cpu)?))
}
