//! The files of a program whose content is in the key: those that `files` lists, and the words of `run` that are files of
//! the project.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::declaration::Declaration;
use crate::stage::StageError;

/// What is wrong with the files that a declaration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilesProblem {
    /// An entry of `files` cannot be used; says which one and why.
    Entry(String),
    /// Nothing names a file of the project, so a change to the program would not be noticed.
    NoneNamed,
}

/// Returns what is wrong with the files of a program, if anything is.
#[must_use]
pub fn files_problem(declared: &Declaration, root: &Path) -> Option<FilesProblem> {
    match files(declared, root) {
        Err(error) => Some(FilesProblem::Entry(error.to_string())),
        Ok(found) => (found.is_empty() && declared.files.is_none()).then_some(FilesProblem::NoneNamed),
    }
}

/// Returns the files, relative to the root, in order.
///
/// # Errors
/// If an entry of `files` names nothing, or a name is not UTF-8.
pub(super) fn files(declared: &Declaration, root: &Path) -> Result<Vec<String>, StageError> {
    let mut found = BTreeSet::new();
    for word in declared.run.iter().filter_map(|word| word.text()) {
        if let Some(path) = in_project(word, root) {
            found.insert(from_root(&path, root, declared)?);
        }
    }
    for pattern in declared.files.iter().flatten() {
        let mut any = false;
        let folder = if root.join(pattern).is_dir() { "/**/*" } else { "" };
        let whole = format!("{}/{pattern}{folder}", glob::Pattern::escape(&root.to_string_lossy()));
        let wrong = |error: &dyn std::fmt::Display| {
            StageError::failed(format!("`files` of kind `{}`: `{pattern}`: {error}", declared.name))
        };
        for path in glob::glob(&whole).map_err(|error| wrong(&error))? {
            let path = path.map_err(|error| wrong(&error))?;
            if path.is_file() && !is_bytecode(&path) {
                any = true;
                found.insert(from_root(&path, root, declared)?);
            }
        }
        if !any {
            return Err(wrong(&"there is no such file; paths start at the project root"));
        }
    }
    Ok(found.into_iter().collect())
}

/// The path to a file that a word names, if it is in the project. A whole path may lead there through a link.
fn in_project(word: &str, root: &Path) -> Option<PathBuf> {
    let path = root.join(word);
    if !path.is_file() {
        return None;
    }
    if path.starts_with(root) {
        return Some(path);
    }
    let inside = path.canonicalize().ok()?.strip_prefix(root.canonicalize().ok()?).ok()?.to_owned();
    Some(root.join(inside))
}

/// Whether Python made the file of another, which counts in its place.
fn is_bytecode(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "pyc")
}

/// The path to a file from the root.
fn from_root(path: &Path, root: &Path, declared: &Declaration) -> Result<String, StageError> {
    let name = path.strip_prefix(root).unwrap_or(path).to_str();
    name.map(str::to_owned).ok_or_else(|| {
        let message = format!("the name of {} is not UTF-8; rename it", path.display());
        StageError::failed(format!("`files` of kind `{}`: {message}", declared.name))
    })
}
