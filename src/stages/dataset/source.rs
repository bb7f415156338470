//! The source of a dataset: its files, listed before any is read.

use std::{path::Path, path::PathBuf, sync::Arc};

use super::{Dataset, Origin};
use crate::ml::{
    self,
    data::{
        Collection, Split, cifar10, image_folder, names,
        shapes::{Drawn, Shapes},
        shown,
    },
};

/// What the names and sizes of its files tell about a dataset.
pub(super) enum Listed {
    Shapes(Shapes),
    Cifar10(cifar10::Listing),
    ImageFolder(Arc<image_folder::Listing>),
}

impl Listed {
    /// Lists the files at `path`.
    ///
    /// # Errors
    /// If there is no dataset at `path`. The error names everything that is wrong.
    pub(super) fn new(dataset: &Dataset, path: &Path) -> Result<Self, ml::Error> {
        Ok(match dataset.source {
            Origin::Shapes => {
                let size = dataset.size.unwrap_or(Shapes::default().size);
                Self::Shapes(Shapes { train: dataset.train, test: dataset.test, size, seed: dataset.seed })
            }
            Origin::Cifar10 => Self::Cifar10(cifar10::list(path)?),
            Origin::ImageFolder => Self::ImageFolder(image_folder::list(path)?),
        })
    }

    /// How many images a split has.
    pub(super) fn count(&self, split: Split) -> usize {
        match (self, split) {
            (Self::Shapes(shapes), Split::Train) => shapes.train,
            (Self::Shapes(shapes), Split::Test) => shapes.test,
            (Self::Cifar10(listing), _) => listing.count(split),
            (Self::ImageFolder(listing), _) => listing.count(split),
        }
    }

    /// The files whose content matters; none for generated images.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Shapes(_) => Vec::new(),
            Self::Cifar10(listing) => listing.files(),
            Self::ImageFolder(listing) => listing.files(),
        }
    }

    /// How many files were left out.
    pub(super) fn left_out(&self) -> usize {
        match self {
            Self::ImageFolder(listing) => listing.left_out(),
            Self::Shapes(_) | Self::Cifar10(_) => 0,
        }
    }

    /// Warnings about the files, each with its remedy.
    pub(super) fn remarks(&self) -> Vec<(String, String)> {
        let mut remarks = Vec::new();
        match self {
            Self::Shapes(_) => {}
            Self::Cifar10(listing) => {
                let odd = listing.unusual();
                let counts: Vec<String> =
                    odd.iter().map(|(path, records)| format!("{} ({records})", shown(path))).collect();
                if !counts.is_empty() {
                    let message = format!(
                        "{} of the 6 files of CIFAR-10 hold another number of images than 10,000: {}",
                        counts.len(),
                        names(&counts)
                    );
                    let help = "this is fine for a part of the dataset; otherwise unpack or download it anew";
                    remarks.push((message, help.to_owned()));
                }
                if !listing.others().is_empty() {
                    let message = format!("not read, since it is no file of CIFAR-10: {}", names(listing.others()));
                    let help = "records are read from data_batch_1.bin to data_batch_5.bin and test_batch.bin alone";
                    remarks.push((message, help.to_owned()));
                }
            }
            Self::ImageFolder(listing) => {
                if let Some(words) = listing.left_out_words() {
                    let message = format!("{} files that are not images are left out: {words}", listing.left_out());
                    remarks.push((message, "move them out of the folder to be rid of this message".to_owned()));
                }
                if !listing.beside().is_empty() {
                    let message =
                        format!("not read, since it is beside `train` and `test`: {}", names(listing.beside()));
                    let help = "move images into `train/CLASS/` or `test/CLASS/`; validation images are taken from \
                                `train` by `val_fraction`";
                    remarks.push((message, help.to_owned()));
                }
            }
        }
        remarks
    }

    /// The images with their labels.
    ///
    /// # Errors
    /// If labels cannot be read.
    pub(super) fn open(self) -> Result<Box<dyn Collection>, ml::Error> {
        Ok(match self {
            Self::Shapes(shapes) => Box::new(Drawn::new(shapes)),
            Self::Cifar10(listing) => Box::new(listing.open()?),
            Self::ImageFolder(listing) => Box::new(listing),
        })
    }
}
