//! WebDataset: tar archives in which the files of one image lie one after another, `KEY.jpg`, `KEY.cls`, `KEY.json`.
//!
//! Archives are not unpacked: `samples` finds where the files of each image lie, and images are read from there.

mod samples;

use std::{
    collections::BTreeMap,
    fs::File,
    ops::ControlFlow,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use super::{
    Encoded, Fetch, Orientation, Pictures,
    classes::{Collected, Known, Written},
    shards::{self, Shards},
};
use crate::ml::{
    Error, Result,
    data::{Collection, Fault, Listed, Part, Remark, Split, shown},
};

use samples::{Member, Sample};

/// How archives are read.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Whether images have labels.
    pub labelled: bool,
    /// Whether images without labels are read too, from archives that are called so.
    pub unlabelled: bool,
    /// The entry of the JSON files that is the label; by default `label`, `cls` or `class`.
    pub field: Option<String>,
    /// What is done with EXIF orientations.
    pub orientation: Orientation,
}

/// The entries of JSON files that may be labels.
const FIELDS: [&str; 4] = ["label", "cls", "class", "class_name"];
const REMEDY: &str = "the files of an image lie one after another as KEY.jpg (or .png, .webp, …) and KEY.cls, or KEY.json \
                      with an entry `label`; another entry is named by `label_column`, and `labels = \"none\"` reads images \
                      without labels";

/// Lists the archives at `path`. Only the start of the first one is read.
///
/// # Errors
/// If there is none, or the first one does not start with an image and its label.
pub fn list(path: &Path, manner: Manner) -> Result<Box<dyn Listed>> {
    let mut shards = shards::find(path, "tar")?;
    if !manner.unlabelled {
        shards.parts.remove(&Split::Unlabelled);
    }
    let mut labelled = BTreeMap::new();
    for (split, archives) in &shards.parts {
        let Some(first) = archives.first() else { continue };
        let Some(sample) = samples::first(first)? else {
            return Err(Fault::at(first, "no image in this archive", REMEDY).into());
        };
        labelled.insert(*split, manner.labelled && (sample.class.is_some() || sample.json.is_some()));
    }
    Ok(Box::new(Archives { path: path.to_owned(), shards, labelled, manner }))
}

struct Archives {
    path: PathBuf,
    shards: Shards,
    /// Whether the first image of each part has a label.
    labelled: BTreeMap<Split, bool>,
    manner: Manner,
}

impl Listed for Archives {
    fn parts(&self) -> Vec<Part> {
        let part = |(&split, &labelled): (&Split, &bool)| Part { split, images: None, labelled };
        self.labelled.iter().map(part).collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.shards.files()
    }

    fn left_out(&self) -> usize {
        self.shards.left_out.values().sum()
    }

    fn remarks(&self) -> Vec<Remark> {
        self.shards.remarks()
    }

    fn open(self: Box<Self>) -> Result<Box<dyn Collection>> {
        let Self { path, shards, labelled, manner } = *self;
        let mut collected = Collected::default();
        let mut parts: BTreeMap<Split, Vec<Place>> = BTreeMap::new();
        let mut without_image = 0;
        for (split, archives) in &shards.parts {
            for (archive, at) in archives.iter().zip(0..) {
                let file = File::open(archive).map_err(io_at(archive))?;
                samples::visit(archive, &mut |sample| {
                    let Some(image) = sample.image else {
                        without_image += 1;
                        return Ok(ControlFlow::Continue(()));
                    };
                    let label = match labelled.get(split) {
                        Some(true) => label(archive, &file, &sample, manner.field.as_deref())?,
                        _ => None,
                    };
                    collected
                        .add(*split, label)
                        .map_err(|why| Fault::at(archive, format!("the image `{}` {why}", sample.key), REMEDY))?;
                    let key = sample.key.into_boxed_str();
                    parts.entry(*split).or_default().push(Place { archive: at, member: image, key });
                    Ok(ControlFlow::Continue(()))
                })?;
            }
        }
        let images = Samples { known: collected.finish(&path, None)?, archives: shards.parts, parts, without_image };
        Ok(Box::new(Pictures { images, orientation: manner.orientation }))
    }
}

fn io_at(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    |source| Error::Io { path: path.to_owned(), source }
}

/// The longest file of a label that is read, in bytes.
const LONGEST: u32 = 1 << 20;

/// The label of an image: the content of its `.cls`, or an entry of its `.json`.
fn label(archive: &Path, file: &File, sample: &Sample, field: Option<&str>) -> Result<Option<Written>> {
    let fault = |why: String| Error::from(Fault::at(archive, format!("`{}`: {why}", sample.key), REMEDY));
    let read = |member: &Member| -> Result<String> {
        if member.bytes > LONGEST {
            return Err(fault("the file of its label is too long".to_owned()));
        }
        let mut bytes = vec![0; member.bytes as usize];
        file.read_exact_at(&mut bytes, member.at).map_err(io_at(archive))?;
        String::from_utf8(bytes).map_err(|_| fault("its label is no text".to_owned()))
    };
    let number = |word: &str| word.parse().map_or_else(|_| Written::Name(word.to_owned()), Written::Number);
    match (&sample.class, &sample.json, field) {
        (Some(class), _, None) => {
            let text = read(class)?;
            let word = text.trim();
            if word.is_empty() { Err(fault("its .cls is empty".to_owned())) } else { Ok(Some(number(word))) }
        }
        (_, Some(json), field) => {
            let json: serde_json::Value =
                serde_json::from_str(&read(json)?).map_err(|error| fault(format!("its .json: {error}")))?;
            let fields = field.map_or_else(|| FIELDS.to_vec(), |field| vec![field]);
            let value = fields.iter().find_map(|field| json.get(field));
            match value {
                Some(serde_json::Value::String(name)) => Ok(Some(Written::Name(name.clone()))),
                Some(value) => match value.as_u64().and_then(|value| u32::try_from(value).ok()) {
                    Some(value) => Ok(Some(Written::Number(value))),
                    None => Err(fault(format!("its label is {value}, neither a number from 0 nor a name"))),
                },
                None if field.is_some() => Err(fault(format!("its .json has no entry `{}`", fields[0]))),
                None => Ok(None),
            }
        }
        (_, None, Some(field)) => Err(fault(format!("it has no .json with an entry `{field}`"))),
        (None, None, None) => Ok(None),
    }
}

/// Where an image lies: which archive of its part, and where in it.
#[derive(Debug)]
struct Place {
    archive: u32,
    member: Member,
    key: Box<str>,
}

struct Samples {
    known: Known,
    archives: BTreeMap<Split, Vec<PathBuf>>,
    parts: BTreeMap<Split, Vec<Place>>,
    without_image: usize,
}

impl Samples {
    fn places(&self, split: Split) -> &[Place] {
        self.parts.get(&split).map_or(&[], Vec::as_slice)
    }

    fn archives(&self, split: Split) -> &[PathBuf] {
        self.archives.get(&split).map_or(&[], Vec::as_slice)
    }
}

impl Encoded for Samples {
    fn labels(&self, split: Split) -> &[u32] {
        self.known.labels(split)
    }

    fn classes(&self, split: Split) -> &[String] {
        self.known.classes(split)
    }

    fn left_out(&self) -> usize {
        self.without_image
    }

    fn name(&self, split: Split, index: u32) -> String {
        let place = &self.places(split)[index as usize];
        format!("`{}` in {}", place.key, shown(&self.archives(split)[place.archive as usize]))
    }

    fn fetch(&self, split: Split) -> Box<dyn Fetch + '_> {
        Box::new(Members { archives: self.archives(split), places: self.places(split), open: None })
    }
}

/// Reads images from archives, of which one is open at a time.
struct Members<'a> {
    archives: &'a [PathBuf],
    places: &'a [Place],
    open: Option<(u32, File)>,
}

impl Fetch for Members<'_> {
    fn fetch(&mut self, indices: &[u32]) -> Result<Vec<Result<Vec<u8>, String>>> {
        let places: Vec<&Place> = indices.iter().map(|&index| &self.places[index as usize]).collect();
        let mut read = Vec::new();
        for group in places.chunk_by(|a, b| a.archive == b.archive) {
            let archive = group[0].archive;
            let path = &self.archives[archive as usize];
            let open = self.open.take().filter(|(of, _)| *of == archive);
            let (_, file) = match open {
                Some(open) => self.open.insert(open),
                None => self.open.insert((archive, File::open(path).map_err(io_at(path))?)),
            };
            let bytes = |place: &&Place| {
                let mut bytes = vec![0; place.member.bytes as usize];
                file.read_exact_at(&mut bytes, place.member.at).map_err(|error| error.to_string())?;
                Ok(bytes)
            };
            read.extend(group.par_iter().map(bytes).collect::<Vec<_>>());
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
