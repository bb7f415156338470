//! Which columns of a table hold images and labels. Hugging Face writes that into the metadata of each file; without it,
//! the types of the columns decide.

use std::path::Path;

use parquet::{
    basic::{LogicalType, Type},
    file::metadata::ParquetMetaData,
    schema::types::{ColumnDescriptor, SchemaDescriptor},
};

use super::Manner;
use crate::ml::{
    Result,
    data::{Fault, names},
};

/// The key of Hugging Face's metadata.
const KEY: &str = "huggingface";

/// The columns of a table that matter, each by its number among the leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// Encoded images.
    pub image: usize,
    pub label: Option<Label>,
}

/// A column of labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label {
    pub leaf: usize,
    /// The names of the classes, if the metadata has them.
    pub names: Option<Vec<String>>,
}

/// What the metadata says of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Feature {
    Image,
    Class(Vec<String>),
    Other,
}

/// Finds the columns of a file.
///
/// # Errors
/// If there is no column of images, or none is the only one; if the metadata is damaged.
pub(super) fn columns(path: &Path, metadata: &ParquetMetaData, manner: &Manner) -> Result<Columns> {
    let schema = metadata.file_metadata().schema_descr();
    let features = match features(metadata) {
        None => guessed(schema),
        Some(Ok(features)) => features,
        Some(Err(why)) => {
            let remedy = "write the file anew by `datasets`, with `Image` and `ClassLabel` features";
            return Err(Fault::at(path, format!("its metadata `{KEY}` cannot be read: {why}"), remedy).into());
        }
    };
    let all = || names(&features.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>());
    let one = |wanted: Option<&str>, fits: &dyn Fn(&Feature) -> bool, what: &str, parameter: &str| {
        if let Some(wanted) = wanted {
            return match features.iter().find(|(name, _)| name == wanted) {
                Some(feature) => Ok(Some(feature)),
                None => {
                    let message = format!("no column `{wanted}`");
                    Err(Fault::at(path, message, format!("set `{parameter}` to one of {}", all())))
                }
            };
        }
        let fitting: Vec<_> = features.iter().filter(|(_, feature)| fits(feature)).collect();
        match fitting.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(*only)),
            several => {
                let several: Vec<String> = several.iter().map(|(name, _)| format!("`{name}`")).collect();
                let message = format!("several columns of {what}: {}", names(&several));
                Err(Fault::at(path, message, format!("choose one by `{parameter}`")))
            }
        }
    };
    let image = one(manner.image_column.as_deref(), &|feature| *feature == Feature::Image, "images", "image_column")?;
    let Some((image, _)) = image else {
        let message = format!("no column of images; it has {}", all());
        return Err(Fault::at(path, message, "name the column of the encoded images by `image_column`").into());
    };
    let leaf = |name: &str, inner: &[&str]| {
        let fits = |column: &ColumnDescriptor| {
            let parts = column.path().parts();
            column.max_rep_level() == 0
                && parts[0] == name
                && parts.len() - 1 == inner.len()
                && parts[1..].iter().zip(inner).all(|(part, inner)| part == inner)
        };
        schema.columns().iter().position(|column| fits(column))
    };
    let bytes = leaf(image, &["bytes"]).or_else(|| leaf(image, &[]));
    let Some(bytes) = bytes.filter(|&leaf| schema.column(leaf).physical_type() == Type::BYTE_ARRAY) else {
        let message =
            format!("the column `{image}` holds no encoded images, neither as `bytes` in a struct nor itself");
        return Err(Fault::at(path, message, "write the file anew by `datasets`, with the images embedded").into());
    };
    let label = match manner.labelled {
        false => None,
        true => one(
            manner.label_column.as_deref(),
            &|feature| matches!(feature, Feature::Class(_)),
            "labels",
            "label_column",
        )?,
    };
    let label = match label {
        None => None,
        Some((name, feature)) => {
            let known = |leaf: &usize| {
                matches!(
                    schema.column(*leaf).physical_type(),
                    Type::INT32 | Type::INT64 | Type::BYTE_ARRAY | Type::BOOLEAN
                )
            };
            let Some(leaf) = leaf(name, &[]).filter(known) else {
                let message = format!("the column `{name}` holds neither whole numbers nor names");
                return Err(Fault::at(path, message, "choose another one by `label_column`").into());
            };
            let names = match feature {
                Feature::Class(names) if !names.is_empty() => Some(names.clone()),
                _ => None,
            };
            Some(Label { leaf, names })
        }
    };
    Ok(Columns { image: bytes, label })
}

/// What the metadata says of each column, if there is any.
fn features(metadata: &ParquetMetaData) -> Option<Result<Vec<(String, Feature)>, String>> {
    let entry = metadata.file_metadata().key_value_metadata()?.iter().find(|entry| entry.key == KEY)?;
    let parse = |text: &str| -> Option<Vec<(String, Feature)>> {
        let json: serde_json::Value = serde_json::from_str(text).ok()?;
        let features = json.get("info")?.get("features")?.as_object()?;
        let feature = |value: &serde_json::Value| match value.get("_type").and_then(serde_json::Value::as_str) {
            Some("Image") => Some(Feature::Image),
            Some("ClassLabel") => {
                let names = value.get("names")?.as_array()?;
                Some(Feature::Class(names.iter().map(|name| Some(name.as_str()?.to_owned())).collect::<Option<_>>()?))
            }
            _ => Some(Feature::Other),
        };
        features.iter().map(|(name, value)| Some((name.clone(), feature(value)?))).collect()
    };
    let text = entry.value.as_deref().unwrap_or_default();
    Some(parse(text).ok_or_else(|| "it has no `info.features` with their types".to_owned()))
}

/// The columns by their types: a struct with `bytes`, or bytes that are no text, are images; whole numbers are labels.
fn guessed(schema: &SchemaDescriptor) -> Vec<(String, Feature)> {
    let mut found: Vec<(String, Feature)> = Vec::new();
    for column in schema.columns() {
        let parts = column.path().parts();
        let text = matches!(column.logical_type_ref(), Some(LogicalType::String));
        let feature = match (parts, column.physical_type()) {
            ([_, inner], Type::BYTE_ARRAY) if inner == "bytes" => Feature::Image,
            ([_], Type::BYTE_ARRAY) if !text => Feature::Image,
            ([_], Type::INT32 | Type::INT64) => Feature::Class(Vec::new()),
            _ => Feature::Other,
        };
        match found.iter_mut().find(|(name, _)| *name == parts[0]) {
            Some((_, known)) if feature == Feature::Image => *known = feature,
            Some(_) => {}
            None => found.push((parts[0].clone(), feature)),
        }
    }
    found
}
