//! A folder of exported files. Existing files with other content are replaced only on request, and a list maps changed
//! file names to the content of the files.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    escape::one_line,
    file_name::{Wanted, file_names},
    files::{self, FileError},
};
use crate::digest::ArtifactHash;

/// The file name of the list.
const LIST: &str = "strata-names.csv";
/// The columns of the list.
const COLUMNS: [&str; 2] = ["file", "holds"];

/// Chooses the names of the files in `folder`.
///
/// # Errors
/// If a file exists with other content, unless `force` is set.
pub fn places(folder: &Path, wanted: &[(Wanted, ArtifactHash)], force: bool) -> Result<Vec<String>, FileError> {
    let names = file_names(&wanted.iter().map(|(wanted, _)| wanted.clone()).collect::<Vec<_>>());
    for (name, (_, hash)) in names.iter().zip(wanted).filter(|_| !force) {
        let path = folder.join(name);
        if files::content(&path)?.is_some_and(|there| there != *hash) {
            return Err(FileError::Occupied(path));
        }
    }
    Ok(names)
}

/// Adds the files whose names had to be changed to the list in the folder. Returns the path of the list if there are
/// any.
///
/// # Errors
/// If the list cannot be written.
pub fn list(folder: &Path, wanted: &[(Wanted, ArtifactHash)], names: &[String]) -> Result<Option<PathBuf>, FileError> {
    let changed = wanted.iter().zip(names).filter(|((wanted, _), name)| {
        let plain = format!("{}{}", wanted.name, wanted.ending);
        **name != plain
    });
    let changed: Vec<(String, String)> =
        changed.map(|((wanted, _), name)| (name.clone(), one_line(&wanted.identity).into_owned())).collect();
    if changed.is_empty() {
        return Ok(None);
    }
    let path = folder.join(LIST);
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    // A list that cannot be read is replaced: exporting again restores its entries.
    for row in csv::Reader::from_path(&path).into_iter().flat_map(csv::Reader::into_records).flatten() {
        all.extend(row.get(0).zip(row.get(1)).map(|(file, holds)| (file.to_owned(), holds.to_owned())));
    }
    all.extend(changed);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = writer.write_record(COLUMNS).and_then(|()| all.iter().try_for_each(|row| writer.serialize(row)));
    let refused = |reason: String| FileError::Refused { action: "write", path: path.clone(), reason };
    written.map_err(|error| refused(error.to_string()))?;
    files::write(&path, &writer.into_inner().map_err(|error| refused(error.to_string()))?)?;
    Ok(Some(path))
}
