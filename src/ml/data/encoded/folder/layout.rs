//! The layout of a dataset: splits, classes as folders or as prefixes of names, and remedies for other layouts.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use unicode_normalization::UnicodeNormalization;

use super::{
    format::{self, Kind},
    walk::{Content, State, Walk},
};
use crate::ml::{
    Result,
    data::{Fault, Faults, fault::ABSENT, names, shown},
};

/// Checks that `root` is a folder with both splits.
///
/// # Errors
/// If it is not. The error says what `root` seems to be.
pub(super) fn check(root: &Path) -> Result<()> {
    let belong = format!("images belong into {0}/train/CLASS/ and {0}/test/CLASS/", shown(root));
    if root.is_file() {
        let remedy = "unpack it if it is an archive, and set `path` to the folder of the unpacked files";
        return Err(Fault::at(root, format!("a file, but it should be a folder; {belong}"), remedy).into());
    }
    if !root.is_dir() {
        return Err(Fault::at(root, format!("no such folder; {belong}"), ABSENT).into());
    }
    let missing: Vec<&str> = ["train", "test"].into_iter().filter(|split| !root.join(split).is_dir()).collect();
    let faults = missing.iter().map(|split| {
        let message = format!("no such folder; {belong}");
        Fault::at(&root.join(split), message, missing_split(root, split))
    });
    let mut faults = Faults(faults.collect());
    if let ([_, _], Some(inside)) = (missing.as_slice(), inside(root)) {
        let remedy = format!("the dataset seems to be in a folder inside; set `path` to {inside}");
        faults =
            Faults(vec![Fault::at(root, format!("no folder `train` and no folder `test` in it; {belong}"), remedy)]);
    }
    Ok(faults.none()?)
}

/// The remedy for a missing folder of a split.
fn missing_split(root: &Path, split: &str) -> String {
    let others: &[&str] = match split {
        "train" => &["train", "training", "trn"],
        _ => &["test", "testing", "val", "valid", "validation", "eval", "dev"],
    };
    let found = folders(root).into_iter().find(|folder| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        others.contains(&name.as_str())
    });
    match found {
        Some(found) => {
            let name = shown(Path::new(found.file_name().unwrap_or_default()));
            format!("rename the folder `{name}` to `{split}`, or link it: ln -s {name} {}", shown(&root.join(split)))
        }
        None => format!("move some images of each class into it; no other folder is read as `{split}`"),
    }
}

/// A folder directly inside `root` that has both splits.
fn inside(root: &Path) -> Option<String> {
    let found = folders(root).into_iter().find(|folder| folder.join("train").is_dir() && folder.join("test").is_dir());
    found.map(|folder| shown(&folder))
}

/// The folders directly inside, sorted, without hidden ones.
fn folders(root: &Path) -> Vec<PathBuf> {
    entries(root).into_iter().filter(|path| path.is_dir()).collect()
}

/// The entries directly inside, sorted, without hidden files and files that operating systems leave.
fn entries(root: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.retain(|path| !format::is_litter(path));
    entries.sort_unstable();
    entries
}

/// The names of the folders and images beside the splits, which are not read.
pub(super) fn beside(root: &Path) -> Vec<String> {
    let others = entries(root).into_iter().filter(|path| match path.is_dir() {
        true => !path.ends_with("train") && !path.ends_with("test"),
        false => match Kind::of(&format::ending(path)) {
            Kind::Image | Kind::Unreadable => true,
            Kind::Unknown => path.is_file() && format::sniff(path).is_some(),
            Kind::Other => false,
        },
    });
    others.map(|path| shown(Path::new(path.file_name().unwrap_or_default()))).collect()
}

/// The images of a split in order, each with its class.
///
/// # Errors
/// If a folder cannot be listed. Mistakes in the layout are added to `faults`.
pub(super) fn split(
    dir: &Path,
    walk: &mut Walk,
    above: &mut Vec<State>,
    faults: &mut Faults,
) -> Result<Vec<(PathBuf, String)>> {
    let depth = above.len();
    let Content { folders, images: loose } = walk.list(dir, above)?;
    let mut found = Vec::new();
    let (mut empty, mut not_text) = (Vec::new(), Vec::new());
    for folder in &folders {
        let images = walk.images(folder, above)?;
        match folder.file_name().and_then(OsStr::to_str) {
            None => not_text.push(shown(folder)),
            Some(_) if images.is_empty() => empty.push(shown(folder)),
            Some(class) => found.extend(images.into_iter().map(|path| (path, class.to_owned()))),
        }
    }
    above.truncate(depth);
    let mut unclassed = Vec::new();
    for path in loose.iter().filter(|_| folders.is_empty()) {
        match path.file_stem().and_then(OsStr::to_str) {
            None => not_text.push(shown(path)),
            Some(stem) => match prefix(stem) {
                Some(class) => found.push((path.clone(), class.to_owned())),
                None => unclassed.push(shown(path)),
            },
        }
    }
    if folders.is_empty() && loose.is_empty() {
        let remedy = "put images into a folder for each class; hidden files do not count";
        faults.0.push(Fault::at(dir, "no image in it", remedy));
    }
    if !folders.is_empty() {
        let loose: Vec<String> = loose.iter().map(|path| shown(path)).collect();
        let first = folders.first().map(|folder| shown(folder)).unwrap_or_default();
        let (one, many) = (format!("an image beside the class folder {first}"), "images are beside class folders");
        faults.shared(&loose, &one, many, "use either class folders or prefixes of names, not both");
    }
    faults.shared(
        &empty,
        "a class without an image",
        "classes have no image",
        "put images there, or remove the folder",
    );
    faults.shared(
        &unclassed,
        "no class in the name",
        "images have no class in their names",
        "name them like cat_001.jpg, or put them into a folder for each class",
    );
    faults.shared(
        &not_text,
        "a class whose name is not UTF-8",
        "names of classes are not UTF-8",
        "rename them, for example with `convmv -f latin1 -t utf8 -r --notest` (or the encoding that they have)",
    );
    Ok(found)
}

/// The class in a stem like `sea_lion_012`: the part before the last `_`, `.` or `-`, if digits follow.
pub(super) fn prefix(stem: &str) -> Option<&str> {
    let (class, number) = stem.rsplit_once(['_', '.', '-'])?;
    (!class.is_empty() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(class)
}

/// Reports classes of `test` that `train` does not have.
pub(super) fn strays(test: &[(PathBuf, String)], classes: &[String], faults: &mut Faults) {
    let mut strays: Vec<&str> = Vec::new();
    for (_, class) in test {
        if classes.binary_search(class).is_err() && strays.last() != Some(&class.as_str()) {
            strays.push(class);
        }
    }
    strays.sort_unstable();
    strays.dedup();
    if strays.is_empty() || classes.is_empty() {
        return;
    }
    let quoted = |names: &[&str]| -> Vec<String> { names.iter().map(|name| format!("`{name}`")).collect() };
    let known: Vec<&str> = classes.iter().map(String::as_str).collect();
    let (word, verb) = if strays.len() == 1 { ("class", "is") } else { ("classes", "are") };
    let message = format!(
        "{word} {} of test {verb} not among those of train: {}",
        names(&quoted(&strays)),
        names(&quoted(&known))
    );
    let twin = strays.iter().find_map(|stray| {
        let twin = classes.iter().find(|class| class.nfc().eq(stray.nfc()))?;
        Some(format!(
            "`{stray}` is written with other characters in test ({}) than in train ({}); rename one of the folders",
            code_points(stray),
            code_points(twin)
        ))
    });
    let remedy = twin.unwrap_or_else(|| "add images of them to train, or remove them from test".to_owned());
    faults.0.push(Fault { message, remedy });
}

/// The text with all characters except ASCII written as code points.
fn code_points(text: &str) -> String {
    let escape = |c: char| if c.is_ascii() { c.to_string() } else { c.escape_unicode().to_string() };
    text.chars().map(escape).collect()
}
