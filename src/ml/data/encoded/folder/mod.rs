//! Folders of image files, with the class as a folder or as the prefix of the file's name, or without classes.
//!
//! `ROOT/{train,test}/CLASS/…/NAME.jpg`, or `ROOT/{train,test}/CLASS_NNN.jpg` (or `CLASS.NNN.jpg`, `CLASS-NNN.jpg`), or the
//! same without `train` and `test` as one part; and Tiny ImageNet. Images are in the order of their classes, then of their
//! paths, name by name. Links are followed. Other files are skipped and counted; images that cannot be read are an error.
//! Read `walk` and `layout`, then `listing`.

mod annotations;
mod layout;
mod listing;
mod remembered;
mod strays;
mod walk;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Encoded, Fetch, Orientation, Pictures, format};
use crate::ml::{
    Result,
    data::{Collection, Listed, Part, Remark, Split, names, shown},
};

use listing::{Entry, Listing};
use rayon::prelude::*;

/// Where the class of an image stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// In folders, where there are any, else in prefixes.
    FolderOrPrefix,
    /// In the name of the topmost folder.
    Folder,
    /// At the start of the file's name.
    Prefix,
    /// Nowhere: images have no labels.
    None,
}

/// How a folder is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Where the classes stand.
    pub naming: Naming,
    /// Whether all images are one part, to be split by the caller, and not in `train` and `test`.
    pub whole: bool,
    /// What is done with EXIF orientations.
    pub orientation: Orientation,
}

/// Lists the dataset in `root`. An earlier listing is used again if none of its folders changed.
///
/// # Errors
/// All faults at once: folders that are missing or have no images, names without a class, classes of `test` that are
/// not in `train`, images in formats that cannot be read, entries that are not files.
pub fn list(root: &Path, manner: Manner) -> Result<Box<dyn Listed>> {
    let Manner { naming, whole, orientation } = manner;
    let listing = remembered::listing(root, (naming, whole), || Listing::new(root, naming, whole))?;
    Ok(Box::new(Folder { listing, orientation }))
}

struct Folder {
    listing: Arc<Listing>,
    orientation: Orientation,
}

impl Listed for Folder {
    fn parts(&self) -> Vec<Part> {
        let part = |split, entries: &Vec<Entry>| Part {
            split,
            images: Some(entries.len()),
            labelled: !self.listing.classes.is_empty(),
        };
        self.listing.parts.iter().map(|(split, entries)| part(*split, entries)).collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        let images = self.listing.parts.iter().flat_map(|(_, entries)| entries).map(|entry| &entry.path);
        images.chain(&self.listing.annotations).cloned().collect()
    }

    fn left_out(&self) -> usize {
        self.listing.skipped()
    }

    fn remarks(&self) -> Vec<Remark> {
        let listing = &self.listing;
        let left_out = listing.skipped_words().map(|words| Remark {
            message: format!("{} files that are not images are left out: {words}", listing.skipped()),
            help: "move them out of the folder to be rid of this message".to_owned(),
        });
        let beside = (!listing.beside.is_empty()).then(|| Remark {
            message: format!("not read, since it is beside `train` and `test`: {}", names(&listing.beside)),
            help: "move images into `train/CLASS/` or `test/CLASS/`; validation images are taken from `train` by \
                   `val_fraction`"
                .to_owned(),
        });
        let unlabelled = (listing.unlabelled > 0).then(|| Remark {
            message: format!(
                "{} images of `test` are left out, since they have no labels; those of `val` are the test images",
                listing.unlabelled
            ),
            help: "this is how Tiny ImageNet is used; there is nothing to do".to_owned(),
        });
        left_out.into_iter().chain(beside).chain(unlabelled).collect()
    }

    fn open(self: Box<Self>) -> Result<Box<dyn Collection>> {
        Ok(Box::new(Pictures { images: self.listing, orientation: self.orientation }))
    }
}

impl Encoded for Arc<Listing> {
    fn labels(&self, split: Split) -> &[u32] {
        self.labels.get(&split).map_or(&[], Vec::as_slice)
    }

    fn classes(&self, _: Split) -> &[String] {
        &self.classes
    }

    fn name(&self, split: Split, index: u32) -> String {
        shown(&self.entries(split)[index as usize].path)
    }

    fn fetch(&self, split: Split) -> Box<dyn Fetch + '_> {
        Box::new(Files(self.entries(split)))
    }
}

struct Files<'a>(&'a [Entry]);

impl Fetch for Files<'_> {
    fn fetch(&mut self, indices: &[u32]) -> Result<Vec<Result<Vec<u8>, String>>> {
        let read = |&index: &u32| fs::read(&self.0[index as usize].path).map_err(|error| error.to_string());
        Ok(indices.par_iter().map(read).collect())
    }
}

#[cfg(test)]
mod tests;
