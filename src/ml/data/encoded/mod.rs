//! Datasets of images in files of their own formats: JPEG, PNG, WebP, BMP, TIFF, GIF, PPM.
//!
//! Images are decoded one by one. Greyscale, CMYK and 16-bit images become 8-bit RGB; an alpha channel is dropped; of
//! several images in a file the first is read, with a remark. Read `decode` and `read`, which all sources share, then the
//! sources: `folder` (a file for each image), `webdataset` (tar archives) and `parquet` (tables of Hugging Face).

mod classes;
mod decode;
pub mod folder;
mod format;
mod jpeg;
pub mod parquet;
mod pnm;
mod read;
mod several;
mod shards;
pub mod webdataset;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Choice, Collection, Reading, Split, Square, Watch};
use crate::ml::Result;

/// What is done with the orientation that cameras write into EXIF data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// Pixels are taken as they are stored, as in torchvision and TensorFlow.
    #[default]
    Ignore,
    /// Images are turned and flipped so that they stand upright.
    Apply,
}

/// Encoded images with known labels.
trait Encoded {
    /// The class of each image of a split; 0 for each if they have no labels, none if there is no such split.
    fn labels(&self, split: Split) -> &[u32];

    /// The names of the classes; none for a split without labels.
    fn classes(&self, split: Split) -> &[String];

    /// The number of entries that were found to be no images.
    fn left_out(&self) -> usize {
        0
    }

    /// The name of an image, for messages.
    fn name(&self, split: Split, index: u32) -> String;

    /// Starts to fetch images of a split. The indices that it is asked for ascend.
    fn fetch(&self, split: Split) -> Box<dyn Fetch + '_>;
}

/// Fetches the bytes of images.
trait Fetch {
    /// The bytes of some images. An image that cannot be fetched has a reason; an error ends the reading.
    fn fetch(&mut self, indices: &[u32]) -> Result<Vec<Result<Vec<u8>, String>>>;
}

/// Encoded images, and how they are decoded.
struct Pictures<E> {
    images: E,
    orientation: Orientation,
}

impl<E: Encoded> Collection for Pictures<E> {
    fn labels(&self, split: Split) -> &[u32] {
        self.images.labels(split)
    }

    fn left_out(&self) -> usize {
        self.images.left_out()
    }

    fn read(&self, choices: &[Choice], square: Square, watch: Watch<'_>) -> Result<Reading> {
        read::read(&self.images, self.orientation, choices, square, watch)
    }
}

/// True for a file whose name ends like that of an image that can be read.
pub(super) fn is_named_like_an_image(file: &std::path::Path) -> bool {
    format::Kind::of(&format::ending(file)) == format::Kind::Image
}
