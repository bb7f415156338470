//! MNIST and the datasets in its format: Fashion-MNIST, Kuzushiji-MNIST and EMNIST. Images are grey.
//!
//! `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same with `t10k`, each plain or packed by gzip. Files of
//! EMNIST are called `emnist-SPLIT-train-…` and `emnist-SPLIT-test-…`; its images are stored column by column (Cohen et al.
//! 2017), and come out upright.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Images, Labels, Listing, ReadLabels,
    block::{Block, Order, Shape, io_at},
    idx::Idx,
    labels,
};
use crate::ml::{
    Result,
    data::{Fault, Faults, Listed, Split, fault, names, shown},
};

/// The remedy for files that are missing.
const FILES: &str = "the dataset has train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and \
                     t10k-labels-idx1-ubyte, each of them plain or as .gz; EMNIST has them with `emnist-SPLIT-` before, \
                     and `test` for `t10k`";

/// Which files a folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Which {
    Mnist,
    /// A split of EMNIST, such as `letters`.
    Emnist(String),
}

/// Lists the dataset in `dir`.
///
/// # Errors
/// If files are missing, truncated or of another format, or do not fit each other.
pub fn list(dir: &Path) -> Result<Box<dyn Listed>> {
    fault::folder(dir, "the folder of MNIST's files")?;
    let which = which(dir)?;
    let mut missing = Vec::new();
    let mut find = |split, what| {
        let names = which.names(split, what);
        let found = names.iter().map(|name| dir.join(name)).find(|path| path.is_file());
        if found.is_none() {
            missing.push(shown(&dir.join(&names[0])));
        }
        found.unwrap_or_default()
    };
    let splits = [Split::Train, Split::Test];
    let files = splits.map(|split| [find(split, "images-idx3"), find(split, "labels-idx1")]);
    let mut faults = Faults::default();
    faults.shared(&missing, "no such file", "files of MNIST are missing", &remedy(dir));
    faults.none()?;
    let mut images = Vec::new();
    let mut size = None;
    for (split, [pixels, labels]) in splits.into_iter().zip(&files) {
        let (of_images, of_labels) = (Idx::of(pixels, 3)?, Idx::of(labels, 1)?);
        let &[count, height, width] = of_images.dims.as_slice() else { unreachable!("three dimensions were read") };
        if count != of_labels.dims[0] {
            let message = format!("{} labels for the {count} images of {}", of_labels.dims[0], shown(pixels));
            return Err(Fault::at(labels, message, "take both files from one download").into());
        }
        if *size.get_or_insert([height, width]) != [height, width] {
            let message = format!("images of {height} x {width}, other than those to train on");
            return Err(Fault::at(pixels, message, "take all files from one dataset").into());
        }
        let at = of_images.header();
        let block = Block { path: pixels.clone(), packing: of_images.packing, at, step: height * width, images: count };
        images.push(Images { split, blocks: vec![block], labelled: true });
    }
    let [height, width] = size.unwrap_or_default();
    let order = if which == Which::Mnist { Order::Planes } else { Order::Columns };
    let shape = Shape { size: [1, height, width], order };
    let mapping = which.mapping(dir);
    let all = mapping.iter().chain(files.as_flattened()).cloned().collect();
    let labels = OfMnist { which, mapping, files: files.map(|[_, labels]| labels) };
    Ok(Box::new(Listing { images, shape, files: all, left_out: 0, remarks: Vec::new(), labels }))
}

/// Tells by the names of files which dataset a folder holds.
fn which(dir: &Path) -> Result<Which> {
    let entries = fs::read_dir(dir).map_err(io_at(dir))?.flatten();
    let split = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        Some(name.strip_prefix("emnist-")?.split_once("-train-images")?.0.to_owned())
    };
    let mut splits: Vec<String> = entries.filter_map(|entry| split(entry.path())).collect();
    splits.sort_unstable();
    splits.dedup();
    match splits.as_slice() {
        [] => Ok(Which::Mnist),
        [split] => Ok(Which::Emnist(split.clone())),
        several => {
            let message = format!("holds several splits of EMNIST: {}", names(several));
            Err(Fault::at(dir, message, "move or link the files of one split into a folder of its own").into())
        }
    }
}

impl Which {
    /// The names that a file may have: `what` is `images-idx3` or `labels-idx1`.
    fn names(&self, split: Split, what: &str) -> Vec<String> {
        let start = match (self, split) {
            (Self::Mnist, Split::Train) => "train".to_owned(),
            (Self::Mnist, _) => "t10k".to_owned(),
            (Self::Emnist(of), Split::Train) => format!("emnist-{of}-train"),
            (Self::Emnist(of), _) => format!("emnist-{of}-test"),
        };
        let plain = [format!("{start}-{what}-ubyte"), format!("{start}-{}-ubyte", what.replace('-', "."))];
        plain.iter().cloned().chain(plain.iter().map(|name| format!("{name}.gz"))).collect()
    }

    /// The file that says which character each label of EMNIST means, if it is there.
    fn mapping(&self, dir: &Path) -> Option<PathBuf> {
        let Self::Emnist(of) = self else { return None };
        Some(dir.join(format!("emnist-{of}-mapping.txt"))).filter(|path| path.is_file())
    }
}

fn remedy(dir: &Path) -> String {
    let plain = ["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"];
    let within = ["raw", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw"].map(|name| dir.join(name));
    let raw = within.iter().find(|folder| plain.iter().any(|name| folder.join(name).is_file()));
    match raw.map(|folder| shown(folder)).or_else(|| fault::inside(dir, &plain)) {
        Some(inside) => format!("the dataset seems to be in a folder inside; set `path` to {inside}"),
        None => FILES.to_owned(),
    }
}

struct OfMnist {
    which: Which,
    mapping: Option<PathBuf>,
    /// The files of labels, to train and to test.
    files: [PathBuf; 2],
}

impl ReadLabels for OfMnist {
    fn read(&self, _: &[Images]) -> Result<Labels> {
        let read = |path: &PathBuf| Idx::of(path, 1)?.labels(path);
        let [mut train, mut test] = [read(&self.files[0])?, read(&self.files[1])?];
        let letters = self.which == Which::Emnist("letters".to_owned());
        let classes = match &self.mapping {
            Some(path) => {
                let (known, classes) = mapping(path)?;
                for (labels, path) in [&mut train, &mut test].into_iter().zip(&self.files) {
                    for label in labels.iter_mut() {
                        let class = known.iter().position(|known| known == label);
                        let message = || format!("has the label {label}, which {} does not name", shown(path));
                        *label = class.ok_or_else(|| Fault::at(path, message(), FILES))? as u32;
                    }
                }
                classes
            }
            // The letters of EMNIST are numbered from 1.
            None if letters && train.iter().chain(&test).all(|label| (1..=26).contains(label)) => {
                train.iter_mut().chain(&mut test).for_each(|label| *label -= 1);
                ('A'..='Z').map(String::from).collect()
            }
            None => labels::numbered(&self.files[0], train.iter().chain(&test))?,
        };
        Ok(Labels { classes, parts: vec![(Split::Train, train), (Split::Test, test)] })
    }
}

/// The labels and the characters that they mean: lines of a label and one or two codes.
fn mapping(path: &Path) -> Result<(Vec<u32>, Vec<String>)> {
    let remedy = "each line has a label and the code of its character, as in the mapping files of EMNIST";
    let mut known = Vec::new();
    let mut classes = Vec::new();
    for line in labels::names(path)? {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let (Some(Ok(label)), Some(Ok(code))) = (numbers.next(), numbers.next()) else {
            return Err(Fault::at(path, format!("a line is `{line}`"), remedy).into());
        };
        known.push(label);
        classes.push(char::from_u32(code).filter(|c| !c.is_control()).map_or(code.to_string(), String::from));
    }
    Ok((known, labels::distinct(path, classes, remedy)?))
}
