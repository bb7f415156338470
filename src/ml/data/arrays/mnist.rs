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
};
use crate::ml::{
    Result,
    data::{Fault, Faults, Listed, Split, fault, labels, names, shown},
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

/// Lists the dataset in `dir`. `subset` names a split of EMNIST, where the folder has several.
///
/// # Errors
/// If files are missing, truncated or of another format, or do not fit each other.
pub fn list(dir: &Path, subset: Option<&str>) -> Result<Box<dyn Listed>> {
    fault::folder(dir, "the folder of MNIST's files")?;
    let which = which(dir, subset)?;
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
fn which(dir: &Path, subset: Option<&str>) -> Result<Which> {
    let entries = fs::read_dir(dir).map_err(io_at(dir))?.flatten();
    let split = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        Some(name.strip_prefix("emnist-")?.split_once("-train-images")?.0.to_owned())
    };
    let mut splits: Vec<String> = entries.filter_map(|entry| split(entry.path())).collect();
    splits.sort_unstable();
    splits.dedup();
    match (splits.as_slice(), subset) {
        ([], None) => Ok(Which::Mnist),
        ([], Some(subset)) => {
            let message = format!("holds no split `{subset}` of EMNIST");
            Err(Fault::at(dir, message, "leave out `subset`, which is for EMNIST, or set `path` to its folder").into())
        }
        (several, Some(subset)) => match several.iter().find(|split| *split == subset) {
            Some(split) => Ok(Which::Emnist(split.clone())),
            None => {
                let message = format!("holds no split `{subset}` of EMNIST");
                Err(Fault::at(dir, message, format!("set `subset` to one of {}", names(several))).into())
            }
        },
        ([split], None) => Ok(Which::Emnist(split.clone())),
        (several, None) => {
            let message = format!("holds several splits of EMNIST: {}", names(several));
            Err(Fault::at(dir, message, "choose one by `subset = \"…\"`").into())
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::ml::data::collection::{all, part};

    fn idx(dims: &[u32], body: &[u8]) -> Vec<u8> {
        let dims: Vec<u8> = dims.iter().flat_map(|dim| dim.to_be_bytes()).collect();
        [&[0, 0, 8, (dims.len() / 4) as u8], dims.as_slice(), body].concat()
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    /// Images of 2 x 3 pixels: `[at, 1, 2]` and `[3, 4, 5]`.
    fn write(dir: &Path, start: &str, labels: &[u8], packed: bool) {
        let images: Vec<u8> = (0..labels.len() as u8).flat_map(|at| [at, 1, 2, 3, 4, 5]).collect();
        let count = labels.len() as u32;
        let files = [("images-idx3", idx(&[count, 2, 3], &images)), ("labels-idx1", idx(&[count], labels))];
        for (what, bytes) in files {
            let (ending, bytes) = if packed { (".gz", gz(&bytes)) } else { ("", bytes) };
            fs::write(dir.join(format!("{start}-{what}-ubyte{ending}")), bytes).unwrap();
        }
    }

    fn message(dir: &Path) -> String {
        match list(dir, None).and_then(|listed| listed.open()) {
            Ok(_) => "fine".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn plain_and_packed_files_are_equal() {
        let [plain, packed] = [false, true].map(|packed| {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), "train", &[2, 0, 1], packed);
            write(dir.path(), "t10k", &[1, 1], packed);
            let listed = list(dir.path(), None).unwrap();
            assert_eq!((listed.files().len(), listed.size()), (4, Some([1, 2, 3])));
            all(listed.open().unwrap().as_ref(), None).unwrap()
        });
        assert_eq!(plain, packed);
        let (train, test) = plain;
        assert_eq!(
            (train.labels.as_slice(), test.labels.as_slice(), train.classes.len()),
            (&[2, 0, 1][..], &[1, 1][..], 3)
        );
        assert_eq!(train.image(2), [2, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn images_of_emnist_come_out_upright_and_letters_have_names() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "emnist-letters-train", &[1, 26], true);
        write(dir.path(), "emnist-letters-test", &[3], true);
        let images = list(dir.path(), None).unwrap().open().unwrap();
        let train = part(images.as_ref(), Split::Train);
        // Two rows of three, stored column by column.
        assert_eq!(train.image(0), [0, 2, 4, 1, 3, 5]);
        assert_eq!((train.labels.as_slice(), train.classes[25].as_str()), (&[0, 25][..], "Z"));

        write(dir.path(), "emnist-digits-train", &[1], true);
        write(dir.path(), "emnist-digits-test", &[0], true);
        assert!(message(dir.path()).contains("several splits of EMNIST: digits, letters; choose one by `subset"));
        let digits = list(dir.path(), Some("digits")).unwrap().open().unwrap();
        assert_eq!(digits.labels(Split::Train), [1]);
        let text = list(dir.path(), Some("mnist")).err().unwrap().to_string();
        assert!(text.contains("no split `mnist` of EMNIST; set `subset` to one of digits, letters"), "{text}");
        fs::write(dir.path().join("emnist-digits-mapping.txt"), "0 48\n1 49\n").unwrap();
        let digits = list(dir.path(), Some("digits")).unwrap().open().unwrap();
        assert_eq!(part(digits.as_ref(), Split::Test).classes, ["0", "1"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_the_file() {
        let dir = tempfile::tempdir().unwrap();
        assert!(message(dir.path()).contains("4 files of MNIST are missing"));
        write(dir.path(), "train", &[0, 1], false);
        write(dir.path(), "t10k", &[0], false);
        let at = |name: &str| dir.path().join(name);
        let images = fs::read(at("train-images-idx3-ubyte")).unwrap();
        for (bytes, said) in [
            (
                images[..20].to_vec(),
                "train-images-idx3-ubyte: truncated: 20 bytes, but 2 x 2 x 3 by its header take 28",
            ),
            (idx(&[u32::MAX; 3], &[1]), "truncated: 17 bytes, but 4294967295 x"),
            (idx(&[2], &[0, 1]), "no idx file of images: it begins with the bytes 0 0 8 1"),
            (idx(&[0, 2, 3], &[]), "empty: its header names no image"),
            (idx(&[3, 2, 3], &[0; 18]), "labels-idx1-ubyte: 2 labels for the 3 images of"),
            (b"<html>".to_vec(), "no idx file of images: it begins with the bytes 60 104 116 109"),
            (Vec::new(), "truncated"),
        ] {
            fs::write(at("train-images-idx3-ubyte"), bytes).unwrap();
            let text = message(dir.path());
            assert!(text.contains(said), "{text}");
        }
        fs::write(at("train-images-idx3-ubyte"), &images).unwrap();
        assert_eq!(message(dir.path()), "fine");
        // A packed file is only known to be cut when it is read; then it is an error all the same.
        let packed = gz(&images);
        fs::remove_file(at("train-images-idx3-ubyte")).unwrap();
        fs::write(at("train-images-idx3-ubyte.gz"), &packed[..packed.len() - 12]).unwrap();
        let open = list(dir.path(), None).unwrap().open().unwrap();
        let text = all(open.as_ref(), None).unwrap_err().to_string();
        assert!(text.contains("train-images-idx3-ubyte.gz: truncated"), "{text}");
        // A packed file may claim any number of images.
        fs::write(at("train-images-idx3-ubyte.gz"), gz(&idx(&[u32::MAX, 2, 3], &[1]))).unwrap();
        assert!(message(dir.path()).contains("2 labels for the 4294967295 images"));
        fs::write(at("train-labels-idx1-ubyte"), gz(&idx(&[u32::MAX], &[1]))).unwrap();
        let text = message(dir.path());
        assert!(
            text.contains("train-images-idx3-ubyte.gz: truncated: ") && text.contains("cannot hold 4294967295 images"),
            "{text}"
        );
    }
}
