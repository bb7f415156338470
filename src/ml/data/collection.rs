//! Images that are known by number and label before one of them is read, so that a choice costs only what is chosen.

use super::{ImageSet, resize::Resize};
use crate::ml::Result;

/// The parts that every dataset comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Images to train on.
    Train,
    /// Images to judge by.
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

/// A square that images are brought to: its edge in pixels, and how.
pub type Square = Option<(usize, Resize)>;

/// Hears how many images are done so far. An error ends the reading.
pub type Watch<'a> = &'a mut dyn FnMut(usize) -> Result<()>;

/// Images that were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// A set for each choice.
    pub sets: Vec<ImageSet>,
    /// What people should know of the files, though it is no mistake.
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

    /// Reads the chosen images, and no others. All come out in one size.
    ///
    /// # Errors
    /// If one of them cannot be read, or sizes differ and no square is wanted; every such image is named. What `watch`
    /// returns.
    fn read(&self, choices: &[Choice], square: Square, watch: Watch<'_>) -> Result<Reading>;
}
