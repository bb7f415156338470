//! Advice about a folder that does not hold the files of CIFAR.

use std::path::Path;

use super::files::{Files, PIXELS, Which};
use crate::ml::{
    Result,
    data::{Fault, Faults, fault, shown},
};

/// Fails if the folder as a whole is wrong.
pub(super) fn folder(dir: &Path, which: Which) -> Result<()> {
    let name = which.name();
    fault::folder(dir, &format!("the folder of {name}'s files"))?;
    let (binary, python) = (which.binary(), which.python());
    if binary.all().chain(python.all()).any(|name| dir.join(name).exists()) {
        return Ok(());
    }
    let message = format!(
        "holds none of the files of {name}, neither of its binary version ({}, {}, …) nor of its Python version ({}, {}, …)",
        binary.classes, binary.train[0], python.classes, python.train[0]
    );
    let archives = [binary.archive, python.archive];
    let plain = archives.map(|archive| archive.trim_end_matches(".gz"));
    let archive = archives.into_iter().chain(plain).find(|name| dir.join(name).is_file());
    let parts: Vec<&str> = binary.train.iter().chain(python.train).copied().collect();
    let remedy = match (fault::inside(dir, &parts), archive) {
        (Some(inside), _) => format!("the dataset seems to be in a folder inside; set `path` to {inside}"),
        (None, Some(archive)) => format!("unpack {archive}, and set `path` to the folder that it makes"),
        (None, None) => {
            format!("unpack {} or {}, and set `path` to the folder that it makes", binary.archive, python.archive)
        }
    };
    Err(Fault::at(dir, message, remedy).into())
}

/// Fails if files of a version are missing.
pub(super) fn missing(dir: &Path, which: Which, version: &str, files: &Files) -> Faults {
    let absent: Vec<&str> = files.all().filter(|name| !dir.join(name).exists()).collect();
    let remedy = if absent == [files.classes] && files.classes.ends_with(".txt") {
        let (classes, archive) = (files.classes, files.archive);
        format!(
            "{classes} names the classes, one on each line in the order of the labels; take it from {archive}, or write it"
        )
    } else {
        let all: Vec<&str> = files.all().collect();
        format!("the {version} version of {} ({}) has {}; unpack it anew", which.name(), files.archive, all.join(", "))
    };
    let absent: Vec<String> = absent.iter().map(|name| shown(&dir.join(name))).collect();
    let mut faults = Faults::default();
    let many = format!("files of {}'s {version} version are missing", which.name());
    faults.shared(&absent, "no such file", &many, &remedy);
    faults
}

/// The fault of a file of the binary version of this many bytes, if it has one.
pub(super) fn size(path: &Path, bytes: u64, record: usize, whole: usize) -> Option<Fault> {
    let whole =
        format!("a whole file of the original dataset has {} bytes; unpack or download it anew", whole * record);
    let (records, rest) = (bytes / record as u64, bytes % record as u64);
    if bytes == 0 {
        return Some(Fault::at(path, "empty", whole));
    }
    let message = format!("truncated: {bytes} bytes are {records} records of {record} bytes and {rest} more");
    (rest != 0).then(|| Fault::at(path, message, whole))
}

/// The fault of a file of the Python version whose array has another shape, or whose labels are not as many.
pub(super) fn shape(path: &Path, shape: &[u64], labels: usize) -> Option<Fault> {
    let fits = matches!(*shape, [images, pixels] if images == labels as u64 && pixels == PIXELS as u64 && images > 0);
    let message = format!("`data` is {shape:?}, and [N, {PIXELS}] was expected, for {labels} labels");
    (!fits).then(|| Fault::at(path, message, "unpack or download it anew"))
}
