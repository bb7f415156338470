//! Datasets whose numbers and labels are known before an image is read, so that reading costs only the chosen images.

use super::{ImageSet, resize::Resize};
use crate::ml::Result;

/// The two parts of every dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Images to train on.
    Train,
    /// Images to test on.
    Test,
}

/// Some images of a split, by number, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The split.
    pub split: Split,
    /// The images.
    pub indices: Vec<u32>,
}

/// The square that images are resized to: its edge in pixels, and the method.
pub type Square = Option<(usize, Resize)>;

/// Receives the number of images that are done. An error ends the reading.
pub type Watch<'a> = &'a mut dyn FnMut(usize) -> Result<()>;

/// The images that were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// A set for each choice.
    pub sets: Vec<ImageSet>,
    /// A remark about the files that users should read, although it is not an error.
    pub remarks: Vec<String>,
}

/// All images of both splits.
#[cfg(test)]
pub(super) fn all(images: &dyn Collection, square: Square) -> Result<(ImageSet, ImageSet)> {
    let choice = |split| Choice { split, indices: (0..images.labels(split).len() as u32).collect() };
    let mut sets = images.read(&[choice(Split::Train), choice(Split::Test)], square, &mut |_| Ok(()))?.sets;
    let test = sets.remove(1);
    Ok((sets.remove(0), test))
}

/// Labelled images that are not read yet.
pub trait Collection {
    /// The class of each image of a split, in the order of the dataset.
    fn labels(&self, split: Split) -> &[u32];

    /// Reads only the chosen images. All have one size in the end.
    ///
    /// # Errors
    /// If an image cannot be read, or if sizes differ and no square is given; the error names every such image. Errors
    /// of `watch` are passed on.
    fn read(&self, choices: &[Choice], square: Square, watch: Watch<'_>) -> Result<Reading>;
}
