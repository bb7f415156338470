//! CIFAR-10 and CIFAR-100, each in its binary version (records of labels and an image) and its Python version (pickles).
//!
//! Images are 32 x 32 RGB, in planes (Krizhevsky 2009). The version is told by the names of the files. Read `files`, then
//! `binary`, then `pickle` and `python`.

mod advice;
mod binary;
mod files;
mod pickle;
mod python;

use std::path::{Path, PathBuf};

use super::{
    Images,
    block::{Order, Shape},
};
use crate::ml::{
    Result,
    data::{Listed, Remark, Split, names, shown},
};

pub use files::{Level, Which};

use files::EDGE;

const SHAPE: Shape = Shape { size: [3, EDGE, EDGE], order: Order::Planes };

/// Lists the dataset in `dir`.
///
/// # Errors
/// If the folder or a file is missing or empty, or a file is not whole. The error names all faults.
pub fn list(dir: &Path, which: Which) -> Result<Box<dyn Listed>> {
    advice::folder(dir, which)?;
    // Where both versions are there, the binary one is read, as it was before the other could be.
    let binary = which.binary();
    let is_binary = binary.all().any(|name| dir.join(name).exists());
    if is_binary { binary::list(dir, which, &binary) } else { python::list(dir, which, &which.python()) }
}

/// Remarks about files that have another number of images than those of the original dataset, and about files that look
/// like further ones.
fn remarks(dir: &Path, which: Which, images: &[Images], further: &dyn Fn(u32) -> String) -> Vec<Remark> {
    let [train, test] = which.whole();
    let whole = |split: Split| if split == Split::Train { train } else { test };
    let blocks = images.iter().flat_map(|part| part.blocks.iter().map(move |block| (block, whole(part.split))));
    let (mut odd, mut files) = (Vec::new(), 0);
    for (block, whole) in blocks {
        files += 1;
        odd.extend((block.images != whole).then(|| format!("{} ({})", shown(&block.path), block.images)));
    }
    let original = if train == test { "10,000" } else { "50,000 and 10,000" };
    let name = which.name();
    let counts = (!odd.is_empty()).then(|| Remark {
        message: format!(
            "{} of the {files} files of {name} hold another number of images than {original}: {}",
            odd.len(),
            names(&odd)
        ),
        help: "this is fine for a part of the dataset; otherwise unpack or download it anew".to_owned(),
    });
    // The folder is not listed, because that may be slow.
    let others: Vec<String> = match which {
        Which::Ten => [0, 6, 7, 8, 9].map(further).into_iter().filter(|name| dir.join(name).exists()).collect(),
        Which::Hundred(_) => Vec::new(),
    };
    let others = (!others.is_empty()).then(|| Remark {
        message: format!("not read, since it is no file of {name}: {}", names(&others)),
        help: format!("images are read from {} to {} and the test batch alone", further(1), further(5)),
    });
    counts.into_iter().chain(others).collect()
}

/// The files in the order in which they are read.
fn paths(dir: &Path, files: &files::Files) -> Vec<PathBuf> {
    files.all().map(|name| dir.join(name)).collect()
}

#[cfg(test)]
mod tests;
