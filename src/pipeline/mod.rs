//! Pipeline files: TOML text to a [`Pipeline`], with a place for everything, so that every later mistake can be shown.
//!
//! Knows no kind of stage by name; it asks the registry.

pub mod document;
mod overrides;
mod params;
mod parse;
mod schema;
mod syntax;
mod value;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

pub use params::{Params, typed};
pub use parse::parse;
pub use schema::schema;

use crate::{
    diagnostic::{Sources, Span},
    stage::StageKind,
};

/// A pipeline file, read and taken apart, with overrides applied. Not yet wired: see `engine::Graph`.
pub struct Pipeline<'t> {
    /// Its name: `[pipeline] name`, else the file's name.
    pub name: String,
    /// Where relative paths start.
    pub root: PathBuf,
    /// The stages, in the order of the file.
    pub stages: Vec<StageDef<'t>>,
    /// Names of stages that are in the file but could not be read; what refers to them is no mistake of its own.
    pub unread: BTreeSet<String>,
    /// The axes of the sweep, in the order of the file, those of the command line last.
    pub axes: Vec<Axis<'t>>,
    /// The texts that all places point into.
    pub sources: &'t Sources,
}

/// One `[stage.NAME]`.
#[derive(Clone)]
pub struct StageDef<'t> {
    /// Its name, and the place of that.
    pub name: Spanned<String>,
    /// Its kind.
    pub kind: StageKind,
    /// What each input port is joined to.
    pub inputs: Vec<Wire>,
    /// The place of `inputs = …`, if the stage has it.
    pub inputs_span: Option<Span>,
    /// How often a failed run is tried again.
    pub retries: u32,
    /// The parameters: everything but the reserved keys, `seed` filled in from the pipeline.
    pub params: DeTable<'t>,
}

/// An input port and the output that it is joined to.
#[derive(Clone, Debug)]
pub struct Wire {
    /// The input port.
    pub port: Spanned<String>,
    /// `STAGE.PORT` as written.
    pub from: Spanned<String>,
}

/// One axis of the sweep: a parameter of a stage, and its values.
#[derive(Clone, Debug)]
pub struct Axis<'t> {
    /// `stage.param.path` as written, and the place of that.
    pub key: Spanned<String>,
    /// The stage.
    pub stage: String,
    /// The key path of the parameter.
    pub path: Vec<String>,
    /// The values.
    pub values: Vec<Spanned<DeValue<'t>>>,
}

/// The project root of a pipeline file: the nearest folder at or above it that holds `pipelines/` or `.git`, else its
/// own folder.
#[must_use]
pub fn project_root(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    folder
        .ancestors()
        .find(|folder| folder.join("pipelines").is_dir() || folder.join(".git").exists())
        .unwrap_or(folder)
        .to_owned()
}
