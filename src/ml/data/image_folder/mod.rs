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
mod listing;
mod pnm;
mod read;
mod remembered;
mod several;
mod walk;

use std::{path::Path, sync::Arc};

use super::{Choice, Collection, Reading, Split, Square, Watch};
use crate::ml::Result;

pub use listing::Listing;

/// Lists the dataset in `root`. A listing of the same folders is used again as long as none of them changed.
///
/// # Errors
/// Everything that is wrong at once: folders that are missing or without images, names that give no class, classes of
/// `test` that are not in `train`, images that cannot be read, files that are none.
pub fn list(root: &Path) -> Result<Arc<Listing>> {
    remembered::listing(root, Listing::new)
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
