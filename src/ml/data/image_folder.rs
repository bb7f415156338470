//! Folders of JPEG and PNG files, with the class as a folder or as the prefix of the file's name.
//!
//! `ROOT/{train,test}/CLASS/NAME.jpg`, or `ROOT/{train,test}/CLASS_NNN.jpg` (or `CLASS.NNN.jpg`, `CLASS-NNN.jpg`). Images
//! are in the order of their paths. Hidden files and files with other endings are passed over. Greyscale, CMYK and
//! 16-bit images become 8-bit RGB; an alpha channel and an EXIF orientation are ignored.

use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;
use rayon::prelude::*;

use super::{
    ImageSet,
    resize::{self, Resize},
};
use crate::ml::{Error, Result};

/// One image file and its class.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    path: PathBuf,
    class: String,
}

/// All image files: those of `train`, then those of `test`, each in the order of their paths.
///
/// # Errors
/// If a folder is missing, unreadable or without images, or a file's name gives no class.
pub fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let [train, test] = list(root)?;
    Ok(train.into_iter().chain(test).map(|entry| entry.path).collect())
}

/// Numbers of training and test images, without opening one; none if [`files`] would fail.
#[must_use]
pub fn count(root: &Path) -> Option<(usize, usize)> {
    let [train, test] = list(root).ok()?;
    Some((train.len(), test.len()))
}

/// Reads the training and the test images. With a `size` they become squares of that edge, as `how` says; without, all
/// images must have the same size. Classes are those of `train`, sorted by name.
///
/// # Errors
/// As [`files`]; if a class of `test` is not in `train`, a file cannot be decoded, or sizes differ.
pub fn load(root: &Path, size: Option<usize>, how: Resize) -> Result<(ImageSet, ImageSet)> {
    let [train, test] = list(root)?;
    let mut classes: Vec<String> = train.iter().map(|entry| entry.class.clone()).collect();
    classes.sort_unstable();
    classes.dedup();
    if let Some(stray) = test.iter().find(|entry| classes.binary_search(&entry.class).is_err()) {
        let message = format!("class `{}` is not among those of train: {}", stray.class, classes.join(", "));
        return Err(wrong(&stray.path, message));
    }
    let square = size.map(|edge| (edge, how));
    let train = decode(&train, &classes, square, None)?;
    let test = decode(&test, &classes, square, Some(train.size))?;
    Ok((train, test))
}

fn list(root: &Path) -> Result<[Vec<Entry>; 2]> {
    Ok([list_split(&root.join("train"), root)?, list_split(&root.join("test"), root)?])
}

fn list_split(dir: &Path, root: &Path) -> Result<Vec<Entry>> {
    if !dir.is_dir() {
        let message = format!("no such folder; images belong into {}/{{train,test}}/CLASS/", root.display());
        return Err(wrong(dir, message));
    }
    let (folders, loose) = children(dir)?;
    let mut entries = Vec::new();
    for folder in &folders {
        let (_, images) = children(folder)?;
        if images.is_empty() {
            return Err(wrong(folder, "a class without an image; it should hold JPEG or PNG files".into()));
        }
        let class = name(folder);
        entries.extend(images.into_iter().map(|path| Entry { path, class: class.clone() }));
    }
    if let (Some(path), Some(folder)) = (loose.first(), folders.first()) {
        let message =
            format!("an image beside the class folder {}; use either class folders or prefixes", name(folder));
        return Err(wrong(path, message));
    }
    for path in loose {
        let Some(class) = path.file_stem().and_then(|stem| prefix(stem.to_str()?)) else {
            return Err(wrong(
                &path,
                "no class in the name; it should be like `cat_001.jpg`, or lie in a class folder".into(),
            ));
        };
        entries.push(Entry { class: class.to_owned(), path });
    }
    if entries.is_empty() {
        return Err(wrong(dir, "no JPEG or PNG image in it".into()));
    }
    Ok(entries)
}

/// The folders and the image files in `dir`, each sorted, hidden ones left out.
fn children(dir: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let io = |source| Error::Io { path: dir.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        paths.push(entry.map_err(io)?.path());
    }
    paths.retain(|path| !name(path).starts_with('.'));
    paths.sort_unstable();
    let (folders, mut files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.is_dir());
    files.retain(|path| {
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        matches!(ending.as_deref(), Some("jpg" | "jpeg" | "png"))
    });
    Ok((folders, files))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The class in a stem like `sea_lion_012`: what stands before the last `_`, `.` or `-`, if digits follow it.
fn prefix(stem: &str) -> Option<&str> {
    let (class, number) = stem.rsplit_once(['_', '.', '-'])?;
    (!class.is_empty() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(class)
}

fn decode(
    entries: &[Entry],
    classes: &[String],
    square: Option<(usize, Resize)>,
    wanted: Option<[usize; 3]>,
) -> Result<ImageSet> {
    let decoded: Vec<(Vec<u8>, [usize; 3])> = entries
        .par_iter()
        .map(|entry| {
            let image = read(&entry.path)?;
            let image = match square {
                Some((edge, how)) => resize::square(&image, edge, how),
                None => image,
            };
            Ok((resize::planes(&image), [3, image.height() as usize, image.width() as usize]))
        })
        // Collected whole first, so that of several broken files the first in order is named.
        .collect::<Vec<Result<_>>>()
        .into_iter()
        .collect::<Result<_>>()?;
    let size = wanted.or(decoded.first().map(|(_, size)| *size)).unwrap_or_default();
    let mut set = ImageSet { pixels: Vec::new(), labels: Vec::new(), size, classes: classes.to_vec() };
    set.pixels.reserve(decoded.iter().map(|(pixels, _)| pixels.len()).sum());
    for (entry, (pixels, own)) in entries.iter().zip(decoded) {
        if own != size {
            let message = format!(
                "{} x {} pixels, but the first image has {} x {}; give a `size` to bring all to one",
                own[2], own[1], size[2], size[1]
            );
            return Err(wrong(&entry.path, message));
        }
        let label = classes.binary_search(&entry.class).expect("checked by the caller");
        set.labels.push(label as u32);
        set.pixels.extend(pixels);
    }
    Ok(set)
}

/// Decodes one file, by its content and not by its ending.
fn read(path: &Path) -> Result<RgbImage> {
    let bytes = fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let broken = |why: String| wrong(path, format!("not a whole JPEG or PNG image: {why}"));
    if is_cut_jpeg(&bytes) {
        return Err(broken("the file ends within the image".into()));
    }
    let image = image::load_from_memory(&bytes).map_err(|error| broken(error.to_string()))?;
    Ok(image.into_rgb8())
}

/// True for a JPEG file without an end marker after its last scan, which the decoder would fill up with grey.
fn is_cut_jpeg(bytes: &[u8]) -> bool {
    const SCAN: [u8; 2] = [0xff, 0xda];
    const END: [u8; 2] = [0xff, 0xd9];
    let Some(scan) = bytes.windows(2).rposition(|marker| marker == SCAN) else { return false };
    bytes.starts_with(&[0xff, 0xd8]) && !bytes[scan..].windows(2).any(|marker| marker == END)
}

fn wrong(path: &Path, message: String) -> Error {
    Error::Data { path: path.to_owned(), message }
}

#[cfg(test)]
mod tests;
