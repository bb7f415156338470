//! The ports of a stage, and the inputs and outputs of a run.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use tempfile::TempPath;

use super::Form;
use crate::store::Artifact;

/// A named place where an artifact enters or leaves a stage.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Port {
    /// The name in the pipeline file.
    pub name: &'static str,
    /// The forms that an input accepts, or the form of an output. If an output has several, parameters decide which, and
    /// [`Stage::foresee`](super::Stage::foresee) tells it.
    pub forms: &'static [Form],
    /// Whether an input may be left out, or an output is not always made.
    pub optional: bool,
    /// One line of documentation.
    pub about: &'static str,
}

impl Port {
    /// A port that is always used.
    #[must_use]
    pub const fn new(name: &'static str, forms: &'static [Form], about: &'static str) -> Self {
        Self { name, forms, optional: false, about }
    }

    /// An input that may be left out, or an output that is not always made.
    #[must_use]
    pub const fn optional(name: &'static str, forms: &'static [Form], about: &'static str) -> Self {
        Self { name, forms, optional: true, about }
    }
}

/// The artifacts at the input ports of a stage. A stage is only run when every required one is there.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    artifacts: BTreeMap<String, Arc<Artifact>>,
    files: BTreeMap<String, PathBuf>,
}

impl Inputs {
    /// The artifact at a required port.
    ///
    /// # Panics
    /// If the kind does not declare this port, or declares it as optional: a mistake in the code of the kind.
    #[must_use]
    pub fn at(&self, port: &str) -> &Artifact {
        self.get(port).unwrap_or_else(|| panic!("`{port}` is not a required input port of this kind"))
    }

    /// The artifact at an optional port.
    #[must_use]
    pub fn get(&self, port: &str) -> Option<&Artifact> {
        self.artifacts.get(port).map(Arc::as_ref)
    }

    /// The file of each input, for a stage that takes its inputs as files ([`AnyStage::takes_files`]). They must not be
    /// written to.
    ///
    /// [`AnyStage::takes_files`]: super::AnyStage::takes_files
    #[must_use]
    pub fn files(&self) -> &BTreeMap<String, PathBuf> {
        &self.files
    }

    /// Inputs as files.
    #[must_use]
    pub fn of_files(files: BTreeMap<String, PathBuf>) -> Self {
        Self { files, ..Self::default() }
    }
}

impl FromIterator<(String, Arc<Artifact>)> for Inputs {
    fn from_iter<I: IntoIterator<Item = (String, Arc<Artifact>)>>(ports: I) -> Self {
        Self { artifacts: ports.into_iter().collect(), ..Self::default() }
    }
}

/// The artifacts and files that a stage has made, by output port.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    artifacts: BTreeMap<String, Artifact>,
    files: BTreeMap<String, PathBuf>,
    /// Files that are deleted with the outputs, unless they have been moved.
    temporary: Vec<Arc<TempPath>>,
}

impl Outputs {
    /// No outputs yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the artifact at the output `port`, which may be `PORT@EPOCH`.
    #[must_use]
    pub fn with(mut self, port: impl Into<String>, artifact: Artifact) -> Self {
        self.artifacts.insert(port.into(), artifact);
        self
    }

    /// Adds the file at the output `port`, whose form is [`Form::File`]. It is moved into the cache.
    #[must_use]
    pub fn with_file(mut self, port: impl Into<String>, file: &Path) -> Self {
        self.files.insert(port.into(), file.to_owned());
        self
    }

    /// Adds a temporary file as [`Outputs::with_file`] does.
    #[must_use]
    pub fn with_temporary(mut self, port: impl Into<String>, file: TempPath) -> Self {
        self = self.with_file(port, &file);
        self.temporary.push(Arc::new(file));
        self
    }

    /// The artifact at each output port.
    #[must_use]
    pub fn ports(&self) -> &BTreeMap<String, Artifact> {
        &self.artifacts
    }

    /// The file at each output port that has one.
    #[must_use]
    pub fn files(&self) -> &BTreeMap<String, PathBuf> {
        &self.files
    }

    /// The names of all ports that something was made for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.artifacts.keys().chain(self.files.keys()).map(String::as_str)
    }
}
