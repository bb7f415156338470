//! The contrastive losses by name, with their parameters.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PseudoLabels;
use crate::ml::{Error, Result};

/// Which contrastive loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// NT-Xent (Chen et al. 2020).
    NtXent,
    /// Decoupled: the positive is not in the denominator (Yeh et al. 2022).
    Dcl,
    /// Debiased: the share of false negatives is subtracted (Chuang et al. 2020).
    Debiased,
    /// Hard negatives: debiased, and near negatives count more (Robinson et al. 2021).
    Hard,
    /// Supervised contrast: all views of one label are positives (Khosla et al. 2020).
    Supcon,
}

/// A contrastive loss with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// The loss.
    pub kind: LossKind,
    /// Temperature of the similarities.
    pub temperature: f64,
    /// Probability of a false negative in [0, 1), for [`LossKind::Debiased`] and [`LossKind::Hard`].
    pub prior: f64,
    /// How much more near negatives count, for [`LossKind::Hard`]: the exponent of their reweighting.
    pub concentration: f64,
    /// Views of each image, at least 2.
    pub views: usize,
}

impl Loss {
    /// A loss with its usual parameters: temperature 0.5, prior 0.1, concentration 1, two views.
    #[must_use]
    pub fn new(kind: LossKind) -> Self {
        Self { kind, temperature: 0.5, prior: 0.1, concentration: 1.0, views: 2 }
    }

    /// The number of images whose views are the rows of `z`.
    ///
    /// # Errors
    /// If there are fewer than two images, or the number of labels differs.
    pub(super) fn images(&self, z: &Tensor, labels: Option<&PseudoLabels>) -> Result<usize> {
        let (rows, _) = z.dims2()?;
        let images = rows / self.views.max(1);
        if self.views < 2 || images < 2 || rows % self.views != 0 {
            let views = self.views;
            return Err(Error::Invalid(format!(
                "a contrastive loss needs two views or more of two images or more, not {views} in {rows} rows"
            )));
        }
        match labels.map(|labels| labels.labels.len()) {
            Some(count) if count != images => {
                Err(Error::Invalid(format!("there are {count} labels for {images} images")))
            }
            _ => Ok(images),
        }
    }
}
