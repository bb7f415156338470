//! CIFAR-10 in its binary layout: records of one label byte and 3,072 pixel bytes (planes R, G, B of 32 x 32).

mod advice;
mod files;

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use self::files::{CLASSES, EDGE, PIXELS, RECORD, TEST, TRAIN, WHOLE};
use super::{Choice, Collection, Fault, Faults, ImageSet, Reading, Split, Square, Watch, resize};
use crate::ml::{Error, Result};

/// Number of images that are read and resized at a time.
const BLOCK: usize = 256;

/// The files of the dataset. All exist, and their sizes are whole records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    classes: PathBuf,
    train: Vec<(PathBuf, usize)>,
    test: Vec<(PathBuf, usize)>,
    others: Vec<String>,
}

/// Checks the names and sizes of the files without opening them.
///
/// # Errors
/// If the folder or a file is missing or empty, or a file ends inside a record. The error names all faults.
pub fn list(dir: &Path) -> Result<Listing> {
    advice::folder(dir)?;
    let mut faults = Faults::default();
    let mut missing = Vec::new();
    let mut sized = |name: &str| {
        let path = dir.join(name);
        match fs::metadata(&path) {
            Ok(found) if found.is_file() => return Ok((path, usize::try_from(found.len()).unwrap_or(usize::MAX))),
            Ok(_) => faults.0.push(Fault::at(&path, "not a file", "put the file of the dataset there")),
            Err(error) if error.kind() == ErrorKind::NotFound => missing.push(super::shown(&path)),
            Err(source) => return Err(Error::Io { path, source }),
        }
        Ok((path, 0))
    };
    let classes = sized(CLASSES)?.0;
    let train = TRAIN.iter().map(|name| sized(name)).collect::<Result<Vec<_>>>()?;
    let test = vec![sized(TEST)?];
    if !missing.is_empty() {
        let many = "files of CIFAR-10's binary version are missing";
        faults.shared(&missing, "no such file", many, &advice::missing(dir));
    }
    let there = |path: &Path| path.is_file();
    let mut counted = |files: Vec<(PathBuf, usize)>| -> Vec<(PathBuf, usize)> {
        let records = |(path, bytes): (PathBuf, usize)| {
            if there(&path) {
                faults.0.extend(advice::size(&path, bytes));
            }
            (path, bytes / RECORD)
        };
        files.into_iter().map(records).collect()
    };
    let (train, test) = (counted(train), counted(test));
    faults.none()?;
    Ok(Listing { classes, train, test, others: others(dir) })
}

/// The names of files that look like further files of the dataset. The folder is not listed, because that may be slow.
fn others(dir: &Path) -> Vec<String> {
    let names = (0..10).map(|number| format!("data_batch_{number}.bin"));
    names.filter(|name| !TRAIN.contains(&name.as_str()) && dir.join(name).exists()).collect()
}

impl Listing {
    /// Every file, in the order in which they are read.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        [&self.classes].into_iter().chain(self.train.iter().chain(&self.test).map(|(path, _)| path)).cloned().collect()
    }

    /// The number of images of a split.
    #[must_use]
    pub fn count(&self, split: Split) -> usize {
        self.split(split).iter().map(|(_, records)| records).sum()
    }

    /// The files whose number of images differs from the original dataset, with that number.
    #[must_use]
    pub fn unusual(&self) -> Vec<(&Path, usize)> {
        let files = self.train.iter().chain(&self.test);
        files.filter(|(_, records)| *records != WHOLE).map(|(path, records)| (path.as_path(), *records)).collect()
    }

    /// The names of files that look like further files of the dataset; they are not read.
    #[must_use]
    pub fn others(&self) -> &[String] {
        &self.others
    }

    fn split(&self, split: Split) -> &[(PathBuf, usize)] {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }

    /// Reads the names of the classes and the labels.
    ///
    /// # Errors
    /// If a file cannot be read, if no class is named or one is named twice, or if a label has no class.
    pub fn open(self) -> Result<Cifar10> {
        let bytes = fs::read(&self.classes).map_err(io(&self.classes))?;
        let remedy = "write the name of one class on each line, in the order of the labels";
        let not_text = |_| Fault::at(&self.classes, "not text", remedy);
        let text = String::from_utf8(bytes).map_err(not_text)?;
        let classes: Vec<String> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect();
        if classes.is_empty() {
            return Err(Fault::at(&self.classes, "names no class", remedy).into());
        }
        if let Some(again) = (1..classes.len()).find(|&at| classes[..at].contains(&classes[at])) {
            let message = format!("names the class `{}` twice", classes[again]);
            return Err(Fault::at(&self.classes, message, remedy).into());
        }
        let labels = |files: &[(PathBuf, usize)]| -> Result<Vec<u32>> {
            let labels = files.iter().map(|(path, records)| labels(path, *records, classes.len()));
            Ok(labels.collect::<Result<Vec<_>>>()?.concat())
        };
        let (train, test) = (labels(&self.train)?, labels(&self.test)?);
        Ok(Cifar10 { listing: self, classes, train, test })
    }
}

/// The labels of one file. The file is read once, a block of records at a time.
fn labels(path: &Path, records: usize, classes: usize) -> Result<Vec<u32>> {
    let mut file = File::open(path).map_err(io(path))?;
    let mut block = vec![0; BLOCK.min(records) * RECORD];
    let mut labels = Vec::with_capacity(records);
    while labels.len() < records {
        let bytes = &mut block[..BLOCK.min(records - labels.len()) * RECORD];
        file.read_exact(bytes).map_err(io(path))?;
        for record in bytes.as_chunks::<RECORD>().0 {
            if usize::from(record[0]) >= classes {
                let message = format!(
                    "record {} has label {}, but {CLASSES} names {classes} classes (labels 0 to {})",
                    labels.len(),
                    record[0],
                    classes - 1
                );
                return Err(Fault::at(path, message, advice::LABELS).into());
            }
            labels.push(u32::from(record[0]));
        }
    }
    Ok(labels)
}

/// The dataset with its labels. The pixels are still on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cifar10 {
    listing: Listing,
    classes: Vec<String>,
    train: Vec<u32>,
    test: Vec<u32>,
}

impl Collection for Cifar10 {
    fn labels(&self, split: Split) -> &[u32] {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }

    fn read(&self, choices: &[Choice], square: Square, watch: Watch<'_>) -> Result<Reading> {
        let edge = square.map_or(EDGE, |(edge, _)| edge);
        let mut done = 0;
        let mut sets = Vec::with_capacity(choices.len());
        for choice in choices {
            let labels = self.labels(choice.split);
            let mut set = ImageSet {
                pixels: Vec::with_capacity(choice.indices.len() * 3 * edge * edge),
                labels: choice.indices.iter().map(|&index| labels[index as usize]).collect(),
                size: [3, edge, edge],
                classes: self.classes.clone(),
            };
            let mut first = 0;
            for (path, records) in self.listing.split(choice.split) {
                let end = first + *records as u32;
                let wanted = &choice.indices[choice.indices.partition_point(|&index| index < first)..];
                let wanted = &wanted[..wanted.partition_point(|&index| index < end)];
                if !wanted.is_empty() {
                    let file = File::open(path).map_err(io(path))?;
                    for block in wanted.chunks(BLOCK) {
                        watch(done)?;
                        let at: Vec<u64> = block.iter().map(|&index| u64::from(index - first)).collect();
                        set.pixels.extend(images(&file, &at, square).map_err(io(path))?);
                        done += block.len();
                    }
                }
                first = end;
            }
            sets.push(set);
        }
        watch(done)?;
        Ok(Reading { sets, remarks: Vec::new() })
    }
}

/// The pixels of some records of a file, in the wanted size.
fn images(file: &File, records: &[u64], square: Square) -> std::io::Result<Vec<u8>> {
    let mut pixels = vec![0; records.len() * PIXELS];
    for (record, pixels) in records.iter().zip(pixels.as_chunks_mut::<PIXELS>().0) {
        file.read_exact_at(pixels, record * RECORD as u64 + 1)?;
    }
    let Some((edge, how)) = square.filter(|(edge, _)| *edge != EDGE) else { return Ok(pixels) };
    let resized = pixels
        .as_chunks::<PIXELS>()
        .0
        .par_iter()
        .map(|image| resize::planes(&resize::square(&resize::interleaved(image, EDGE, EDGE), edge, how)));
    Ok(resized.collect::<Vec<_>>().concat())
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    |source| Error::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
