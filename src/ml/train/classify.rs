//! Supervised training of an encoder with a classifier, and its accuracy.

use candle_core::Tensor;

use super::{Order, StepLoss, Task, denoise::Loader};
use crate::ml::{
    Error, Result, loss,
    nn::{Head, Mode, ResNet},
    stop::proceed,
};

/// Cross-entropy of a classifier on an encoder.
pub struct Classify<'a> {
    /// The encoder.
    pub encoder: &'a ResNet,
    /// The classifier on its features.
    pub classifier: &'a Head,
    /// The mode of the encoder: [`Mode::Infer`] trains the classifier alone, [`Mode::Frozen`] keeps the running
    /// statistics.
    pub mode: Mode,
    /// Training images, perhaps augmented differently in each epoch.
    pub images: Loader<'a>,
    /// Labels by training image.
    pub labels: &'a [u32],
    /// Order of the training images.
    pub order: Order,
    /// Images of the validation; none if empty.
    pub validation: Vec<u32>,
    /// The images to which the indices of `validation` refer, without augmentation.
    pub validation_images: Loader<'a>,
    /// Their labels.
    pub validation_labels: &'a [u32],
    /// The mode of the encoder in the validation: [`Mode::Infer`] or [`Mode::InferBatch`].
    pub validation_mode: Mode,
    /// Images of a validation batch.
    pub batch_size: usize,
}

/// The labels of the images at `indices`, beside `images`.
fn targets(labels: &[u32], indices: &[u32], images: &Tensor) -> Result<Tensor> {
    let labels: Vec<u32> = indices.iter().map(|&index| labels[index as usize]).collect();
    Ok(Tensor::new(labels, images.device())?)
}

impl Task for Classify<'_> {
    type Batch = (Tensor, Tensor);

    fn steps(&self) -> usize {
        self.order.steps()
    }

    fn begin(&mut self, epoch: usize) -> Result<()> {
        self.order.begin(epoch);
        Ok(())
    }

    fn batch(&self, epoch: usize, step: usize) -> Result<Self::Batch> {
        let indices = self.order.batch(step);
        let images = (self.images)(indices, epoch)?;
        let targets = targets(self.labels, indices, &images)?;
        Ok((images, targets))
    }

    fn loss(&self, (images, targets): Self::Batch) -> Result<StepLoss> {
        let features = self.encoder.forward(&images, self.mode)?;
        let logits = logits(self.classifier, &features, Mode::Train)?;
        let loss = loss::cross_entropy(&logits, &targets)?;
        let count = images.dim(0)?;
        let (correct, _) = correct(&logits.detach(), &targets)?;
        Ok(StepLoss { loss, values: vec![("train_accuracy", correct as f64 / count as f64)], images: count })
    }

    fn evaluate(&self, stop: &dyn Fn() -> bool) -> Result<Vec<(&'static str, f64)>> {
        if self.validation.is_empty() {
            return Ok(Vec::new());
        }
        let Self { encoder, classifier, validation_mode: mode, batch_size, .. } = *self;
        let judge = Judge { encoder, classifier, mode, batch_size, stop };
        let (loss, right) =
            judge.judge(self.validation_images, self.validation_labels, &self.validation, "validation image")?;
        Ok(vec![("val_loss", loss), ("val_accuracy", right as f64 / self.validation.len() as f64)])
    }
}

fn logits(classifier: &Head, features: &Tensor, mode: Mode) -> Result<Tensor> {
    classifier.forward(features, mode)?.pop().ok_or_else(|| Error::Invalid("a classifier without a layer".to_owned()))
}

/// How many rows of `logits` `[N, K]` have their largest value at the class of `targets` u32 `[N]`, the first of
/// several counting as the largest. A row with a value that is not finite counts as wrong; the first such row is
/// returned too, with its value.
fn correct(logits: &Tensor, targets: &Tensor) -> Result<(usize, Option<(usize, f64)>)> {
    let (logits, targets) = (logits.to_vec2::<f32>()?, targets.to_vec1::<u32>()?);
    let (mut right, mut broken) = (0, None);
    for (row, (logits, target)) in logits.iter().zip(targets).enumerate() {
        match logits.iter().find(|logit| !logit.is_finite()) {
            Some(&logit) => drop(broken.get_or_insert((row, f64::from(logit)))),
            None => right += usize::from(largest(logits) == Some(target as usize)),
        }
    }
    Ok((right, broken))
}

/// The place of the largest value, the first of several.
fn largest(values: &[f32]) -> Option<usize> {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values.iter().position(|&value| value == largest)
}

/// The test of a classifier, in batches and without gradients.
pub struct Judge<'a> {
    /// The encoder.
    pub encoder: &'a ResNet,
    /// The classifier on its features.
    pub classifier: &'a Head,
    /// The mode of the encoder: [`Mode::Infer`] or [`Mode::InferBatch`].
    pub mode: Mode,
    /// Images of a batch.
    pub batch_size: usize,
    /// Says when to end.
    pub stop: &'a dyn Fn() -> bool,
}

impl Judge<'_> {
    /// The mean cross-entropy of the images at `indices`, and how many are classified as `labels` (by index) say.
    /// Messages call an image a `what` ("test image").
    ///
    /// # Errors
    /// [`Error::NotFinite`] for logits that are not, [`Error::Cancelled`], and if the images do not fit the network.
    pub fn judge(&self, images: Loader, labels: &[u32], indices: &[u32], what: &str) -> Result<(f64, usize)> {
        let (mut sum, mut right) = (0.0, 0);
        for indices in indices.chunks(self.batch_size.max(1)) {
            proceed(self.stop)?;
            let images = images(indices, 0)?;
            let targets = targets(labels, indices, &images)?;
            let logits = logits(self.classifier, &self.encoder.forward(&images, self.mode)?, Mode::Infer)?;
            let (hits, broken) = correct(&logits, &targets)?;
            if let Some((row, value)) = broken {
                return Err(Error::NotFinite { what: format!("the logits of {what} {}", indices[row]), value });
            }
            sum += f64::from(loss::cross_entropy(&logits, &targets)?.to_scalar::<f32>()?) * indices.len() as f64;
            right += hits;
        }
        Ok((sum / indices.len().max(1) as f64, right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_row_without_a_number_is_no_class() -> Result<()> {
        let nan = f32::NAN;
        let rows = [[nan, nan, nan], [1.0, 3.0, 2.0], [0.0, 0.0, 0.0], [5.0, nan, 0.0], [-1.0, -9.0, -9.0]];
        let logits = Tensor::new(&rows, &Device::Cpu)?;
        let (right, broken) = correct(&logits, &Tensor::new(&[0u32, 1, 0, 0, 2], &Device::Cpu)?)?;
        assert_eq!((right, broken.map(|(row, _)| row)), (2, Some(0)), "the first of equals counts as the largest");
        Ok(())
    }
}
