//! Training of a denoising autoencoder.

use candle_core::Tensor;

use super::{Order, StepLoss, Task};
use crate::ml::{
    Result, loss,
    nn::{Autoencoder, Mode},
    stop::proceed,
};

/// Gives the images at the indices, `[B, H, W, C]` in [0, 1], in an epoch.
pub type Loader<'a> = &'a (dyn Fn(&[u32], usize) -> Result<Tensor> + Sync);

/// Mean squared error between the clean image and the reconstruction of the noisy one.
pub struct Denoise<'a> {
    /// The network.
    pub network: &'a Autoencoder,
    /// Clean images.
    pub clean: Loader<'a>,
    /// Noisy images; the noise may depend on the epoch.
    pub noisy: Loader<'a>,
    /// Order of the training images.
    pub order: Order,
    /// Images of the validation loss; none if empty.
    pub validation: Vec<u32>,
    /// The images to which the indices of `validation` refer: clean ones, and the input of the network.
    pub validation_images: [Loader<'a>; 2],
    /// Images of a validation batch.
    pub batch_size: usize,
}

impl Task for Denoise<'_> {
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
        Ok(((self.clean)(indices, epoch)?, (self.noisy)(indices, epoch)?))
    }

    fn loss(&self, (clean, noisy): Self::Batch) -> Result<StepLoss> {
        let images = clean.dim(0)?;
        let loss = loss::mse(&self.network.forward(&noisy, Mode::Train)?, &clean)?;
        Ok(StepLoss { loss, values: Vec::new(), images })
    }

    /// The validation loss, on the noise of the first epoch, so that epochs can be compared.
    fn evaluate(&self, stop: &dyn Fn() -> bool) -> Result<Vec<(&'static str, f64)>> {
        if self.validation.is_empty() {
            return Ok(Vec::new());
        }
        let mut sum = 0.0;
        let [clean, seen] = self.validation_images;
        for indices in self.validation.chunks(self.batch_size.max(1)) {
            proceed(stop)?;
            let output = self.network.forward(&seen(indices, 0)?, Mode::Infer)?;
            let loss = loss::mse(&output, &clean(indices, 0)?)?;
            sum += f64::from(loss.to_scalar::<f32>()?) * indices.len() as f64;
        }
        Ok(vec![("val_loss", sum / self.validation.len() as f64)])
    }
}
