//! Contrastive training: SimCLR and its variants.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{StepLoss, Task};
use crate::ml::{
    Result,
    loss::{self, Measures},
    nn::{Head, Mode, ResNet},
};

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
}

/// A contrastive loss with its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// Which one.
    pub kind: LossKind,
    /// Temperature of the similarities.
    pub temperature: f64,
    /// Chance of a false negative, for [`LossKind::Debiased`].
    pub prior: f64,
}

/// Gives both views of images, `[2B, H, W, C]`, view i and i + B of one image: (indices, epoch, step).
pub type Views<'a> = &'a (dyn Fn(&[u32], usize, usize) -> Result<Tensor> + Sync);

/// Two views of each image of a batch against all others.
pub struct Contrastive<'a> {
    /// The encoder.
    pub encoder: &'a ResNet,
    /// The projection head.
    pub head: &'a Head,
    /// The loss.
    pub loss: Loss,
    /// Indices of the images of a batch: (epoch, step).
    pub indices: &'a (dyn Fn(usize, usize) -> Vec<u32> + Sync),
    /// Both views of the images.
    pub views: Views<'a>,
    /// Labels by image; images of one label are no negatives of each other.
    pub labels: Option<&'a [u32]>,
    /// Batches of an epoch.
    pub steps: usize,
    /// Whether each view is a forward pass of its own, with its own batch statistics (as in the reference code).
    pub split_views: bool,
}

impl Task for Contrastive<'_> {
    type Batch = (Tensor, Option<Tensor>);

    fn steps(&self) -> usize {
        self.steps
    }

    fn batch(&self, epoch: usize, step: usize) -> Result<Self::Batch> {
        let indices = (self.indices)(epoch, step);
        let views = (self.views)(&indices, epoch, step)?;
        let mask = self.labels.map(|labels| {
            let labels: Vec<u32> = indices.iter().map(|&index| labels[index as usize]).collect();
            loss::negatives_by_label(&labels, views.device())
        });
        Ok((views, mask.transpose()?))
    }

    fn loss(&self, (views, mask): Self::Batch) -> Result<StepLoss> {
        let count = views.dim(0)?;
        let features = if self.split_views {
            let half = count / 2;
            let first = self.encoder.forward(&views.narrow(0, 0, half)?, Mode::Train)?;
            let second = self.encoder.forward(&views.narrow(0, half, half)?, Mode::Train)?;
            Tensor::cat(&[&first, &second], 0)?
        } else {
            self.encoder.forward(&views, Mode::Train)?
        };
        let z = self.head.forward(&features, Mode::Train)?.pop().unwrap_or(features);
        let Loss { kind, temperature, prior } = self.loss;
        let loss = match kind {
            LossKind::NtXent => loss::nt_xent(&z, temperature, mask.as_ref())?,
            LossKind::Dcl => loss::dcl(&z, temperature, mask.as_ref())?,
            LossKind::Debiased => loss::debiased(&z, temperature, prior, mask.as_ref())?,
        };
        let Measures { top1, alignment, uniformity } = loss::measure(&z)?;
        let values = vec![("contrastive_top1", top1), ("alignment", alignment), ("uniformity", uniformity)];
        Ok(StepLoss { loss, values, images: count })
    }
}
