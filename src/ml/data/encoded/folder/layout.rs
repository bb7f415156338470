//! The layout of a dataset: splits, classes as folders or as prefixes of names, and remedies for other layouts.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use super::{
    Naming, annotations,
    format::{self, Kind},
    walk::{Content, State, Walk},
};
use crate::ml::{
    Result,
    data::{Fault, Faults, Split, fault::ABSENT, shown},
};

/// The parts of the dataset in `root`, each with its folder: `train` and `test`, or all images if `whole`.
///
/// # Errors
/// If `root` or a part is not there. The error says what `root` seems to be.
pub(super) fn parts(root: &Path, naming: Naming, whole: bool) -> Result<Vec<(Split, PathBuf)>> {
    let below = if naming == Naming::None { "" } else { "CLASS/" };
    let belong = match whole {
        true => format!("images belong into {}/{below}", shown(root)),
        false => format!("images belong into {0}/train/{below} and {0}/test/{below}", shown(root)),
    };
    if root.is_file() {
        let remedy = "unpack it if it is an archive, and set `path` to the folder of the unpacked files";
        return Err(Fault::at(root, format!("a file, but it should be a folder; {belong}"), remedy).into());
    }
    if !root.is_dir() {
        return Err(Fault::at(root, format!("no such folder; {belong}"), ABSENT).into());
    }
    let [has_train, has_test] = ["train", "test"].map(|part| root.join(part).is_dir());
    if whole {
        return match (has_train, has_test) {
            (true, true) => {
                let remedy = "leave `split` out; validation images are taken from `train` by `val_fraction`";
                Err(Fault::at(root, "has images to train on and to test on, in `train` and `test`", remedy).into())
            }
            (true, false) => Ok(vec![(Split::Train, root.join("train"))]),
            _ => Ok(vec![(Split::Train, root.to_owned())]),
        };
    }
    if annotations::file(root, naming, whole).is_some() {
        let images = root.join("val/images");
        let test = if images.is_dir() { images } else { root.join("val") };
        return Ok(vec![(Split::Train, root.join("train")), (Split::Test, test)]);
    }
    let missing: Vec<&str> = ["train", "test"].into_iter().filter(|split| !root.join(split).is_dir()).collect();
    let faults = missing.iter().map(|split| {
        let message = format!("no such folder; {belong}");
        Fault::at(&root.join(split), message, missing_split(root, split))
    });
    let mut faults = Faults(faults.collect());
    if missing.len() == 2 {
        let remedy = match inside(root) {
            Some(inside) => format!("the dataset seems to be in a folder inside; set `path` to {inside}"),
            None => "write `split = { test = 0.2 }` to hold out test images at random, or move images into these \
                     folders"
                .to_owned(),
        };
        faults =
            Faults(vec![Fault::at(root, format!("no folder `train` and no folder `test` in it; {belong}"), remedy)]);
    }
    faults.none()?;
    Ok(vec![(Split::Train, root.join("train")), (Split::Test, root.join("test"))])
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
        None if split == "test" => "move some images of each class into it, or hold them out of `train` by \
                                    `split = { test = 0.2 }`"
            .to_owned(),
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

/// The names of the folders and images beside the splits, which are not read. `val` is a split if it has annotations.
pub(super) fn beside(root: &Path, val: bool) -> Vec<String> {
    let others = entries(root).into_iter().filter(|path| match path.is_dir() {
        true => {
            let read: &[&str] = if val { &["train", "test", "val"] } else { &["train", "test"] };
            !read.iter().any(|part| path.ends_with(part))
        }
        false => match Kind::of(&format::ending(path)) {
            Kind::Image | Kind::Unreadable => true,
            Kind::Unknown => path.is_file() && format::sniff(path).is_some(),
            Kind::Other => false,
        },
    });
    others.map(|path| shown(Path::new(path.file_name().unwrap_or_default()))).collect()
}

/// The images of a split in order, each with its class; an empty one if images have none.
///
/// # Errors
/// If a folder cannot be listed. Mistakes in the layout are added to `faults`.
pub(super) fn split(
    dir: &Path,
    naming: Naming,
    walk: &mut Walk,
    above: &mut Vec<State>,
    faults: &mut Faults,
) -> Result<Vec<(PathBuf, String)>> {
    let depth = above.len();
    let Content { folders, images: loose } = match naming {
        Naming::FolderOrPrefix | Naming::Folder => walk.list(dir, above)?,
        Naming::Prefix | Naming::None => Content { folders: Vec::new(), images: walk.images(dir, above)? },
    };
    if naming == Naming::None && !loose.is_empty() {
        above.truncate(depth);
        return Ok(loose.into_iter().map(|path| (path, String::new())).collect());
    }
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
        let remedy = match naming {
            Naming::FolderOrPrefix | Naming::Folder => {
                "put images into a folder for each class; hidden files do not count"
            }
            Naming::Prefix | Naming::None => "put images there; hidden files do not count",
        };
        faults.0.push(Fault::at(dir, "no image in it", remedy));
    }
    if folders.is_empty() && naming == Naming::Folder && !loose.is_empty() {
        let remedy = "put images into a folder for each class, or write `labels = \"prefix\"` or `labels = \"none\"`";
        faults.0.push(Fault::at(dir, "images without a class folder", remedy));
        return Ok(Vec::new());
    }
    if !folders.is_empty() {
        let loose: Vec<String> = loose.iter().map(|path| shown(path)).collect();
        let first = folders.first().map(|folder| shown(folder)).unwrap_or_default();
        let (one, many) = (format!("an image beside the class folder {first}"), "images are beside class folders");
        faults.shared(
            &loose,
            &one,
            many,
            "use either class folders or prefixes of names, not both; or write `labels = \"none\"`",
        );
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
        "name them like cat_001.jpg, put them into a folder for each class, or write `labels = \"none\"`",
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
