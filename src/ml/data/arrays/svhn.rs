//! SVHN, the cropped digits: `train_32x32.mat`, `test_32x32.mat` and, on request, `extra_32x32.mat`, whose images are
//! further ones to train on. Each has the images
//! as `X` [32, 32, 3, N] and the labels as `y` [N, 1], in which 10 is the digit 0 (Netzer et al. 2011).

use std::path::{Path, PathBuf};

use super::{
    Images, Labels, Listing, ReadLabels,
    block::{Block, Order, Shape},
    mat::{self, Array},
};
use crate::ml::{
    Result,
    data::{Fault, Listed, Split, fault},
};

const SHAPE: Shape = Shape { size: [3, 32, 32], order: Order::Columns };
/// The remedy for files that are missing or not as they should be.
const FILES: &str = "SVHN's cropped digits are train_32x32.mat, test_32x32.mat and extra_32x32.mat; download them into one \
                     folder, and set `path` to it";

/// Lists the dataset in `dir`; with `extra`, the extra images follow those to train on.
///
/// # Errors
/// If a file is missing, truncated, or no MATLAB file with images and labels.
pub fn list(dir: &Path, extra: bool) -> Result<Box<dyn Listed>> {
    fault::folder(dir, "the folder of SVHN's cropped digits")?;
    let mut wanted = vec![(Split::Train, "train_32x32.mat"), (Split::Test, "test_32x32.mat")];
    wanted.extend(extra.then_some((Split::Train, "extra_32x32.mat")));
    let names: Vec<&str> = wanted.iter().map(|(_, name)| *name).collect();
    fault::require_files(dir, &names, "files of SVHN are missing", &missing(dir))?;
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for (split, name) in wanted {
        let path = dir.join(name);
        let arrays = mat::arrays(&path)?;
        let find = |name: &str| arrays.iter().find(|array| array.name == name);
        let (Some(x), Some(y)) = (find("X"), find("y")) else {
            let names: Vec<String> = arrays.iter().map(|array| format!("`{}`", array.name)).collect();
            let message = format!("the arrays `X` and `y` were expected, and it has {}", fault::names(&names));
            return Err(Fault::at(&path, message, FILES).into());
        };
        let fits = matches!(*x.dims, [32, 32, 3, _] | [32, 32, 3]) && x.numbers == mat::UINT8 && x.bytes == x.count();
        if !fits || x.count() == 0 {
            let message = format!("`X` is {:?}, and [32, 32, 3, N] bytes were expected", x.dims);
            return Err(Fault::at(&path, message, FILES).into());
        }
        let count = x.dims.get(3).copied().unwrap_or(1);
        if y.count() != count as u64 {
            let message = format!("{} labels for {count} images", y.count());
            return Err(Fault::at(&path, message, FILES).into());
        }
        let block = Block { path: path.clone(), packing: x.packing, at: x.at, step: SHAPE.bytes(), images: count };
        match images.iter_mut().find(|part: &&mut Images| part.split == split) {
            Some(part) => part.blocks.push(block),
            None => images.push(Images { split, blocks: vec![block], labelled: true }),
        }
        labels.push((split, path, y.clone()));
    }
    let files = labels.iter().map(|(_, path, _)| path.clone()).collect();
    Ok(Box::new(Listing { images, shape: SHAPE, files, left_out: 0, remarks: Vec::new(), labels: OfSvhn(labels) }))
}

fn missing(dir: &Path) -> String {
    if let Some(inside) = fault::inside(dir, &["train_32x32.mat"]) {
        return format!("the dataset seems to be in a folder inside; set `path` to {inside}");
    }
    if dir.join("digitStruct.mat").is_file() || dir.join("train/digitStruct.mat").is_file() {
        return format!("these are the full numbers of SVHN, which cannot be read; {FILES}");
    }
    FILES.to_owned()
}

struct OfSvhn(Vec<(Split, PathBuf, Array)>);

impl ReadLabels for OfSvhn {
    fn read(&self, _: &[Images]) -> Result<Labels> {
        let of = |(split, path, array): &(Split, PathBuf, Array)| -> Result<(Split, Vec<u32>)> {
            let digit = |(at, label): (usize, u32)| match label {
                10 => Ok(0),
                0..=9 => Ok(label),
                _ => Err(Fault::at(path, format!("image {at} has label {label}, which is no digit"), FILES).into()),
            };
            let labels: Result<Vec<u32>> = array.whole_numbers(path)?.into_iter().enumerate().map(digit).collect();
            Ok((*split, labels?))
        };
        let mut parts: Vec<(Split, Vec<u32>)> = Vec::new();
        for file in &self.0 {
            let (split, labels) = of(file)?;
            match parts.iter_mut().find(|(part, _)| *part == split) {
                Some((_, all)) => all.extend(labels),
                None => parts.push((split, labels)),
            }
        }
        Ok(Labels { classes: (0..10).map(|digit: u32| digit.to_string()).collect(), parts })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::ml::data::collection::{all, fixture};

    fn sample() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in ["train_32x32.mat", "test_32x32.mat", "extra_32x32.mat"] {
            fixture(name, &dir.path().join(name));
        }
        dir
    }

    fn message(dir: &Path) -> String {
        let read = list(dir, false).and_then(|listed| all(listed.open()?.as_ref(), None));
        read.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn ten_is_the_digit_zero_and_extra_images_follow() {
        let dir = sample();
        let (train, test) = all(list(dir.path(), false).unwrap().open().unwrap().as_ref(), None).unwrap();
        assert_eq!((train.labels.as_slice(), test.labels.as_slice()), (&[0, 3, 9, 0][..], &[1, 0][..]));
        assert!((0..4).all(|at| train.image(at).iter().all(|&pixel| usize::from(pixel) == 10 * at)));
        let (more, _) = all(list(dir.path(), true).unwrap().open().unwrap().as_ref(), None).unwrap();
        assert_eq!((more.labels.as_slice(), more.image(4)[0]), (&[0, 3, 9, 0, 7][..], 2));
    }

    #[test]
    fn a_file_that_is_cut_or_changed_anywhere_is_refused_or_read() {
        let dir = sample();
        let path = dir.path().join("train_32x32.mat");
        let bytes = fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            let text = message(dir.path());
            assert!(text.contains("train_32x32.mat: "), "{length}: {text}");
        }
        for at in 0..bytes.len() {
            for value in [0, 0xff, bytes[at] ^ 1] {
                let mut changed = bytes.clone();
                changed[at] = value;
                fs::write(&path, changed).unwrap();
                drop(message(dir.path()));
            }
        }
        fs::write(&path, b"\x89HDF\r\n\x1a\n").unwrap();
        assert!(message(dir.path()).contains("a MATLAB file of version 7.3, which is HDF5"));
    }
}
