//! Which dataset a folder seems to hold, for messages where another one was expected.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Fault, shown};

/// A dataset that was found by the names of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    what: &'static str,
    /// The word of the parameter `source`.
    source: &'static str,
    at: PathBuf,
}

/// Files of a dataset, by which it is known.
enum Sign {
    Any(&'static [&'static str]),
    All(&'static [&'static str]),
}

use Sign::{All, Any};

/// Datasets in a fixed layout.
const KNOWN: [(&str, &str, Sign); 11] = [
    ("the binary version of CIFAR-10", "cifar10", Any(&["data_batch_1.bin", "batches.meta.txt"])),
    ("the Python version of CIFAR-10", "cifar10", Any(&["data_batch_1", "batches.meta"])),
    ("the binary version of CIFAR-100", "cifar100", Any(&["fine_label_names.txt", "coarse_label_names.txt"])),
    ("the binary version of CIFAR-100", "cifar100", All(&["train.bin", "test.bin"])),
    ("the Python version of CIFAR-100", "cifar100", All(&["meta", "train", "test"])),
    ("MNIST or a dataset in its format", "mnist", Any(&["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"])),
    ("MNIST or a dataset in its format", "mnist", Any(&["train-images.idx3-ubyte", "train-images.idx3-ubyte.gz"])),
    ("the binary version of STL-10", "stl10", All(&["train_X.bin", "test_X.bin"])),
    ("the cropped digits of SVHN", "svhn", All(&["train_32x32.mat", "test_32x32.mat"])),
    ("Tiny ImageNet", "image_folder", All(&["wnids.txt", "words.txt"])),
    ("Tiny ImageNet", "image_folder", All(&["val/val_annotations.txt"])),
];

/// The endings of files that make a dataset whatever they are called.
const ENDINGS: [(&str, &str, &str); 3] = [
    ("a NumPy archive", "npz", "npz"),
    ("Parquet files", "parquet", "parquet"),
    ("tar archives of WebDataset", "webdataset", "tar"),
];

/// The most entries of a folder that are looked at.
const MOST: usize = 1000;

/// The fault of `path` if it holds another dataset than `source`, and nothing that looks like `source`.
#[must_use]
pub fn instead(path: &Path, source: &str) -> Option<Fault> {
    let mut found = at(path);
    let is_it = |found: &Found| found.source == source;
    if found.is_empty() {
        let inside = folders(path);
        let deeper = inside.iter().filter(|folder| folder.ends_with("MNIST")).flat_map(|folder| folders(folder));
        found = inside.iter().cloned().chain(deeper).flat_map(|folder| at(&folder)).collect();
    }
    if found.iter().any(is_it) {
        return None;
    }
    let Found { what, source, at } = found.into_iter().next()?;
    let (message, mut remedy) = match at == path {
        true => (format!("this is {what}"), format!("write `source = \"{source}\"`")),
        false => (format!("it holds {what}, in {}", shown(&at)), format!("write `source = \"{source}\"`")),
    };
    if at != path {
        remedy.push_str(&format!(" and set `path` to {}", shown(&at)));
    }
    Some(Fault::at(path, message, remedy))
}

/// The datasets that a folder, or a file, itself holds.
fn at(path: &Path) -> Vec<Found> {
    let found = |what, source| Found { what, source, at: path.to_owned() };
    if path.is_file() {
        let ending = ending(path);
        return ENDINGS.iter().filter(|(.., of)| ending == *of).map(|&(what, source, _)| found(what, source)).collect();
    }
    let has = |name: &&str| path.join(name).is_file();
    let known = KNOWN.iter().filter(|(.., sign)| match sign {
        Any(names) => names.iter().any(has),
        All(names) => names.iter().all(has),
    });
    let mut all: Vec<Found> = known.map(|&(what, source, _)| found(what, source)).collect();
    let files = entries(path);
    if files.iter().any(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("emnist-"))) {
        all.push(found("EMNIST", "mnist"));
    }
    for (what, source, of) in ENDINGS {
        // An archive that is to be unpacked is named by a word, shards are numbered.
        let numbered = |file: &Path| {
            file.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with(|c: char| c.is_ascii_digit()))
        };
        if files.iter().any(|file| ending(file) == of && file.is_file() && (of != "tar" || numbered(file))) {
            all.push(found(what, source));
        }
    }
    if all.is_empty() && holds_images(path) {
        all.push(found("a folder of images", "image_folder"));
    }
    all
}

/// True for folders `train` and `test`, and for folders with images in them.
fn holds_images(path: &Path) -> bool {
    let images = |folder: &Path| entries(folder).iter().any(|file| super::encoded::is_named_like_an_image(file));
    let both = ["train", "test"].iter().all(|part| path.join(part).is_dir());
    let inside = || {
        folders(path)
            .iter()
            .take(20)
            .any(|folder| images(folder) || folders(folder).iter().take(20).any(|folder| images(folder)))
    };
    both || inside()
}

/// The first entries of a folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().take(MOST).map(|entry| entry.path()).collect();
    entries.sort_unstable();
    entries
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.is_dir()).collect()
}

fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_folder_holds_is_said_with_its_source() {
        let dir = tempfile::tempdir().unwrap();
        let said =
            |source: &str| instead(dir.path(), source).map(|fault| format!("{}; {}", fault.message, fault.remedy));
        assert_eq!(said("cifar10"), None);
        for (files, source, words) in [
            (
                &["meta", "train", "test"][..],
                "cifar100",
                "this is the Python version of CIFAR-100; write `source = \"c",
            ),
            (&["data_batch_1"], "cifar10", "this is the Python version of CIFAR-10; write"),
            (&["emnist-letters-train-images-idx3-ubyte.gz"], "mnist", "this is EMNIST; write `source = \"mnist\"`"),
            (&["train-0000.tar"], "webdataset", "this is tar archives of WebDataset"),
            (&["photos/cat/1.png"], "image_folder", "this is a folder of images"),
            (&["MNIST/raw/train-images-idx3-ubyte"], "mnist", "raw; write `source = \"mnist\"` and set `path` to "),
            (&["data/train-0.parquet"], "parquet", "it holds Parquet files, in "),
        ] {
            for file in files {
                let path = dir.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "x").unwrap();
            }
            let text = said("stl10").unwrap();
            assert!(text.contains(words), "{text}");
            assert_eq!(said(source), None, "{source}");
            for file in files {
                let top = dir.path().join(file.split('/').next().unwrap());
                if top.is_dir() { fs::remove_dir_all(top).unwrap() } else { fs::remove_file(top).unwrap() }
            }
        }
    }
}
