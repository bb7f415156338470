//! Folders of image files, with the class as a folder or as the prefix of the file's name.
//!
//! `ROOT/{train,test}/CLASS/…/NAME.jpg`, or `ROOT/{train,test}/CLASS_NNN.jpg` (or `CLASS.NNN.jpg`, `CLASS-NNN.jpg`). Images
//! are in the order of their classes, then of their paths, name by name. Links are followed. Other files are passed over
//! and counted; images that cannot be read are an error. Greyscale, CMYK and 16-bit images become 8-bit RGB; an alpha
//! channel and an EXIF orientation are ignored; of several images in a file the first is taken, with a remark.

mod decode;
mod format;
mod jpeg;
mod layout;
mod pnm;
mod read;
mod remembered;
mod several;
mod walk;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Choice, Collection, Faults, Reading, Split, Square, Watch, names, shown};
use crate::ml::Result;
use walk::{State, Walk};

/// One image file and its class, an index.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    path: PathBuf,
    label: u32,
}

/// What a folder holds, by the names of its files: none was opened that is named like an image.
#[derive(Debug)]
pub struct Listing {
    train: Vec<Entry>,
    test: Vec<Entry>,
    train_labels: Vec<u32>,
    test_labels: Vec<u32>,
    classes: Vec<String>,
    left_out: BTreeMap<String, usize>,
    litter: usize,
    folders: Vec<(PathBuf, State)>,
    beside: Vec<String>,
}

/// Lists the dataset in `root`. A listing of the same folders is used again as long as none of them changed.
///
/// # Errors
/// Everything that is wrong at once: folders that are missing or without images, names that give no class, classes of
/// `test` that are not in `train`, images that cannot be read, files that are none.
pub fn list(root: &Path) -> Result<Arc<Listing>> {
    remembered::listing(root, Listing::new)
}

impl Listing {
    fn new(root: &Path) -> Result<Self> {
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

    /// How many images a split has.
    #[must_use]
    pub fn count(&self, split: Split) -> usize {
        self.entries(split).len()
    }

    /// How many classes there are.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    /// How many files were passed over.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out.values().sum()
    }

    /// Which files were passed over, in words, if there are any beside hidden ones and those that systems leave.
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

    fn entries(&self, split: Split) -> &[Entry] {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

impl Collection for Arc<Listing> {
    fn labels(&self, split: Split) -> &[u32] {
        match split {
            Split::Train => &self.train_labels,
            Split::Test => &self.test_labels,
        }
    }

    fn read(&self, choices: &[Choice], square: Square, watch: Watch<'_>) -> Result<Reading> {
        read::read(self, choices, square, watch)
    }
}

#[cfg(test)]
mod tests;
