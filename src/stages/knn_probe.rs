//! `knn_probe`: nearest neighbours among frozen features.

use std::{path::Path, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{
    level::{self, Level},
    mistakes, tested,
};
use crate::{
    ml::{
        self,
        probe::Knn,
        stop::{Stop, never},
    },
    stage::{Context, Drawing, Foresight, Form, Inputs, Metric, Outputs, Port, Problems, Stage, StageError, View},
};

/// The most products of numbers that a picture may cost: a second or two.
const PRODUCTS: usize = 20_000_000_000;

/// Classifies images by the votes of their nearest neighbours in cosine similarity: needs no training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct KnnProbe {
    /// The level of the features: `p1`, `p2`, `p3`, `latent`, `pixels`; by default the only one there is.
    pub at: Option<String>,
    /// Number of neighbours that vote.
    pub k: usize,
    /// Temperature: a neighbour of similarity s has a vote of exp(s / temperature).
    pub temperature: f64,
}

impl Default for KnnProbe {
    fn default() -> Self {
        let Knn { k, temperature } = Knn::default();
        Self { at: None, k, temperature }
    }
}

impl KnnProbe {
    fn vote(&self, train: &Level, test: &Level, stop: Stop<'_>) -> ml::Result<Vec<u32>> {
        let knn = Knn { k: self.k, temperature: self.temperature };
        knn.predict_until(train.labelled(), test.features.view(), false, stop)
    }

    /// The mistakes. The result has no predictions, so the neighbours vote again.
    fn mistaken(&self, view: &dyn View) -> Option<Drawing> {
        let inputs = ["train", "test"].map(|port| Some((port.to_owned(), Arc::new(view.input(port)?))));
        let inputs: Inputs = inputs.into_iter().flatten().collect();
        inputs.get("train").zip(inputs.get("test"))?;
        let (train, test) = Level::pair(&inputs, self.at.as_deref()).ok()?;
        let products = train.features.len().saturating_mul(test.features.nrows());
        if products > PRODUCTS {
            let (train, test) = (train.features.nrows(), test.features.nrows());
            return Some(Drawing::Words(format!(
                "The images that were taken for something else are not shown: a kNN probe keeps no predictions, and \
                 the votes of {train} images on {test} take too long for a report."
            )));
        }
        mistakes::mistaken(view, &test.labels, &self.vote(&train, &test, &never).ok()?, None)
    }
}

impl Stage for KnnProbe {
    const KIND: &'static str = "knn_probe";
    const VERSION: u32 = 1;
    const INPUTS: &'static [Port] = &[
        Port::new("train", &[Form::Features], "features of the images that vote"),
        Port::new("test", &[Form::Features], "features to measure the accuracy on"),
    ];
    const OUTPUTS: &'static [Port] =
        &[Port::new("confusion", &[Form::Matrix], "test images by true class (rows) and predicted class (columns)")];

    fn check(&self, problems: &mut Problems) {
        problems.at_least("k", self.k, 1);
        problems.positive("temperature", self.temperature);
    }

    fn idle(&self) -> Vec<&'static str> {
        // A single neighbour decides alone, whatever its weight is.
        if self.k == 1 { vec!["temperature"] } else { Vec::new() }
    }

    fn foresee(&self, inputs: &Foresight, _: &Path, problems: &mut Problems) -> Foresight {
        level::foresee_pair(inputs, self.at.as_deref(), problems);
        Foresight::new()
    }

    fn metrics() -> Vec<Metric> {
        tested::metrics()
    }

    fn draw(&self, view: &dyn View) -> Vec<Drawing> {
        mistakes::confusion(view).into_iter().chain(self.mistaken(view)).collect()
    }

    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let (train, test) = Level::pair(inputs, self.at.as_deref())?;
        let predictions = self.vote(&train, &test, &cx.stop())?;
        let confusion = tested::tested(cx, &predictions, &test.labels, train.classes.max(test.classes))?;
        Ok(Outputs::new().with("confusion", confusion))
    }
}
