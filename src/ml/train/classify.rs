//! Supervised training of an encoder with a classifier, and its accuracy.

use candle_core::{D, Tensor};

use super::{Order, StepLoss, Task, denoise::Loader};
use crate::ml::{
    Error, Result, loss,
    nn::{Head, Mode, ResNet},
};

/// Cross-entropy of a classifier on an encoder.
pub struct Classify<'a> {
    /// The encoder.
    pub encoder: &'a ResNet,
    /// The classifier on its features.
    pub classifier: &'a Head,
    /// How the encoder is run: [`Mode::Infer`] trains the classifier alone, [`Mode::Frozen`] keeps the running statistics.
    pub mode: Mode,
    /// Training images; may be augmented, differently in each epoch.
    pub images: Loader<'a>,
    /// Labels by training image.
    pub labels: &'a [u32],
    /// Order of the training images.
    pub order: Order,
    /// Images of the validation; none if empty.
    pub validation: Vec<u32>,
    /// The images that these are indices of, as they are.
    pub validation_images: Loader<'a>,
    /// Their labels.
    pub validation_labels: &'a [u32],
    /// How the encoder is run in the validation: [`Mode::Infer`] or [`Mode::InferBatch`].
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
        let correct = correct(&logits.detach(), &targets)?;
        Ok(StepLoss { loss, values: vec![("train_accuracy", correct as f64 / count as f64)], images: count })
    }

    fn evaluate(&self) -> Result<Vec<(&'static str, f64)>> {
        if self.validation.is_empty() {
            return Ok(Vec::new());
        }
        let (mut sum, mut right) = (0.0, 0);
        for indices in self.validation.chunks(self.batch_size.max(1)) {
            let images = (self.validation_images)(indices, 0)?;
            let targets = targets(self.validation_labels, indices, &images)?;
            let features = self.encoder.forward(&images, self.validation_mode)?;
            let logits = logits(self.classifier, &features, Mode::Infer)?;
            sum += f64::from(loss::cross_entropy(&logits, &targets)?.to_scalar::<f32>()?) * indices.len() as f64;
            right += correct(&logits, &targets)?;
        }
        let count = self.validation.len() as f64;
        Ok(vec![("val_loss", sum / count), ("val_accuracy", right as f64 / count)])
    }
}

fn logits(classifier: &Head, features: &Tensor, mode: Mode) -> Result<Tensor> {
    classifier.forward(features, mode)?.pop().ok_or_else(|| Error::Invalid("a classifier without a layer".to_owned()))
}

/// Rows of `logits` `[N, K]` whose largest value is at `targets` u32 `[N]`; a row of equals or without numbers is wrong
/// unless its first class is right.
fn correct(logits: &Tensor, targets: &Tensor) -> Result<usize> {
    let hits = logits.argmax(D::Minus1)?.eq(targets)?.to_vec1::<u8>()?;
    Ok(hits.iter().filter(|&&hit| hit == 1).count())
}

/// How many of `labels` a classifier gets right, in batches of `batch_size` images and without gradients: `mode` is
/// [`Mode::Infer`], or [`Mode::InferBatch`].
///
/// # Errors
/// If the images do not fit the network.
pub fn accuracy(
    encoder: &ResNet,
    classifier: &Head,
    images: Loader,
    labels: &[u32],
    batch_size: usize,
    mode: Mode,
) -> Result<usize> {
    let mut right = 0;
    let all: Vec<u32> = (0..labels.len() as u32).collect();
    for indices in all.chunks(batch_size.max(1)) {
        let images = images(indices, 0)?;
        let targets = targets(labels, indices, &images)?;
        right += correct(&logits(classifier, &encoder.forward(&images, mode)?, Mode::Infer)?, &targets)?;
    }
    Ok(right)
}
