//! Contrastive training: SimCLR and its variants.

use std::sync::{Mutex, PoisonError};

use candle_core::{Storage, Tensor, backprop::GradStore};
use ndarray::ArrayView2;
use rayon::prelude::*;

use super::{
    Step, StepLoss, Task,
    chunks::{self, Projected, Whole},
};
use crate::ml::{
    Error, Result, finite,
    init::Params,
    loss::{self, Loss, Measures, PseudoLabels},
    metric,
    nn::{Head, Mode, ResNet},
};

/// Gives the views of images, `[V B, H, W, C]`, all first views before all second ones, for (indices, epoch, step).
pub type Views<'a> = &'a (dyn Fn(&[u32], usize, usize) -> Result<Tensor> + Sync);

/// Gives further values at the end of an epoch (from 1).
pub type Monitor<'a> = &'a (dyn Fn(usize) -> Result<Vec<(&'static str, f64)>> + Sync);

/// The views of each image of a batch against all others.
pub struct Contrastive<'a> {
    /// The encoder.
    pub encoder: &'a ResNet,
    /// The projection head.
    pub head: &'a Head,
    /// The mode of both.
    pub mode: Mode,
    /// The loss.
    pub loss: Loss,
    /// Indices of the images of a batch: (epoch, step).
    pub indices: &'a (dyn Fn(usize, usize) -> Vec<u32> + Sync),
    /// The views of the images, as many of each as the loss takes.
    pub views: Views<'a>,
    /// Labels by image. Images of one label are weaker negatives of each other, or not negatives, or positives, by the
    /// loss.
    pub labels: Option<&'a PseudoLabels>,
    /// Batches of an epoch.
    pub steps: usize,
    /// Whether each view has a forward pass and batch statistics of its own, as in the reference code.
    pub split_views: bool,
    /// Number of images (with all their views) in a forward pass, which has its own batch statistics; 0 is the whole
    /// batch.
    pub chunk: usize,
    /// Further measures at the end of an epoch.
    pub monitor: Option<Monitor<'a>>,
    /// The results of the last step, which the end of the epoch uses.
    pub latest: Latest,
}

/// The number of the epoch, and the features of the last batch.
#[derive(Debug, Default)]
pub struct Latest {
    epoch: usize,
    features: Mutex<Option<Tensor>>,
}

impl Contrastive<'_> {
    fn project(&self, views: &Tensor) -> Result<Projected> {
        let features = if self.split_views {
            let each = views.chunk(self.loss.views, 0)?;
            let features: Result<Vec<_>> = each.iter().map(|view| self.encoder.forward(view, self.mode)).collect();
            Tensor::cat(&features?, 0)?
        } else {
            self.encoder.forward(views, self.mode)?
        };
        let z = self.head.forward(&features, self.mode)?.pop();
        Ok(Projected { features: features.detach(), z: z.unwrap_or(features) })
    }

    /// The measures of a batch. Its features are kept for the end of the epoch.
    fn measured(&self, projected: &Projected) -> Result<Vec<(&'static str, f64)>> {
        *self.latest.features.lock().unwrap_or_else(PoisonError::into_inner) = Some(projected.features.clone());
        let Measures { top1, alignment, uniformity } = loss::measure(&projected.z, self.loss.views)?;
        Ok(vec![("contrastive_top1", top1), ("alignment", alignment), ("uniformity", uniformity)])
    }
}

impl Task for Contrastive<'_> {
    type Batch = (Tensor, Option<PseudoLabels>);

    fn steps(&self) -> usize {
        self.steps
    }

    fn begin(&mut self, epoch: usize) -> Result<()> {
        self.latest.epoch = epoch + 1;
        Ok(())
    }

    fn batch(&self, epoch: usize, step: usize) -> Result<Self::Batch> {
        let indices = (self.indices)(epoch, step);
        let views = (self.views)(&indices, epoch, step)?;
        Ok((views, self.labels.map(|labels| labels.select(&indices))))
    }

    fn loss(&self, (views, labels): Self::Batch) -> Result<StepLoss> {
        let projected = self.project(&views)?;
        let loss = self.loss.of(&projected.z, labels.as_ref())?;
        Ok(StepLoss { loss, values: self.measured(&projected)?, images: views.dim(0)? })
    }

    fn step(&self, batch: Self::Batch, params: &Params) -> Result<Step> {
        let images = batch.0.dim(0)?;
        let (loss, gradients, mut values) = if self.chunk == 0 || self.chunk >= images / self.loss.views {
            let StepLoss { loss, values, .. } = self.loss(batch)?;
            let value = f64::from(loss.to_scalar::<f32>()?);
            (value, if value.is_finite() { loss.backward()? } else { GradStore::default() }, values)
        } else {
            let (views, labels) = batch;
            let Whole { loss, gradients, projected } =
                chunks::gradients(&views, labels.as_ref(), self.chunk, &self.loss, params, |views| {
                    self.project(views)
                })?;
            (loss, gradients, self.measured(&projected)?)
        };
        values.push(("grad_norm", norm(&gradients, params)?));
        Ok(Step { loss, gradients, values, images })
    }

    /// The spread of the features of the last batch, and the values of the monitor. It does not stop half-way, since
    /// the features would be lost.
    fn evaluate(&self, _stop: &dyn Fn() -> bool) -> Result<Vec<(&'static str, f64)>> {
        let mut values = Vec::new();
        if let Some(features) = &*self.latest.features.lock().unwrap_or_else(PoisonError::into_inner) {
            finite::require_rows(features, |row| format!("the features of view {row} of the last batch"))?;
            let flat = features.flatten_all()?.to_vec1::<f32>()?;
            let features =
                ArrayView2::from_shape(features.dims2()?, &flat).map_err(|e| Error::Invalid(e.to_string()))?;
            values.push(("feature_std", metric::feature_std(features)));
            values.push(("effective_rank", metric::effective_rank(features)?));
        }
        if let Some(monitor) = self.monitor {
            values.extend(monitor(self.latest.epoch)?);
        }
        Ok(values)
    }

    /// Similarities are divided by the temperature, and so are gradients.
    fn blame(&self) -> Option<&'static str> {
        (self.loss.temperature < COLD).then_some("a higher temperature")
    }
}

/// A temperature below which gradients are thousands of times those of the similarities.
const COLD: f64 = 1e-3;

/// Number of values whose squares one thread adds. The last bits of the sum depend on it.
const CHUNK: usize = 16 * 1024;

/// The length of the gradient of all parameters as one vector.
fn norm(gradients: &GradStore, params: &Params) -> Result<f64> {
    let mut sum = 0.0;
    for (_, var) in params.parameters() {
        let Some(gradient) = gradients.get(var) else { continue };
        let gradient = gradient.contiguous()?;
        let (storage, layout) = gradient.storage_and_layout();
        let squares = |values: &[f32]| {
            let chunks = values.par_chunks(CHUNK).map(|chunk| chunk.iter().map(|&g| f64::from(g) * f64::from(g)).sum());
            chunks.collect::<Vec<f64>>().into_iter().sum::<f64>()
        };
        sum += match &*storage {
            Storage::Cpu(storage) => {
                let start = layout.start_offset();
                squares(&storage.as_slice::<f32>()?[start..start + layout.shape().elem_count()])
            }
            _ => f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?),
        };
    }
    Ok(sum.sqrt())
}
