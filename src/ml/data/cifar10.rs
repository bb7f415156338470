//! CIFAR-10 in its binary layout: records of one label byte and 3,072 pixel bytes (planes R, G, B of 32 x 32).

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::ImageSet;
use crate::ml::{Error, Result};

const SIZE: [usize; 3] = [3, 32, 32];
const RECORD: usize = 1 + 3 * 32 * 32;
const CLASSES: &str = "batches.meta.txt";
const TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
const TEST: [&str; 1] = ["test_batch.bin"];

/// The files that make up the dataset, in the order in which they are read. Some of them may be missing.
///
/// # Errors
/// If all are missing: this is not the folder.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let files: Vec<PathBuf> = [CLASSES].iter().chain(&TRAIN).chain(&TEST).map(|name| dir.join(name)).collect();
    if files.iter().any(|file| file.exists()) {
        return Ok(files);
    }
    let what = if dir.is_dir() { "holds none of the files of" } else { "is not there; it should be the folder of" };
    let message = format!("{what} CIFAR-10's binary version ({}, {}, …)", CLASSES, TRAIN[0]);
    Err(wrong(dir, message))
}

/// Numbers of training and test images, from the sizes of the files; none if a file is missing or ends inside a record.
#[must_use]
pub fn count(dir: &Path) -> Option<(usize, usize)> {
    let images = |names: &[&str]| -> Option<usize> {
        names
            .iter()
            .map(|name| {
                let bytes = usize::try_from(fs::metadata(dir.join(name)).ok()?.len()).ok()?;
                bytes.is_multiple_of(RECORD).then_some(bytes / RECORD)
            })
            .sum()
    };
    Some((images(&TRAIN)?, images(&TEST)?))
}

/// Reads the training images (of all five files, in order) and the test images. Files may hold any number of records.
///
/// # Errors
/// If a file is missing, unreadable or ends inside a record, a label has no class, or a split is empty.
pub fn load(dir: &Path) -> Result<(ImageSet, ImageSet)> {
    let path = dir.join(CLASSES);
    let text = String::from_utf8(read(dir, CLASSES)?)
        .map_err(|_| wrong(&path, "not text; it should name one class a line".into()))?;
    let classes: Vec<String> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect();
    if classes.is_empty() {
        return Err(wrong(&path, "names no class; it should name one a line".into()));
    }
    Ok((load_split(dir, &TRAIN, &classes)?, load_split(dir, &TEST, &classes)?))
}

fn load_split(dir: &Path, names: &[&str], classes: &[String]) -> Result<ImageSet> {
    let mut set = ImageSet { pixels: Vec::new(), labels: Vec::new(), size: SIZE, classes: classes.to_vec() };
    for name in names {
        let (path, bytes) = (dir.join(name), read(dir, name)?);
        let (records, rest) = bytes.as_chunks::<RECORD>();
        if !rest.is_empty() {
            let message = format!(
                "truncated: {} bytes are {} records of {RECORD} bytes and {} more; a whole file of the original \
                 dataset has 30730000 bytes",
                bytes.len(),
                records.len(),
                rest.len()
            );
            return Err(wrong(&path, message));
        }
        set.pixels.reserve(records.len() * (RECORD - 1));
        for (index, record) in records.iter().enumerate() {
            if usize::from(record[0]) >= classes.len() {
                let message = format!(
                    "record {index} has label {}, but {CLASSES} names {} classes (labels 0 to {})",
                    record[0],
                    classes.len(),
                    classes.len() - 1
                );
                return Err(wrong(&path, message));
            }
            set.labels.push(u32::from(record[0]));
            set.pixels.extend_from_slice(&record[1..]);
        }
    }
    if set.is_empty() {
        return Err(wrong(dir, format!("no images in {}", names.join(", "))));
    }
    Ok(set)
}

fn read(dir: &Path, name: &str) -> Result<Vec<u8>> {
    let path = dir.join(name);
    fs::read(&path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => wrong(&path, format!("no such file; {}", advice(dir))),
        _ => Error::Io { path, source },
    })
}

/// What to do about a file that is missing.
fn advice(dir: &Path) -> String {
    let nested = "cifar-10-batches-bin";
    if dir.join(nested).is_dir() {
        format!("the dataset seems to be in the folder {nested} inside")
    } else if dir.join("data_batch_1").is_file() {
        "this is the Python version of CIFAR-10; the binary version is needed (cifar-10-binary.tar.gz)".into()
    } else {
        format!("the binary version of CIFAR-10 has {CLASSES}, data_batch_1.bin to data_batch_5.bin and {}", TEST[0])
    }
}

fn wrong(path: &Path, message: String) -> Error {
    Error::Data { path: path.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dataset of `[2, 0, 1, 1, 1]` training images and 3 test images, image i filled with its running number.
    fn sample() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(CLASSES), "cat\ndog\n\n").unwrap();
        let mut next = 0_u8;
        for (name, images) in TRAIN.iter().chain(&TEST).zip([2, 0, 1, 1, 1, 3]) {
            let mut bytes = Vec::new();
            for _ in 0..images {
                bytes.push(next % 2);
                bytes.extend([next; RECORD - 1]);
                next += 1;
            }
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        dir
    }

    #[test]
    fn reads_records_in_order() {
        let dir = sample();
        let (train, test) = load(dir.path()).unwrap();
        assert_eq!(train.labels, [0, 1, 0, 1, 0]);
        assert_eq!(test.labels, [1, 0, 1]);
        assert_eq!(train.classes, ["cat", "dog"]);
        assert!((0..5).all(|i| train.image(i).iter().all(|&p| usize::from(p) == i)));
        assert_eq!(count(dir.path()), Some((5, 3)));
        let files = files(dir.path()).unwrap();
        assert_eq!(files.len(), 7);
        assert!(files.iter().all(|f| f.is_file()));
    }

    fn message(dir: &Path) -> String {
        load(dir).unwrap_err().to_string()
    }

    #[test]
    fn a_missing_file_is_named_with_what_would_be_right() {
        let dir = sample();
        fs::remove_file(dir.path().join("data_batch_3.bin")).unwrap();
        let text = message(dir.path());
        assert!(text.contains("data_batch_3.bin: no such file; the binary version of CIFAR-10 has"), "{text}");
        assert_eq!(count(dir.path()), None);

        let outer = tempfile::tempdir().unwrap();
        fs::create_dir(outer.path().join("cifar-10-batches-bin")).unwrap();
        assert!(message(outer.path()).contains("in the folder cifar-10-batches-bin inside"));
        fs::remove_dir(outer.path().join("cifar-10-batches-bin")).unwrap();
        fs::write(outer.path().join("data_batch_1"), "").unwrap();
        assert!(message(outer.path()).contains("the binary version is needed"));
    }

    #[test]
    fn a_truncated_file_is_named() {
        let dir = sample();
        let path = dir.path().join("test_batch.bin");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..2 * RECORD + 5]).unwrap();
        let text = message(dir.path());
        assert!(
            text.contains("test_batch.bin: truncated: 6151 bytes are 2 records of 3073 bytes and 5 more"),
            "{text}"
        );
        assert_eq!(count(dir.path()), None);
    }

    #[test]
    fn a_label_without_a_class_is_named() {
        let dir = sample();
        let path = dir.path().join("data_batch_1.bin");
        let mut bytes = fs::read(&path).unwrap();
        bytes[RECORD] = 2;
        fs::write(&path, bytes).unwrap();
        let text = message(dir.path());
        assert!(
            text.contains("data_batch_1.bin: record 1 has label 2, but batches.meta.txt names 2 classes"),
            "{text}"
        );
    }

    #[test]
    fn empty_splits_and_class_lists_are_errors() {
        let dir = sample();
        fs::write(dir.path().join("test_batch.bin"), "").unwrap();
        assert!(message(dir.path()).contains("no images in test_batch.bin"));
        fs::write(dir.path().join(CLASSES), "\n").unwrap();
        assert!(message(dir.path()).contains("names no class"));
    }
}
