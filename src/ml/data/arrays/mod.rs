//! Datasets whose images are stored as plain numbers, all of one size, one after another.
//!
//! A layout (`cifar`, `mnist`, `stl10`, `svhn`, `npz`) finds its files, says where their images lie (`Block`) and reads
//! their labels; `read` then reads only the chosen images. Read `block`, then `read`, then `mnist`, the plainest layout.

mod block;
pub mod cifar;
mod idx;
mod mat;
pub mod mnist;
pub mod npz;
mod read;
pub mod stl10;
pub mod svhn;

use std::path::PathBuf;

use super::{Collection, Listed, Part, Remark, Split};
use crate::ml::Result;

use block::{Block, Shape};
use read::Arrays;

/// The images of one part, and where their labels are.
#[derive(Clone, Debug)]
struct Images {
    split: Split,
    blocks: Vec<Block>,
    labelled: bool,
}

impl Images {
    fn count(&self) -> usize {
        self.blocks.iter().map(|block| block.images).sum()
    }
}

/// The files of a dataset of arrays: where its images lie, and how its labels are read.
struct Listing<L> {
    images: Vec<Images>,
    shape: Shape,
    files: Vec<PathBuf>,
    left_out: usize,
    remarks: Vec<Remark>,
    labels: L,
}

/// The names of the classes, and the label of each image of each part; none for a part without labels.
struct Labels {
    classes: Vec<String>,
    parts: Vec<(Split, Vec<u32>)>,
}

/// Reads the labels of a dataset.
trait ReadLabels {
    fn read(&self, images: &[Images]) -> Result<Labels>;
}

impl<L: ReadLabels> Listed for Listing<L> {
    fn parts(&self) -> Vec<Part> {
        let part = |part: &Images| Part { split: part.split, images: Some(part.count()), labelled: part.labelled };
        self.images.iter().map(part).collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.clone()
    }

    fn size(&self) -> Option<[usize; 3]> {
        Some(self.shape.size)
    }

    fn left_out(&self) -> usize {
        self.left_out
    }

    fn remarks(&self) -> Vec<Remark> {
        self.remarks.clone()
    }

    fn open(self: Box<Self>) -> Result<Box<dyn Collection>> {
        for block in self.images.iter().flat_map(|part| &part.blocks) {
            block.require_room(self.shape)?;
        }
        let Labels { classes, parts } = self.labels.read(&self.images)?;
        Ok(Box::new(Arrays::new(self.images, self.shape, classes, parts)))
    }
}
