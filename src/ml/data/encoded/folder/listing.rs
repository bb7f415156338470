//! The image files of a dataset and their classes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    layout,
    walk::{State, Walk},
};
use crate::ml::{
    Result,
    data::{Faults, Split, names},
};

/// An image file and the index of its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub path: PathBuf,
    pub label: u32,
}

/// The content of a folder by the names of its files. Files that are named like images were not opened.
#[derive(Debug)]
pub struct Listing {
    pub(super) train: Vec<Entry>,
    pub(super) test: Vec<Entry>,
    pub(super) train_labels: Vec<u32>,
    pub(super) test_labels: Vec<u32>,
    pub(super) classes: Vec<String>,
    pub(super) left_out: BTreeMap<String, usize>,
    pub(super) litter: usize,
    pub(super) folders: Vec<(PathBuf, State)>,
    pub(super) beside: Vec<String>,
}

impl Listing {
    /// Lists the dataset in `root`.
    pub(super) fn new(root: &Path) -> Result<Self> {
        layout::check(root)?;
        let (mut walk, mut faults) = (Walk::default(), Faults::default());
        let mut above = Vec::new();
        walk.enter(root, &mut above)?;
        let mut split = |name: &str| layout::split(&root.join(name), &mut walk, &mut above, &mut faults);
        let (train, test) = (split("train")?, split("test")?);
        let mut classes: Vec<String> = train.iter().map(|(_, class)| class.clone()).collect();
        classes.sort_unstable();
        classes.dedup();
        layout::strays(&test, &classes, &mut faults);
        walk.report(&mut faults);
        faults.none()?;
        let entries = |images: Vec<(PathBuf, String)>| -> Vec<Entry> {
            let label = |class: &String| classes.binary_search(class).expect("strays are faults") as u32;
            images.into_iter().map(|(path, class)| Entry { path, label: label(&class) }).collect()
        };
        let (train, test) = (entries(train), entries(test));
        let labels = |entries: &[Entry]| entries.iter().map(|entry| entry.label).collect();
        Ok(Self {
            train_labels: labels(&train),
            test_labels: labels(&test),
            train,
            test,
            classes,
            left_out: walk.left_out,
            litter: walk.litter,
            folders: walk.folders,
            beside: layout::beside(root),
        })
    }

    /// All image files: those of `train`, then those of `test`.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.train.iter().chain(&self.test).map(|entry| entry.path.clone()).collect()
    }

    /// The number of images of a split.
    #[must_use]
    pub fn count(&self, split: Split) -> usize {
        self.entries(split).len()
    }

    /// The number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    /// The number of skipped files.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out.values().sum()
    }

    /// A description of the skipped files, if there are any except hidden ones and those that operating systems leave.
    #[must_use]
    pub fn left_out_words(&self) -> Option<String> {
        if self.left_out() == self.litter {
            return None;
        }
        let words: Vec<String> = self.left_out.iter().map(|(ending, count)| format!("{count} {ending}")).collect();
        Some(names(&words))
    }

    /// The names of the folders and images beside `train` and `test`, which are not read.
    #[must_use]
    pub fn beside(&self) -> &[String] {
        &self.beside
    }

    /// The image files of a split.
    pub(super) fn entries(&self, split: Split) -> &[Entry] {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}
