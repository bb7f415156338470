//! The kinds that the files of a project declare, for verbs that are given no pipeline file.

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::{include::included, project_root, written};
use crate::{
    diagnostic::{Diagnostics, quoted},
    program::{self, Declaration},
    stage::{Registry, StageKind},
};

/// The kinds that some files declare.
#[derive(Debug, Default)]
pub struct Declared {
    /// Each kind with its file.
    kinds: Vec<(PathBuf, Declaration)>,
    /// The names of kinds that cannot be read, each with its file.
    unread: Vec<(PathBuf, String)>,
}

/// Several files declare different kinds of one name, or the declaration has mistakes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeclaredError {
    /// Several kinds have the name.
    #[error("`{name}` is declared differently in {}; choose one with `--file FILE`", quoted(files))]
    Several {
        /// The name.
        name: String,
        /// The files.
        files: Vec<String>,
    },
    /// The declaration has mistakes.
    #[error("`[kind.{name}]` in {file} has mistakes; `strata check FILE` shows them for a pipeline that uses it")]
    Mistakes {
        /// The name.
        name: String,
        /// The file.
        file: String,
    },
}

impl Declared {
    /// Finds the kinds in the files of the project that a folder belongs to: `*.toml` in its root, and at any depth below
    /// `pipelines/` and `kinds/`.
    #[must_use]
    pub fn in_project(folder: &Path) -> Self {
        let root = project_root(&folder.join("pipeline.toml"));
        let mut found = Self::default();
        for pattern in ["*.toml", "pipelines/**/*.toml", "kinds/**/*.toml"] {
            let whole = format!("{}/{pattern}", glob::Pattern::escape(&root.to_string_lossy()));
            let files = glob::glob(&whole).into_iter().flatten().flatten();
            files.for_each(|file| found.read(&file));
        }
        found
    }

    /// Finds the kinds in one file and in those that it includes.
    #[must_use]
    pub fn in_file(file: &Path) -> Self {
        let mut found = Self::default();
        found.read(file);
        let text = std::fs::read_to_string(file).unwrap_or_default();
        included(&text, file).iter().for_each(|file| found.read(file));
        found
    }

    fn read(&mut self, file: &Path) {
        let Ok(text) = std::fs::read_to_string(file) else { return };
        let (document, errors) = DeTable::parse_recoverable(&text);
        let tables = document.into_inner().into_iter().find(|(key, _)| key.get_ref() == "kind");
        let Some((key, tables)) = tables.filter(|_| errors.is_empty()) else { return };
        for kind in written::kind::read(&key.span(), tables, &mut Diagnostics::default()) {
            match kind.declared {
                Some(declared) => self.kinds.push((file.to_owned(), declared)),
                None => self.unread.push((file.to_owned(), kind.name.into_inner())),
            }
        }
    }

    /// Returns the kind called `name`; `None` if no file declares one.
    ///
    /// # Errors
    /// If several files declare different ones, or the only one has mistakes.
    pub fn get(&self, name: &str) -> Result<Option<StageKind>, DeclaredError> {
        let of_name: Vec<_> = self.kinds.iter().filter(|(_, declared)| declared.name == name).collect();
        let Some((_, first)) = of_name.first() else {
            let unread = self.unread.iter().find(|(_, unread)| unread == name);
            return match unread {
                Some((file, name)) => {
                    Err(DeclaredError::Mistakes { name: name.clone(), file: file.display().to_string() })
                }
                None => Ok(None),
            };
        };
        if of_name.iter().any(|(_, other)| other != first) {
            let files = of_name.iter().map(|(file, _)| file.display().to_string()).collect();
            return Err(DeclaredError::Several { name: name.to_owned(), files });
        }
        Ok(Some(program::kind(first.clone())))
    }

    /// Returns the names of all kinds that can be read, each once.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.kinds.iter().map(|(_, declared)| declared.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Adds every kind that is declared in one way only to those of `registry`, whose own names stay.
    #[must_use]
    pub fn added_to(&self, registry: &Registry) -> Registry {
        let mut all = registry.clone();
        for name in self.names().into_iter().filter(|name| registry.get(name).is_none()) {
            if let Ok(Some(kind)) = self.get(name) {
                all.add(kind);
            }
        }
        all
    }
}
