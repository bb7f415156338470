//! The source of a dataset: its files, listed before any is read.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Dataset;
use crate::ml::{
    self,
    data::{
        Faults, Listed,
        arrays::{
            cifar::{self, Level, Which},
            mnist, npz, stl10, svhn,
        },
        encoded::{
            folder::{self, Naming},
            parquet, webdataset,
        },
        found,
        shapes::Shapes,
    },
};

/// Where images come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::stages) enum Origin {
    /// Ten generated forms; needs no download.
    #[default]
    Shapes,
    /// CIFAR-10, the binary or the Python version, told apart by their files.
    Cifar10,
    /// CIFAR-100, the binary or the Python version; `labels` chooses its 100 `fine` or 20 `coarse` classes.
    Cifar100,
    /// MNIST, Fashion-MNIST, Kuzushiji-MNIST or EMNIST: a folder of idx files, plain or .gz. Images are grey.
    Mnist,
    /// STL-10, the binary version; `unlabeled` reads its images without labels too.
    Stl10,
    /// SVHN, the cropped digits as .mat files; `extra` adds its easier images to those to train on.
    Svhn,
    /// A NumPy archive in the layout of MedMNIST (`train_images`, …) or of Keras (`x_train`, …).
    Npz,
    /// Image files at any depth in `{train,test}/CLASS/`, or with the class as prefix in `{train,test}/CLASS_NNN.jpg`; see
    /// `labels` and `split` for other layouts. The content tells the format. An alpha channel is dropped, and of an
    /// animation or of several pages the first image counts, with a warning. Tiny ImageNet is read as it is.
    ImageFolder,
    /// Parquet files as Hugging Face has them, in one folder or in folders of their parts.
    Parquet,
    /// Tar archives of WebDataset: KEY.jpg (or .png, …) with KEY.cls or KEY.json.
    Webdataset,
}

/// Where the labels of images stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::stages) enum Labels {
    /// In the name of the topmost folder.
    Folder,
    /// At the start of the file's name: `cat_001.jpg`.
    Prefix,
    /// Nowhere, or they are not to be used.
    None,
    /// The 100 classes of CIFAR-100.
    Fine,
    /// The 20 groups of classes of CIFAR-100.
    Coarse,
}

impl Origin {
    /// The word in the file.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Shapes => "shapes",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::Mnist => "mnist",
            Self::Stl10 => "stl10",
            Self::Svhn => "svhn",
            Self::Npz => "npz",
            Self::ImageFolder => "image_folder",
            Self::Parquet => "parquet",
            Self::Webdataset => "webdataset",
        }
    }

    /// Whether its images are JPEG files and the like.
    pub(super) fn is_encoded(self) -> bool {
        matches!(self, Self::ImageFolder | Self::Parquet | Self::Webdataset)
    }

    /// Whether the names of its files tell which images have no labels.
    pub(super) fn names_unlabeled(self) -> bool {
        matches!(self, Self::Parquet | Self::Webdataset)
    }

    /// Whether it may have images to validate on.
    pub(super) fn may_have_val(self) -> bool {
        matches!(self, Self::Npz | Self::Parquet | Self::Webdataset)
    }

    /// The values of `labels` that it knows.
    pub(super) fn labels(self) -> &'static [Labels] {
        match self {
            Self::Cifar100 => &[Labels::Fine, Labels::Coarse],
            Self::ImageFolder => &[Labels::Folder, Labels::Prefix, Labels::None],
            Self::Parquet | Self::Webdataset => &[Labels::None],
            _ => &[],
        }
    }
}

impl Labels {
    /// The word in the file.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Prefix => "prefix",
            Self::None => "none",
            Self::Fine => "fine",
            Self::Coarse => "coarse",
        }
    }
}

/// Lists the files at `path`.
///
/// # Errors
/// If there is no dataset at `path`. The error names everything that is wrong, or what is there instead.
pub(super) fn list(dataset: &Dataset, path: &Path) -> Result<Box<dyn Listed>, ml::Error> {
    let listed = read(dataset, path);
    match listed {
        Err(ml::Error::Data(faults)) => {
            let instead = found::instead(path, dataset.source.word());
            Err(instead.map_or(faults, |fault| Faults(vec![fault])).into())
        }
        listed => listed,
    }
}

fn read(dataset: &Dataset, path: &Path) -> Result<Box<dyn Listed>, ml::Error> {
    let Dataset { unlabeled, orientation, labels, .. } = *dataset;
    let labelled = labels != Some(Labels::None);
    let label_column = dataset.label_column.clone();
    match dataset.source {
        Origin::Shapes => {
            let size = dataset.size.unwrap_or(Shapes::default().size);
            Ok(Box::new(Shapes { train: dataset.train, test: dataset.test, size, seed: dataset.seed }))
        }
        Origin::Cifar10 => cifar::list(path, Which::Ten),
        Origin::Cifar100 if labels == Some(Labels::Coarse) => cifar::list(path, Which::Hundred(Level::Coarse)),
        Origin::Cifar100 => cifar::list(path, Which::Hundred(Level::Fine)),
        Origin::Mnist => mnist::list(path, dataset.subset.as_deref()),
        Origin::Stl10 => stl10::list(path, unlabeled),
        Origin::Svhn => svhn::list(path, dataset.extra),
        Origin::Npz => npz::list(path),
        Origin::ImageFolder => {
            let naming = match labels {
                Some(Labels::Folder) => Naming::Folder,
                Some(Labels::Prefix) => Naming::Prefix,
                Some(Labels::None) => Naming::None,
                _ => Naming::FolderOrPrefix,
            };
            folder::list(path, folder::Manner { naming, whole: dataset.split.is_some(), orientation })
        }
        Origin::Parquet => {
            let image_column = dataset.image_column.clone();
            let unlabelled = unlabeled;
            parquet::list(path, parquet::Manner { labelled, unlabelled, image_column, label_column, orientation })
        }
        Origin::Webdataset => {
            let unlabelled = unlabeled;
            webdataset::list(path, webdataset::Manner { labelled, unlabelled, field: label_column, orientation })
        }
    }
}
