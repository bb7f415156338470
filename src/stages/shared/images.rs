//! Images as artifacts, and as batches for a network.

use candle_core::{DType, Device, Tensor};
use half::f16;

use crate::{
    ml::{self, data::ImageSet},
    stage::StageError,
    store::Artifact,
};

/// The artifact of labelled images: `images` u8 `[N, C, H, W]`, `labels` u32 `[N]`, attribute `classes`.
pub(in crate::stages) fn artifact(mut set: ImageSet) -> Result<Artifact, ml::Error> {
    let classes = std::mem::take(&mut set.classes);
    let (images, labels) = set.into_tensors()?;
    Ok(Artifact::new().with("images", images).with("labels", labels).attribute("classes", classes))
}

/// Converts f32 `[N, H, W, C]` in [0, 1] to u8 `[N, C, H, W]`.
pub(in crate::stages) fn pixels(images: &Tensor) -> Result<Tensor, StageError> {
    let images = images.to_device(&Device::Cpu)?.permute((0, 3, 1, 2))?.contiguous()?;
    let shape = images.dims().to_vec();
    let bytes: Vec<u8> = images.flatten_all()?.to_vec1::<f32>()?.iter().map(|v| (v * 255.0).round() as u8).collect();
    Ok(Tensor::from_vec(bytes, shape, &Device::Cpu)?)
}

/// The images of an artifact: bytes, or noisy draws.
pub(in crate::stages) enum Images {
    /// u8 `[N, C, H, W]`.
    Bytes(ImageSet),
    /// f16 `[draws, N, C, H, W]` in [0, 1]. The set has sizes and labels, but no pixels.
    Draws(Vec<f16>, ImageSet),
}

impl Images {
    pub(in crate::stages) fn read(artifact: &Artifact) -> Result<Self, StageError> {
        let (images, labels) = (artifact.tensor("images")?, artifact.tensor("labels")?);
        let classes = artifact.get("classes")?;
        if images.dtype() == DType::U8 {
            return Ok(Self::Bytes(ImageSet::from_tensors(images, labels, classes)?));
        }
        let (_, count, c, h, w) = images.dims5()?;
        let labels = labels.to_vec1::<u32>()?;
        if labels.len() != count {
            return Err(StageError::failed(format!("{} labels for {count} images", labels.len())));
        }
        let values = images.flatten_all()?.to_vec1::<f16>()?;
        Ok(Self::Draws(values, ImageSet { pixels: Vec::new(), labels, size: [c, h, w], classes }))
    }

    /// The images as bytes, for making random views. Noisy draws are an error.
    pub(in crate::stages) fn bytes(artifact: &Artifact) -> Result<ImageSet, StageError> {
        match Self::read(artifact)? {
            Self::Bytes(set) => Ok(set),
            Self::Draws(..) => Err(StageError::failed("noisy images have no 8-bit pixels; use the clean ones")),
        }
    }

    /// Labels, classes and sizes.
    pub(in crate::stages) fn set(&self) -> &ImageSet {
        match self {
            Self::Bytes(set) | Self::Draws(_, set) => set,
        }
    }

    /// Images as f32 `[B, H, W, C]` in [0, 1]. Of noisy images it takes draw number `draw`, modulo the number of draws.
    pub(in crate::stages) fn batch(&self, indices: &[u32], draw: usize, device: &Device) -> ml::Result<Tensor> {
        match self {
            Self::Bytes(set) => set.batch(indices, device),
            Self::Draws(values, set) => {
                let [channels, height, width] = set.size;
                let draw_size = set.len() * set.stride();
                let offset = draw % (values.len() / draw_size.max(1)).max(1) * draw_size;
                let mut floats = Vec::with_capacity(indices.len() * set.stride());
                for &index in indices {
                    let image = &values[offset + index as usize * set.stride()..][..set.stride()];
                    for pixel in 0..height * width {
                        floats.extend((0..channels).map(|c| image[c * height * width + pixel].to_f32()));
                    }
                }
                Ok(Tensor::from_vec(floats, (indices.len(), height, width, channels), device)?)
            }
        }
    }
}
