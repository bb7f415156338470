//! The image files of a dataset and their classes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    Naming, annotations, layout, strays,
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
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub parts: Vec<(Split, Vec<Entry>)>,
    pub labels: BTreeMap<Split, Vec<u32>>,
    /// None if the images have no labels.
    pub classes: Vec<String>,
    /// The file that names the classes of Tiny ImageNet's images to validate on.
    pub annotations: Option<PathBuf>,
    /// The number of skipped files by the ending of their names.
    pub kinds_left_out: BTreeMap<String, usize>,
    /// The number of images that were skipped because they have no labels.
    pub unlabelled: usize,
    pub litter: usize,
    pub folders: Vec<(PathBuf, State)>,
    pub beside: Vec<String>,
}

impl Listing {
    /// Lists the dataset in `root`, as one part if `whole`.
    pub(super) fn new(root: &Path, naming: Naming, whole: bool) -> Result<Self> {
        let parts = layout::parts(root, naming, whole)?;
        let (mut walk, mut faults) = (Walk::default(), Faults::default());
        let mut above = Vec::new();
        // A part that is the whole folder is entered when it is listed.
        if parts.iter().all(|(_, dir)| dir != root) {
            walk.enter(root, &mut above)?;
        }
        let annotations = annotations::file(root, naming, whole);
        let mut images = Vec::new();
        for (split, dir) in &parts {
            let found = match &annotations {
                Some(file) if *split == Split::Test => {
                    annotations::split(dir, file, &mut walk, &mut above, &mut faults)?
                }
                _ => layout::split(dir, naming, &mut walk, &mut above, &mut faults)?,
            };
            images.push((*split, found));
        }
        let unlabelled = match &annotations {
            Some(_) if root.join("test").is_dir() => walk.images(&root.join("test"), &mut above)?.len(),
            _ => 0,
        };
        let mut classes: Vec<String> = match images.first() {
            Some((_, train)) if naming != Naming::None => train.iter().map(|(_, class)| class.clone()).collect(),
            _ => Vec::new(),
        };
        classes.sort_unstable();
        classes.dedup();
        for (_, found) in images.iter().skip(1) {
            strays::report(found, if annotations.is_some() { "val" } else { "test" }, &classes, &mut faults);
        }
        walk.report(&mut faults);
        faults.none()?;
        let label = |class: &String| classes.binary_search(class).unwrap_or_default() as u32;
        let entries = |images: Vec<(PathBuf, String)>| -> Vec<Entry> {
            images.into_iter().map(|(path, class)| Entry { label: label(&class), path }).collect()
        };
        let parts: Vec<(Split, Vec<Entry>)> =
            images.into_iter().map(|(split, images)| (split, entries(images))).collect();
        let labels = |entries: &[Entry]| entries.iter().map(|entry| entry.label).collect();
        Ok(Self {
            labels: parts.iter().map(|(split, entries)| (*split, labels(entries))).collect(),
            parts,
            classes,
            kinds_left_out: walk.left_out,
            litter: walk.litter,
            folders: walk.folders,
            beside: if whole { Vec::new() } else { layout::beside(root, annotations.is_some()) },
            annotations,
            unlabelled,
        })
    }

    /// The number of skipped files.
    pub(super) fn skipped(&self) -> usize {
        self.kinds_left_out.values().sum::<usize>() + self.unlabelled
    }

    /// A description of the skipped files, if there are any except hidden ones and those that operating systems leave.
    pub(super) fn skipped_words(&self) -> Option<String> {
        if self.kinds_left_out.values().sum::<usize>() == self.litter {
            return None;
        }
        let words: Vec<String> =
            self.kinds_left_out.iter().map(|(ending, count)| format!("{count} {ending}")).collect();
        Some(names(&words))
    }

    /// The image files of a split.
    pub(super) fn entries(&self, split: Split) -> &[Entry] {
        self.parts.iter().find(|(part, _)| *part == split).map_or(&[], |(_, entries)| entries)
    }
}
