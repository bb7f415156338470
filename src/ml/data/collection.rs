//! Datasets whose numbers and labels are known before an image is read, so that reading costs only the chosen images.

use std::path::PathBuf;

use super::{ImageSet, resize::Resize};
use crate::ml::Result;

/// A part of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Split {
    /// Images to train on; all images, where the dataset has no parts of its own.
    Train,
    /// Images to test on.
    Test,
    /// Images to validate on, where the dataset has them.
    Val,
    /// Further images without labels, as STL-10 has them.
    Unlabelled,
}

/// What is known of a part before it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which one it is.
    pub split: Split,
    /// The number of its images, if names, sizes and headers of files tell it.
    pub images: Option<usize>,
    /// Whether its images have labels.
    pub labelled: bool,
}

/// A warning about the files of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What was found.
    pub message: String,
    /// What the user can do about it.
    pub help: String,
}

/// The files of a dataset, known by their names, sizes and headers.
pub trait Listed {
    /// The parts that there are. Each has at most one entry.
    fn parts(&self) -> Vec<Part>;

    /// Every file whose content matters, in the order in which they are read; none for generated images.
    fn files(&self) -> Vec<PathBuf>;

    /// Channels, rows and columns of the images, if they are known before an image is read.
    fn size(&self) -> Option<[usize; 3]> {
        None
    }

    /// The number of files that were left out.
    fn left_out(&self) -> usize {
        0
    }

    /// Warnings about the files.
    fn remarks(&self) -> Vec<Remark> {
        Vec::new()
    }

    /// Reads the labels.
    ///
    /// # Errors
    /// If a file cannot be read, or its labels do not fit its images or classes.
    fn open(self: Box<Self>) -> Result<Box<dyn Collection>>;
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

/// The folder of small datasets that `tests/reference/layouts.py` wrote. Image i of a part is filled with 10 i + part.
#[cfg(test)]
pub(super) fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference/layouts")
}

/// Copies one of these files.
#[cfg(test)]
pub(super) fn fixture(name: &str, to: &std::path::Path) {
    std::fs::create_dir_all(to.parent().expect("a folder")).expect("folders can be made");
    std::fs::copy(fixtures().join(name), to).expect("a file can be copied");
}

/// All images of a split.
#[cfg(test)]
pub(super) fn part(images: &dyn Collection, split: Split) -> ImageSet {
    let indices = (0..images.labels(split).len() as u32).collect();
    images.read(&[Choice { split, indices }], None, &mut |_| Ok(())).expect("they can be read").sets.remove(0)
}

/// All images of both splits.
#[cfg(test)]
pub(super) fn all(images: &dyn Collection, square: Square) -> Result<(ImageSet, ImageSet)> {
    let choice = |split| Choice { split, indices: (0..images.labels(split).len() as u32).collect() };
    let mut sets = images.read(&[choice(Split::Train), choice(Split::Test)], square, &mut |_| Ok(()))?.sets;
    let test = sets.remove(1);
    Ok((sets.remove(0), test))
}

/// Images that are not read yet.
pub trait Collection {
    /// The class of each image of a split, in the order of the dataset: 0 for each if they have no labels, none if
    /// there is no such split.
    fn labels(&self, split: Split) -> &[u32];

    /// The number of entries that were left out when the labels were read.
    fn left_out(&self) -> usize {
        0
    }

    /// Reads only the chosen images. All have one size in the end. A set of images without labels has no classes.
    ///
    /// # Errors
    /// If an image cannot be read, or if sizes differ and no square is given; the error names every such image. Errors
    /// of `watch` are passed on.
    fn read(&self, choices: &[Choice], square: Square, watch: Watch<'_>) -> Result<Reading>;
}
