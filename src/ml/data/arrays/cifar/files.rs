//! The names and sizes of the files of both datasets and both versions.

/// Rows and columns of an image.
pub(super) const EDGE: usize = 32;
/// Bytes of an image.
pub(super) const PIXELS: usize = 3 * EDGE * EDGE;

/// Which labels of CIFAR-100 are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The 100 classes.
    Fine,
    /// The 20 groups of 5 classes.
    Coarse,
}

/// Which dataset is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// CIFAR-10.
    Ten,
    /// CIFAR-100.
    Hundred(Level),
}

/// The files of a dataset in one version.
pub(super) struct Files {
    /// The file that names the classes.
    pub classes: &'static str,
    pub train: &'static [&'static str],
    pub test: &'static str,
    /// The archive that has them.
    pub archive: &'static str,
}

impl Which {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ten => "CIFAR-10",
            Self::Hundred(_) => "CIFAR-100",
        }
    }

    pub(super) fn binary(self) -> Files {
        match self {
            Self::Ten => Files {
                classes: "batches.meta.txt",
                train: &[
                    "data_batch_1.bin",
                    "data_batch_2.bin",
                    "data_batch_3.bin",
                    "data_batch_4.bin",
                    "data_batch_5.bin",
                ],
                test: "test_batch.bin",
                archive: "cifar-10-binary.tar.gz",
            },
            Self::Hundred(level) => Files {
                classes: match level {
                    Level::Fine => "fine_label_names.txt",
                    Level::Coarse => "coarse_label_names.txt",
                },
                train: &["train.bin"],
                test: "test.bin",
                archive: "cifar-100-binary.tar.gz",
            },
        }
    }

    pub(super) fn python(self) -> Files {
        match self {
            Self::Ten => Files {
                classes: "batches.meta",
                train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
                test: "test_batch",
                archive: "cifar-10-python.tar.gz",
            },
            Self::Hundred(_) => {
                Files { classes: "meta", train: &["train"], test: "test", archive: "cifar-100-python.tar.gz" }
            }
        }
    }

    /// The images in each file of the original dataset, to train and to test on.
    pub(super) fn whole(self) -> [usize; 2] {
        match self {
            Self::Ten => [10_000, 10_000],
            Self::Hundred(_) => [50_000, 10_000],
        }
    }

    /// Bytes of the labels before each image in the binary version, and which of them is read.
    pub(super) fn labels(self) -> (usize, usize) {
        match self {
            Self::Ten => (1, 0),
            Self::Hundred(Level::Coarse) => (2, 0),
            Self::Hundred(Level::Fine) => (2, 1),
        }
    }

    /// The keys of the names of the classes and of the labels in the Python version.
    pub(super) fn keys(self) -> [&'static str; 2] {
        match self {
            Self::Ten => ["label_names", "labels"],
            Self::Hundred(Level::Fine) => ["fine_label_names", "fine_labels"],
            Self::Hundred(Level::Coarse) => ["coarse_label_names", "coarse_labels"],
        }
    }
}

impl Files {
    /// All names: the classes, the images to train on, those to test on.
    pub(super) fn all(&self) -> impl Iterator<Item = &'static str> {
        [self.classes].into_iter().chain(self.train.iter().copied()).chain([self.test])
    }
}
