//! `linear_probe`: a linear classifier on frozen features.

mod drawing;

use std::{cell::Cell, path::Path};

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{
    held_out::HeldOut,
    level::{self, Level},
    tested,
};
use crate::{
    ml::{
        data::split,
        probe::{self, Accuracy, AdamEarlyStop, Fit, Logistic},
        rng::Stream,
        stop::Stop,
    },
    stage::{Context, Drawing, Foresight, Form, Inputs, Metric, Outputs, Port, Problems, Stage, StageError, View},
    store::Artifact,
};

/// Trains a linear classifier on features that stay as they are, and measures its accuracy on other images.
///
/// Without further parameters the classifier is converged, so that levels and networks can be compared. The metric
/// `converged` says whether it is: 1, or 0 where the training ended before (the result then carries a warning). By `lbfgs`
/// a classifier is converged when its cost is within a thousandth of the minimum and the gradient within `tolerance`, or as
/// small as single precision lets it become; by
/// `adam_early_stop` when the held-out loss had stopped falling. `cv_converged` says the same of all classifiers of
/// `folds`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LinearProbe {
    /// The level of the features: `p1`, `p2`, `p3`, `latent`, `pixels`; by default the only one there is.
    pub at: Option<String>,
    /// How it is trained: `lbfgs` (standardised features, converged) or `adam_early_stop` (as the reference).
    pub solver: Solver,
    /// Inverse strength of the L2 penalty (lbfgs): mean cross-entropy + |W|^2 / (2 c N) is minimised.
    pub c: f64,
    /// Most iterations (lbfgs).
    pub max_iterations: usize,
    /// Gradient norm at which the training has converged (lbfgs), if the cost is within a thousandth of its minimum too.
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
pub(super) enum Solver {
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
    fn fit(&self, train: &Level, test: &Level, classes: usize, stop: Stop<'_>) -> Result<Fit, StageError> {
        let Self { c, max_iterations, tolerance, lr, batch_size, epochs, patience, seed, .. } = *self;
        let adam = AdamEarlyStop { lr, batch_size, epochs, patience, seed };
        Ok(match (self.solver, self.stop_on) {
            (Solver::Lbfgs, _) => {
                Logistic { c, max_iterations, tolerance }.fit_until(train.labelled(), classes, stop)?
            }
            (Solver::AdamEarlyStop, HeldOut::Test) => {
                adam.fit_until(train.labelled(), test.labelled(), classes, stop)?
            }
            (Solver::AdamEarlyStop, HeldOut::Validation) => {
                let stream = Stream::new(seed, "probe/validation");
                let (used, held_out) = split::validation(&train.labels, self.val_fraction, &stream);
                if used.is_empty() || held_out.is_empty() {
                    return Err(StageError::failed(empty_part(self.val_fraction, train.labels.len())));
                }
                let (used, held_out) = (train.rows(&used), train.rows(&held_out));
                adam.fit_until(used.labelled(), held_out.labelled(), classes, stop)?
            }
        })
    }

    /// The accuracy of the pooled predictions of a cross-validation over both sets; and how many of its classifiers
    /// converged, and how many there were.
    fn cross_validate(
        &self,
        train: &Level,
        test: &Level,
        classes: usize,
        stop: Stop<'_>,
    ) -> Result<(Accuracy, [usize; 2]), StageError> {
        let pooled = train.with(test)?;
        let stream = Stream::new(self.fold_seed, "probe/folds");
        let folds = split::folds(&pooled.labels, self.folds, &stream);
        let ended = Cell::new([0; 2]);
        let predictions = probe::cross_validate(pooled.labelled(), &folds, |train, test| {
            let fit = self.fit(&Level::of(train), &Level::of(test), classes, stop)?;
            let [converged, all] = ended.get();
            ended.set([converged + usize::from(fit.converged), all + 1]);
            Ok::<_, StageError>(fit.model)
        })?;
        Ok((Accuracy::of(&predictions, &pooled.labels), ended.get()))
    }

    /// The warning for a classifier that has not converged: what it means, and what would help.
    fn unconverged(&self, who: &str) -> String {
        match self.solver {
            Solver::Lbfgs => format!(
                "{who} not converged, so the accuracy is not that of this penalty; raise `max_iterations`, or lower `c`"
            ),
            Solver::AdamEarlyStop => format!(
                "{who} not converged: the held-out loss was still falling after {} epochs; raise `epochs`",
                self.epochs
            ),
        }
    }

    /// Adds a problem if `val_fraction` leaves one part of the images empty. Needs the number of images to be known.
    fn foresee_split(&self, inputs: &Foresight, problems: &mut Problems) {
        if self.solver != Solver::AdamEarlyStop || self.stop_on != HeldOut::Validation {
            return;
        }
        let rows = |port: &str| inputs.get(port).and_then(|features| features.rows);
        let (Some(train), test) = (rows("train"), rows("test")) else { return };
        // With a fraction, each class keeps at least one image, and the number of classes is not known here.
        let whole = (self.fraction == 1.0).then_some(train);
        let fold = test.filter(|_| self.folds > 1).map(|test| {
            let all = train + test;
            all - all.div_ceil(self.folds)
        });
        for images in [whole, fold].into_iter().flatten().filter(|&images| images > 0) {
            let held_out = split::share(self.val_fraction, images);
            if held_out == 0 || held_out == images {
                let help = "choose another share, or `stop_on = \"test\"`, which flatters the result";
                return problems.add_with_help("val_fraction", empty_part(self.val_fraction, images), help);
            }
        }
    }
}

fn empty_part(fraction: f64, images: usize) -> String {
    let which = if split::share(fraction, images) == 0 { "stop by" } else { "train on" };
    format!("a share of {fraction} of {images} images leaves none to {which}")
}

impl Stage for LinearProbe {
    const KIND: &'static str = "linear_probe";
    // 2: with weak penalties, L-BFGS continues to the minimum: a gradient of 1e-4 says little about costs that small.
    const VERSION: u32 = 2;
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

    fn idle(&self) -> Vec<&'static str> {
        let mut idle = match self.solver {
            Solver::Lbfgs => vec!["lr", "batch_size", "epochs", "patience", "stop_on", "val_fraction"],
            Solver::AdamEarlyStop => vec!["c", "max_iterations", "tolerance"],
        };
        if self.solver == Solver::Lbfgs && self.fraction == 1.0 {
            idle.push("seed");
        }
        if self.solver == Solver::AdamEarlyStop && self.stop_on == HeldOut::Test {
            idle.push("val_fraction");
        }
        if self.folds == 0 {
            idle.push("fold_seed");
        }
        idle
    }

    fn foresee(&self, inputs: &Foresight, _: &Path, problems: &mut Problems) -> Foresight {
        level::foresee_pair(inputs, self.at.as_deref(), problems);
        self.foresee_split(inputs, problems);
        Foresight::new()
    }

    fn metrics() -> Vec<Metric> {
        let mut all = tested::metrics();
        all.extend([
            Metric::new("cv_accuracy", "mean accuracy over the folds").fraction().higher(),
            Metric::new("cv_accuracy_low", "lower end of its 95 % interval").fraction(),
            Metric::new("cv_accuracy_high", "upper end of its 95 % interval").fraction(),
            Metric::new("loss", "the cost at the end").lower(),
            Metric::new("val_loss", "the least cost on held-out images").lower(),
            Metric::new("converged", "1 if the cost is within a thousandth of its minimum").higher(),
        ]);
        all
    }

    fn draw(&self, view: &dyn View) -> Vec<Drawing> {
        drawing::draw(view)
    }

    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let (mut train, test) = Level::pair(inputs, self.at.as_deref())?;
        let classes = train.classes.max(test.classes);
        let stop = cx.stop();
        if self.folds > 0 {
            let (Accuracy { value, low, high }, [converged, all]) =
                self.cross_validate(&train, &test, classes, &stop)?;
            cx.metric("cv_converged", f64::from(u8::from(converged == all)));
            if converged < all {
                cx.warn(self.unconverged(&format!("{} of the {all} classifiers of the folds have", all - converged)));
            }
            cx.metric("cv_accuracy", value);
            cx.metric("cv_accuracy_low", low);
            cx.metric("cv_accuracy_high", high);
        }
        if self.fraction < 1.0 {
            train = train.rows(&split::fraction(&train.labels, self.fraction, true, self.seed));
            cx.metric("train_images", train.labels.len() as f64);
        }
        let fit = self.fit(&train, &test, classes, &stop)?;
        cx.metric("loss", fit.loss);
        cx.metric("iterations", fit.iterations as f64);
        for (epoch, &loss) in (1..).zip(&fit.held_out_loss) {
            cx.point("val_loss", epoch, loss);
        }
        if let Some(best) = fit.held_out_loss.iter().copied().min_by(f64::total_cmp) {
            cx.metric("val_loss", best);
        }
        cx.metric("converged", f64::from(u8::from(fit.converged)));
        if !fit.converged {
            cx.warn(self.unconverged("the classifier has"));
        }
        let on_train = Accuracy::of(&fit.model.predict(train.features.view())?, &train.labels);
        cx.metric("train_accuracy", on_train.value);
        let predictions = fit.model.predict(test.features.view())?;
        let confusion = tested::tested(cx, &predictions, &test.labels, classes)?;
        let weights = Artifact::new()
            .with("weight", level::tensor(fit.model.weight.view())?)
            .with("bias", Tensor::new(fit.model.bias.to_vec(), &Device::Cpu)?)
            .attribute("at", train.name);
        Ok(Outputs::new().with("weights", weights).with("confusion", confusion))
    }
}
