//! A folder that files are exported to: nothing of another export is lost, and a list says what a file holds whose name
//! does not.

use std::{collections::BTreeMap, path::Path};

use super::{Console, Failure, files};
use crate::{
    digest::ArtifactHash,
    report::{Wanted, file_names, one_line},
};

/// The list, in the folder.
const LIST: &str = "strata-names.csv";
/// Its columns.
const COLUMNS: [&str; 2] = ["file", "holds"];

/// The names of these files in `folder`, if they may be written: what is there holds the same, or `force` says so.
pub fn places(folder: &Path, wanted: &[(Wanted, ArtifactHash)], force: bool) -> Result<Vec<String>, Failure> {
    let names = file_names(&wanted.iter().map(|(wanted, _)| wanted.clone()).collect::<Vec<_>>());
    for (name, (_, hash)) in names.iter().zip(wanted).filter(|_| !force) {
        let path = folder.join(name);
        if files::content(&path)?.is_some_and(|there| there != *hash) {
            let message = format!("{} is there already and holds something else; --force replaces it", path.display());
            return Err(Failure::Usage(message));
        }
    }
    Ok(names)
}

/// Lists the files whose names were changed, beside those of earlier exports.
pub fn list(
    folder: &Path,
    wanted: &[(Wanted, ArtifactHash)],
    names: &[String],
    console: &Console,
) -> Result<(), Failure> {
    let changed = wanted.iter().zip(names).filter(|((wanted, _), name)| {
        let plain = format!("{}{}", wanted.name, wanted.ending);
        **name != plain
    });
    let changed: Vec<(String, String)> =
        changed.map(|((wanted, _), name)| (name.clone(), one_line(&wanted.identity).into_owned())).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let path = folder.join(LIST);
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    // One that cannot be read is written anew: it says nothing that an export would not say again.
    for row in csv::Reader::from_path(&path).into_iter().flat_map(csv::Reader::into_records).flatten() {
        all.extend(row.get(0).zip(row.get(1)).map(|(file, holds)| (file.to_owned(), holds.to_owned())));
    }
    all.extend(changed);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = writer.write_record(COLUMNS).and_then(|()| all.iter().try_for_each(|row| writer.serialize(row)));
    let refused = |error: String| Failure::Failed(format!("failed to write {}: {error}", path.display()));
    written.map_err(|error| refused(error.to_string()))?;
    files::write(&path, &writer.into_inner().map_err(|error| refused(error.to_string()))?)?;
    console.remark(&format!("{} says what the files hold whose names were shortened or changed", path.display()));
    Ok(())
}
