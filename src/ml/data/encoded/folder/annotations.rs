//! Tiny ImageNet: `train/CLASS/images/`, and `val/images/` with the classes in `val/val_annotations.txt`. The images to
//! validate on are the test images, since those of `test` have no labels.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    Naming,
    walk::{State, Walk},
};
use crate::ml::{
    Error, Result,
    data::{Fault, Faults, shown},
};

/// Its place in the root of the dataset.
const FILE: &str = "val/val_annotations.txt";
/// The longest file that is read, in bytes.
const LONGEST: u64 = 64 << 20;
const REMEDY: &str = "each line has the name of an image and its class, separated by a tab, as in Tiny ImageNet";

/// The file of annotations, if the dataset is read by it.
pub(super) fn file(root: &Path, naming: Naming, whole: bool) -> Option<PathBuf> {
    let file = root.join(FILE);
    let by_folder = matches!(naming, Naming::FolderOrPrefix | Naming::Folder);
    (by_folder && !whole && root.join("train").is_dir() && file.is_file()).then_some(file)
}

/// The images of `dir` with the classes that the file gives them, by class and then by path.
///
/// # Errors
/// If the folder or the file cannot be read. Images without a class are added to `faults`.
pub(super) fn split(
    dir: &Path,
    file: &Path,
    walk: &mut Walk,
    above: &mut Vec<State>,
    faults: &mut Faults,
) -> Result<Vec<(PathBuf, String)>> {
    let classes = classes(file)?;
    let mut unclassed = Vec::new();
    let mut found = Vec::new();
    for path in walk.images(dir, above)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match classes.get(&name) {
            Some(class) => found.push((path, class.clone())),
            None => unclassed.push(shown(&path)),
        }
    }
    let file = shown(file);
    let (one, many) = (format!("{file} gives it no class"), format!("images have no class in {file}"));
    faults.shared(&unclassed, &one, &many, REMEDY);
    if found.is_empty() && unclassed.is_empty() {
        faults.0.push(Fault::at(dir, "no image in it", "unpack the dataset anew"));
    }
    found.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    Ok(found)
}

/// The class of each image by its name.
fn classes(file: &Path) -> Result<BTreeMap<String, String>> {
    let io = |source| Error::Io { path: file.to_owned(), source };
    if fs::metadata(file).map_err(io)?.len() > LONGEST {
        return Err(Fault::at(file, "longer than a list of annotations can be", REMEDY).into());
    }
    let text = String::from_utf8(fs::read(file).map_err(io)?).map_err(|_| Fault::at(file, "not text", REMEDY))?;
    let mut classes = BTreeMap::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut words = line.split('\t');
        let (Some(name), Some(class)) = (words.next(), words.next()) else {
            return Err(Fault::at(file, format!("line {} names no class", at + 1), REMEDY).into());
        };
        classes.insert(name.trim().to_owned(), class.trim().to_owned());
    }
    Ok(classes)
}
