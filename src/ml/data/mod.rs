//! Images in memory, and their sources. Read `collection`, which every source implements, then `shapes`. Datasets whose
//! images are stored as plain numbers are in `arrays`, those of JPEG files and the like in `encoded`; `found` tells by the
//! files of a folder which of them it is. `split` chooses among images.

pub mod arrays;
mod collection;
pub mod encoded;
mod fault;
pub mod found;
mod labels;
pub mod resize;
pub mod shapes;
pub mod split;

use candle_core::{DType, Device, Tensor};

pub use collection::{Choice, Collection, Listed, Part, Reading, Remark, Split, Square, Watch};
pub use fault::{Fault, Faults, names, shown};

use super::Result;

/// 8-bit images of one size, row-major `[N, C, H, W]`, with or without labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSet {
    /// Pixels, `N * C * H * W` bytes.
    pub pixels: Vec<u8>,
    /// Class of each image, an index into `classes`; 0 for each if they have no labels.
    pub labels: Vec<u32>,
    /// Channels, rows and columns of each image.
    pub size: [usize; 3],
    /// Names of the classes; none if the images have no labels.
    pub classes: Vec<String>,
}

impl ImageSet {
    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True if there are no images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The labels, if the images have any.
    #[must_use]
    pub fn known_labels(&self) -> Option<&[u32]> {
        (!self.classes.is_empty()).then_some(&self.labels)
    }

    /// Bytes of one image.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.size.iter().product()
    }

    /// The pixels of image `index`, `[C, H, W]`.
    ///
    /// # Panics
    /// If there is no such image.
    #[must_use]
    pub fn image(&self, index: usize) -> &[u8] {
        &self.pixels[index * self.stride()..][..self.stride()]
    }

    /// The images at `indices`, in that order, as channels-last floats in [0, 1]: f32 `[B, H, W, C]`.
    ///
    /// # Errors
    /// If the tensor cannot be made on the device.
    ///
    /// # Panics
    /// If an index is out of range.
    pub fn batch(&self, indices: &[u32], device: &Device) -> Result<Tensor> {
        let [channels, height, width] = self.size;
        let mut floats = Vec::with_capacity(indices.len() * self.stride());
        for &index in indices {
            let image = self.image(index as usize);
            for pixel in 0..height * width {
                floats.extend((0..channels).map(|c| f32::from(image[c * height * width + pixel]) / 255.0));
            }
        }
        Ok(Tensor::from_vec(floats, (indices.len(), height, width, channels), device)?)
    }

    /// The set made of the images at `indices`, in that order.
    ///
    /// # Panics
    /// If an index is out of range.
    #[must_use]
    pub fn subset(&self, indices: &[u32]) -> Self {
        Self {
            pixels: indices.iter().flat_map(|&i| self.image(i as usize)).copied().collect(),
            labels: indices.iter().map(|&i| self.labels[i as usize]).collect(),
            size: self.size,
            classes: self.classes.clone(),
        }
    }

    /// The pixels and labels as tensors, without a copy: u8 `[N, C, H, W]` and u32 `[N]`, on the CPU.
    ///
    /// # Errors
    /// If the sizes do not fit each other.
    pub fn into_tensors(self) -> Result<(Tensor, Tensor)> {
        let ([c, h, w], count) = (self.size, self.len());
        let images = Tensor::from_vec(self.pixels, (count, c, h, w), &Device::Cpu)?;
        let labels = Tensor::from_vec(self.labels, count, &Device::Cpu)?;
        Ok((images, labels))
    }

    /// A copy of the pixels and labels as tensors: u8 `[N, C, H, W]` and u32 `[N]`, on the CPU.
    ///
    /// # Errors
    /// If the sizes do not fit each other.
    pub fn to_tensors(&self) -> Result<(Tensor, Tensor)> {
        self.clone().into_tensors()
    }

    /// The inverse of [`ImageSet::into_tensors`].
    ///
    /// # Errors
    /// If the tensors have other types or shapes.
    pub fn from_tensors(images: &Tensor, labels: &Tensor, classes: Vec<String>) -> Result<Self> {
        let (_, c, h, w) = images.dims4()?;
        Ok(Self {
            pixels: images.flatten_all()?.to_vec1()?,
            labels: labels.to_dtype(DType::U32)?.to_vec1()?,
            size: [c, h, w],
            classes,
        })
    }
}
