//! Advice about a folder that does not hold the files of CIFAR-10: it names the folder or the version that the user
//! seems to have.

use std::{fs, path::Path};

use super::files::{CLASSES, RECORD, TEST, TRAIN, WHOLE};
use crate::ml::{
    Result,
    data::{Fault, fault::ABSENT, shown},
};

/// The remedy for a label that no class has.
pub(super) const LABELS: &str = "use the files of CIFAR-10's binary version, all from one archive; CIFAR-100 has another \
                                 layout";

/// Fails if the folder as a whole is wrong.
pub(super) fn folder(dir: &Path) -> Result<()> {
    if dir.is_file() {
        let remedy = "unpack it if it is an archive, and set `path` to the folder of the unpacked files";
        return Err(Fault::at(dir, "a file; it should be the folder of CIFAR-10's binary version", remedy).into());
    }
    if !dir.is_dir() {
        let message = "is not there; it should be the folder of CIFAR-10's binary version";
        return Err(Fault::at(dir, message, ABSENT).into());
    }
    if [CLASSES, TEST].iter().chain(&TRAIN).any(|name| dir.join(name).exists()) {
        return Ok(());
    }
    let message = format!("holds none of the files of CIFAR-10's binary version ({CLASSES}, {}, …)", TRAIN[0]);
    Err(Fault::at(dir, message, missing(dir)).into())
}

/// The remedy for files that are missing in a folder.
pub(super) fn missing(dir: &Path) -> String {
    let has = |name: &str| dir.join(name).is_file();
    if let Some(inside) = inside(dir) {
        return format!("the dataset seems to be in a folder inside; set `path` to {inside}");
    }
    if has("data_batch_1") || has("batches.meta") {
        return "this is the Python version of CIFAR-10; the binary version is needed (cifar-10-binary.tar.gz)".into();
    }
    if has("fine_label_names.txt") || (has("train.bin") && has("test.bin")) {
        return "this is the binary version of CIFAR-100, which cannot be read; CIFAR-10's is needed \
                (cifar-10-binary.tar.gz)"
            .into();
    }
    if has("meta") && has("train") && has("test") {
        return "this is the Python version of CIFAR-100, which cannot be read; CIFAR-10's binary version is needed \
                (cifar-10-binary.tar.gz)"
            .into();
    }
    if let Some(archive) = ["cifar-10-binary.tar.gz", "cifar-10-binary.tar"].into_iter().find(|name| has(name)) {
        return format!("unpack {archive}, and set `path` to the folder that it makes");
    }
    if TRAIN.iter().chain([&TEST]).all(|name| has(name)) {
        return format!(
            "{CLASSES} names the classes, one on each line in the order of the labels; take it from \
             cifar-10-binary.tar.gz, or write it"
        );
    }
    format!(
        "the binary version of CIFAR-10 (cifar-10-binary.tar.gz) has {CLASSES}, {} to {} and {TEST}; unpack it anew",
        TRAIN[0], TRAIN[4]
    )
}

/// A folder directly inside that has files of the dataset.
fn inside(dir: &Path) -> Option<String> {
    let mut folders: Vec<_> = fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path()).collect();
    folders.retain(|folder| TRAIN.iter().any(|name| folder.join(name).is_file()));
    folders.sort_unstable();
    folders.first().map(|folder| shown(folder))
}

/// The fault of a file of this many bytes, if it has one.
pub(super) fn size(path: &Path, bytes: usize) -> Option<Fault> {
    let whole =
        format!("a whole file of the original dataset has {} bytes; unpack or download it anew", WHOLE * RECORD);
    let (records, rest) = (bytes / RECORD, bytes % RECORD);
    if bytes == 0 {
        return Some(Fault::at(path, "empty", whole));
    }
    let message = format!("truncated: {bytes} bytes are {records} records of {RECORD} bytes and {rest} more");
    (rest != 0).then(|| Fault::at(path, message, whole))
}
