//! Folders of image files, with the class as a folder or as the prefix of the file's name.
//!
//! `ROOT/{train,test}/CLASS/…/NAME.jpg`, or `ROOT/{train,test}/CLASS_NNN.jpg` (or `CLASS.NNN.jpg`, `CLASS-NNN.jpg`).
//! Images are in the order of their classes, then of their paths, name by name. Links are followed. Other files are
//! skipped and counted; images that cannot be read are an error. Greyscale, CMYK and 16-bit images become 8-bit RGB; an
//! alpha channel and an EXIF orientation are ignored; of several images in a file the first is read, with a remark.
//! Read `format`, `walk` and `layout`, then `listing`, then `decode` and `read`.

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

/// Lists the dataset in `root`. An earlier listing is used again if none of its folders changed.
///
/// # Errors
/// All faults at once: folders that are missing or have no images, names without a class, classes of `test` that are
/// not in `train`, images in formats that cannot be read, entries that are not files.
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
