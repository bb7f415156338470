//! Labels from the columns of a CSV file.

use std::{collections::BTreeSet, path::Path};

use candle_core::{Device, Tensor};

use super::{
    Import, Objection,
    arrays::{CLASSES, LABELS},
};
use crate::{
    ml::{data::shown, files::csv::Table},
    store::Artifact,
};

/// The tensors that a CSV file may have.
const TENSORS: [&str; 3] = [LABELS, "truth", "confidence"];
/// The names of a column of labels that need not be named.
const USUAL: [&str; 4] = ["labels", "label", "class", "target"];

/// Chooses the columns: for each tensor its name and the place of its column.
pub(super) fn columns(import: &Import, table: &Table) -> Result<Vec<(&'static str, usize)>, Objection> {
    let at = |name: &str| table.place(name).map_err(|error| Objection { parameter: "tensors", ..error.into() });
    if let Some(other) = import.tensors.keys().find(|name| !TENSORS.contains(&name.as_str())) {
        let message = format!("labels have no tensor `{other}`");
        return Err(Objection::new("tensors", message, format!("they have {}", TENSORS.join(", "))));
    }
    if let Some(column) = import.tensors.get(LABELS) {
        let mut places = vec![(LABELS, at(column)?)];
        for tensor in &TENSORS[1..] {
            if let Some(column) = import.tensors.get(*tensor) {
                places.push((tensor, at(column)?));
            }
        }
        return Ok(places);
    }
    let usual = USUAL.iter().find(|name| table.names().iter().any(|column| column == *name));
    match (usual, table.names()) {
        (Some(name), _) if import.tensors.is_empty() => Ok(vec![(LABELS, at(name)?)]),
        // The only column may have any name, but a file without a line of names would lose its first label.
        (None, [first]) if import.tensors.is_empty() => {
            let message = format!("the first line must name the column, and holds `{first}`");
            let help = format!(
                "write `label` in a line of its own above, or, if `{first}` is the name, `tensors = {{ labels = \"{first}\" }}`"
            );
            Err(Objection::new("tensors", message, help))
        }
        (_, names) => {
            let message = format!("which column holds the labels is not said; there are `{}`", names.join("`, `"));
            Err(Objection::new("tensors", message, "write `tensors = { labels = \"COLUMN\" }`"))
        }
    }
}

/// Reads the labels.
pub(super) fn read(import: &Import, path: &Path, table: Table) -> Result<Artifact, Objection> {
    let (names, places): (Vec<_>, Vec<_>) = columns(import, &table)?.into_iter().unzip();
    let mut classes = (!import.classes.is_empty()).then(|| import.classes.clone());
    let mut artifact = Artifact::new();
    for (name, column) in names.into_iter().zip(table.columns(&places)?) {
        if column.is_empty() {
            let message = format!("{}: it has no rows", shown(path));
            return Err(Objection::new("path", message, "import a file with some"));
        }
        let fault = |line: u64, message: String, help: &str| {
            Objection::new("tensors", format!("{}: line {line}: {message}", shown(path)), help)
        };
        let tensor = if name == "confidence" {
            let number = |(line, text): &(u64, String)| match text.parse::<f32>() {
                Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
                _ => Err(fault(*line, format!("`{text}` is no confidence"), "a confidence is a number from 0 to 1")),
            };
            let numbers = column.iter().map(number).collect::<Result<Vec<f32>, _>>()?;
            Tensor::from_vec(numbers, column.len(), &Device::Cpu)?
        } else {
            if let Some((line, _)) = column.iter().find(|(_, text)| text.is_empty()) {
                return Err(fault(*line, "there is no label".to_owned(), "give every row a label"));
            }
            let numbers: Option<Vec<u32>> = column.iter().map(|(_, text)| text.parse().ok()).collect();
            let known = classes.as_ref().is_some_and(|classes| column.iter().all(|(_, text)| classes.contains(text)));
            let indices = match numbers {
                Some(numbers) if !known => numbers,
                _ => {
                    let words: BTreeSet<&String> = column.iter().map(|(_, text)| text).collect();
                    let classes = classes.get_or_insert_with(|| words.into_iter().cloned().collect());
                    let index = |(line, text): &(u64, String)| {
                        let at = classes.iter().position(|class| class == text);
                        let at = at.and_then(|at| u32::try_from(at).ok());
                        at.ok_or_else(|| {
                            fault(*line, format!("`{text}` is not one of the classes"), "name it in `classes`")
                        })
                    };
                    column.iter().map(index).collect::<Result<_, _>>()?
                }
            };
            if let Some(classes) = &classes
                && let Some(at) = indices.iter().position(|&label| label as usize >= classes.len())
            {
                let message =
                    format!("there is a label {}, and {} classes (labels from 0)", indices[at], classes.len());
                return Err(fault(column[at].0, message, "name every class in `classes`, in the order of the labels"));
            }
            Tensor::from_vec(indices, column.len(), &Device::Cpu)?
        };
        artifact = artifact.with(name, tensor);
    }
    Ok(match classes {
        Some(classes) => artifact.attribute(CLASSES, classes),
        None => artifact,
    })
}
