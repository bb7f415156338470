//! The Python version: a pickled dictionary in each file, with `data` u8 [N, 3072] and a list of labels.

use std::{path::Path, path::PathBuf};

use super::{
    SHAPE, advice,
    files::{Files, PIXELS, Which},
    paths,
    pickle::{self, Value},
    remarks,
};
use crate::ml::{
    Error, Result,
    data::{
        Fault, Listed, Split,
        arrays::{
            Images, Labels, Listing, ReadLabels,
            block::{AGAIN, Block, Packing},
        },
        labels as names,
    },
};

/// Lists the files in `dir`: reads everything but the images.
pub(super) fn list(dir: &Path, which: Which, files: &Files) -> Result<Box<dyn Listed>> {
    advice::missing(dir, which, "Python", files).none()?;
    let classes = classes(&dir.join(files.classes), which)?;
    let mut labels = Vec::new();
    let mut part = |split, names: &[&str]| -> Result<Images> {
        let mut blocks = Vec::new();
        for name in names {
            let (block, found) = batch(&dir.join(name), which)?;
            blocks.push(block);
            labels.push((split, dir.join(name), found));
        }
        Ok(Images { split, blocks, labelled: true })
    };
    let images = vec![part(Split::Train, files.train)?, part(Split::Test, &[files.test])?];
    Ok(Box::new(Listing {
        remarks: remarks(dir, which, &images, &|number| format!("data_batch_{number}")),
        images,
        shape: SHAPE,
        files: paths(dir, files),
        left_out: 0,
        labels: OfPython { classes, labels, namer: files.classes, name: which.name() },
    }))
}

/// The entry of a pickled dictionary. Keys are texts or bytes.
fn entry<'a>(path: &Path, value: &'a Value, wanted: &str) -> Result<&'a Value> {
    let pairs = match value {
        Value::Dict(pairs, _) => pairs.as_slice(),
        _ => &[],
    };
    let is_it = |key: &Value| matches!(key, Value::Bytes(_, text) if **text == *wanted.as_bytes());
    let found = pairs.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value);
    let names: Vec<String> = pairs
        .iter()
        .filter_map(|(key, _)| match key {
            Value::Bytes(_, text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        })
        .collect();
    found.ok_or_else(|| {
        let has = if names.is_empty() { "no entries".to_owned() } else { crate::ml::data::names(&names) };
        Fault::at(path, format!("the entry `{wanted}` was expected, and it has {has}"), AGAIN).into()
    })
}

/// The images of a file, and their labels.
fn batch(path: &Path, which: Which) -> Result<(Block, Vec<u32>)> {
    let value = pickle::read(path)?;
    let [_, key] = which.keys();
    let fault = |why: String| Error::from(Fault::at(path, why, AGAIN));
    let Value::List(items, _) = entry(path, &value, key)? else {
        return Err(fault(format!("`{key}` is no list")));
    };
    let label = |(at, item): (usize, &Value)| {
        match item {
            Value::Int(label) => u32::try_from(*label).ok(),
            _ => None,
        }
        .ok_or_else(|| fault(format!("`{key}` has no class for image {at}")))
    };
    let labels = items.iter().enumerate().map(label).collect::<Result<Vec<u32>>>()?;
    let Value::Array(array) = entry(path, &value, "data")? else {
        return Err(fault("`data` is no array of bytes in the order of C".to_owned()));
    };
    if let Some(fault) = advice::shape(path, &array.shape, labels.len()) {
        return Err(fault.into());
    }
    if array.place.bytes != (labels.len() * PIXELS) as u64 {
        return Err(fault(format!("`data` has {} bytes for {} images", array.place.bytes, labels.len())));
    }
    let images = labels.len();
    let block = Block { path: path.to_owned(), packing: Packing::Plain, at: array.place.at, step: PIXELS, images };
    Ok((block, labels))
}

/// The names of the classes.
fn classes(path: &Path, which: Which) -> Result<Vec<String>> {
    let value = pickle::read(path)?;
    let [key, _] = which.keys();
    let Value::List(items, _) = entry(path, &value, key)? else {
        return Err(Fault::at(path, format!("`{key}` is no list"), AGAIN).into());
    };
    let name = |item: &Value| match item {
        Value::Bytes(place, text) if place.bytes == text.len() as u64 => String::from_utf8(text.to_vec()).ok(),
        _ => None,
    };
    let classes: Option<Vec<String>> = items.iter().map(name).collect();
    let classes = classes.ok_or_else(|| Fault::at(path, format!("`{key}` holds no names of classes"), AGAIN))?;
    names::distinct(path, classes, AGAIN)
}

struct OfPython {
    classes: Vec<String>,
    labels: Vec<(Split, PathBuf, Vec<u32>)>,
    /// The file that names the classes.
    namer: &'static str,
    name: &'static str,
}

impl ReadLabels for OfPython {
    fn read(&self, images: &[Images]) -> Result<Labels> {
        let remedy = format!("use the files of {}'s Python version, all from one archive", self.name);
        for (_, path, labels) in &self.labels {
            names::require(path, labels, self.classes.len(), "image", self.namer, &remedy)?;
        }
        let of = |part: &Images| {
            let labels = self.labels.iter().filter(|(split, ..)| *split == part.split);
            (part.split, labels.flat_map(|(.., labels)| labels).copied().collect())
        };
        Ok(Labels { classes: self.classes.clone(), parts: images.iter().map(of).collect() })
    }
}
