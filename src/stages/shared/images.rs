//! Images as artifacts, and as batches for a network.

use candle_core::{DType, Device, Tensor};
use half::f16;

use crate::{
    ml::{self, data::ImageSet},
    stage::{Foresight, Problems, StageError},
    store::Artifact,
};

/// The artifact of images: `images` u8 `[N, C, H, W]`, and if they have labels, `labels` u32 `[N]` and the attribute
/// `classes`.
pub(in crate::stages) fn artifact(mut set: ImageSet) -> Result<Artifact, ml::Error> {
    let classes = std::mem::take(&mut set.classes);
    let (images, labels) = set.into_tensors()?;
    let artifact = Artifact::new().with("images", images);
    if classes.is_empty() {
        return Ok(artifact);
    }
    Ok(artifact.with("labels", labels).attribute("classes", classes))
}

/// The labels of an artifact of images or features, and the names of their classes; no names and zeros if the `count`
/// images have no labels. Classes without names are called by their numbers.
pub(in crate::stages) fn labels(artifact: &Artifact, count: usize) -> Result<(Vec<u32>, Vec<String>), StageError> {
    let Some(tensor) = artifact.tensors().get(LABELS) else { return Ok((vec![0; count], Vec::new())) };
    let labels: Vec<u32> = tensor.to_dtype(DType::U32)?.to_vec1()?;
    if labels.len() != count {
        return Err(StageError::failed(format!("{} labels for {count} images", labels.len())));
    }
    let mut classes: Vec<String> = match artifact.attributes().contains_key(CLASSES) {
        true => artifact.get(CLASSES)?,
        false => Vec::new(),
    };
    let most = labels.iter().max().map_or(0, |&most| most as usize + 1);
    if most > MOST_CLASSES.max(classes.len()) {
        return Err(StageError::failed(format!("{} is no label: there are at most {MOST_CLASSES} classes", most - 1)));
    }
    classes.extend((classes.len()..most).map(|class| class.to_string()));
    Ok((labels, classes))
}

/// The name of the tensor of labels.
const LABELS: &str = "labels";
/// The name of the attribute with the names of the classes.
const CLASSES: &str = "classes";
/// The most classes without names: a label of 32 bits could ask for any number of names.
const MOST_CLASSES: usize = 1 << 16;

/// Adds a problem if the images or features at `port` are known to have no labels.
pub(in crate::stages) fn foresee_labels(inputs: &Foresight, port: &str, problems: &mut Problems) {
    if inputs.get(port).is_some_and(|foreseen| foreseen.labelled == Some(false)) {
        let help = "join it to images with labels; of a dataset without labels, features can be trained, clustered and \
                    drawn, but not judged by classes";
        problems.add_with_help(port, format!("the images at the input `{port}` have no labels"), help);
    }
}

/// Fails if images at `port` have no labels.
pub(in crate::stages) fn require_labels(classes: usize, port: &str) -> Result<(), StageError> {
    if classes > 0 {
        return Ok(());
    }
    Err(StageError::failed(format!("the images at the input `{port}` have no labels, and this stage needs them")))
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
        let images = artifact.tensor("images")?;
        if images.dtype() == DType::U8 {
            let (count, c, h, w) = images.dims4()?;
            let (labels, classes) = labels(artifact, count)?;
            let pixels = images.flatten_all()?.to_vec1()?;
            return Ok(Self::Bytes(ImageSet { pixels, labels, size: [c, h, w], classes }));
        }
        let (_, count, c, h, w) = images.dims5()?;
        let (labels, classes) = labels(artifact, count)?;
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
