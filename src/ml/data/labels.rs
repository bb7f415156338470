//! Names of classes, and checks of labels.

use std::{fs, path::Path};

use super::Fault;
use crate::ml::{Error, Result};

/// The longest file of names that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// The names in a file, one on each line.
///
/// # Errors
/// If it is not text, names no class, or one twice.
pub(super) fn names(path: &Path) -> Result<Vec<String>> {
    let remedy = "write the name of one class on each line, in the order of the labels";
    let io = |source| Error::Io { path: path.to_owned(), source };
    if fs::metadata(path).map_err(io)?.len() > LONGEST {
        return Err(Fault::at(path, "longer than a list of classes can be", remedy).into());
    }
    let bytes = fs::read(path).map_err(io)?;
    let text = String::from_utf8(bytes).map_err(|_| Fault::at(path, "not text", remedy))?;
    let classes: Vec<String> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect();
    distinct(path, classes, remedy)
}

/// The names themselves, if there are some and all differ.
pub(super) fn distinct(path: &Path, classes: Vec<String>, remedy: &str) -> Result<Vec<String>> {
    if classes.is_empty() {
        return Err(Fault::at(path, "names no class", remedy).into());
    }
    if let Some(again) = (1..classes.len()).find(|&at| classes[..at].contains(&classes[at])) {
        let message = format!("names the class `{}` twice", classes[again]);
        return Err(Fault::at(path, message, remedy).into());
    }
    Ok(classes)
}

/// Fails at the first label that has no class. `what` is a label's place: `image`, `record`; `namer` names the classes.
pub(super) fn require(
    path: &Path,
    labels: &[u32],
    classes: usize,
    what: &str,
    namer: &str,
    remedy: &str,
) -> Result<()> {
    let Some(at) = labels.iter().position(|&label| label as usize >= classes) else { return Ok(()) };
    let message = format!(
        "{what} {at} has label {}, but {namer} names {classes} classes (labels 0 to {})",
        labels[at],
        classes - 1
    );
    Err(Fault::at(path, message, remedy).into())
}

/// The most classes that labels without names may have: a label of 32 bits could ask for any number of names.
const MOST: u32 = 1 << 16;

/// Names for the labels from 0 to the largest: their numbers.
///
/// # Errors
/// If a label is so large that it cannot be the number of a class.
pub(super) fn numbered<'a>(path: &Path, labels: impl IntoIterator<Item = &'a u32>) -> Result<Vec<String>> {
    let largest = labels.into_iter().copied().max().unwrap_or_default();
    if largest >= MOST {
        let remedy = "labels are whole numbers from 0; check that the file is whole and what its labels mean";
        return Err(Fault::at(path, format!("has the label {largest}"), remedy).into());
    }
    Ok((0..=largest).map(|label| label.to_string()).collect())
}
