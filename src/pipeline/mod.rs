//! Pipeline files: TOML text to a [`Pipeline`], with a place for everything, so that every later mistake can be shown.
//!
//! Knows no kind of stage by name; it asks the registry.

pub mod document;
mod kind_toml;
mod resolve;
mod schema;
mod worth;
mod written;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

pub use kind_toml::reference;
pub use resolve::expressions::{expressions, replace};
pub use resolve::grid::{Block, Space};
pub use resolve::loops::Loop;
pub use resolve::params::{Params, typed};
pub use resolve::search::Halving;
pub use resolve::stages::parse;
pub use resolve::variants::{BASE, Patch, Variant};
pub use schema::schema;
pub use worth::{meant, plain};
pub use written::expression::{Expression, Number, Reference};
pub use written::range::MOST;
pub use written::resources::Needs;

pub(crate) use crate::diagnostic::quoted;
use crate::{
    diagnostic::{Sources, Span},
    stage::StageKind,
};
use resolve::{
    expressions as tie, grid as space, loops as rounds, overlaps as reach, random as draw, stages as parse,
    sweeps as sweep, type_errors as value, variants as variant,
};
use written::{expression, overrides, range, toml_help as syntax};

/// A pipeline file, read and taken apart, with overrides applied. Not yet wired: see `engine::Graph`.
pub struct Pipeline<'t> {
    /// Its name: `[pipeline] name`, else the file's name.
    pub name: String,
    /// The file, as an absolute path without links.
    pub file: PathBuf,
    /// Where relative paths start.
    pub root: PathBuf,
    /// The stages, in the order of the file.
    pub stages: Vec<StageDef<'t>>,
    /// Names of stages that are in the file but could not be read; what refers to them is no mistake of its own.
    pub unread: BTreeSet<String>,
    /// The axes: that of the variants first, then the sweep's in the order of the file, those of the command line last.
    pub axes: Vec<Axis<'t>>,
    /// Which combinations of their values are points of the sweep.
    pub space: Space,
    /// The graph as it is and all variants, in the order of the values of their axis; none if there is no such axis.
    pub variants: Vec<Variant<'t>>,
    /// The axis over the seeds of repeats, if the sweep has any.
    pub repeats: Option<String>,
    /// How the points of the sweep are halved, if they are.
    pub halving: Option<Halving>,
    /// The loops.
    pub loops: Vec<Loop>,
    /// The names of all sweeps that have one.
    pub sweeps: Vec<String>,
    /// What is worth saying that is no mistake.
    pub notes: Vec<String>,
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
    /// What of the machine it takes while it runs.
    pub needs: Needs,
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

/// One axis: a parameter of a stage (or the rounds of a loop, or the variants), and its values.
#[derive(Clone, Debug)]
pub struct Axis<'t> {
    /// `stage.param.path` as written, and the place of that.
    pub key: Spanned<String>,
    /// The stage, or the loop.
    pub stage: String,
    /// The key path of the parameter; empty for the axis of the variants.
    pub path: Vec<String>,
    /// The values.
    pub values: Vec<Spanned<DeValue<'t>>>,
    /// The index of the value that stands for leaving the parameter as the stage has it, if there is one.
    pub own: Option<u32>,
}

impl<'t> Axis<'t> {
    /// An axis over `stage.param.path`.
    #[must_use]
    pub fn new(key: Spanned<String>, values: Vec<Spanned<DeValue<'t>>>) -> Self {
        let mut parts = key.get_ref().split('.').map(str::to_owned);
        let stage = parts.next().unwrap_or_default();
        Self { stage, path: parts.collect(), key, values, own: None }
    }

    /// The axis over variants.
    fn variant(key: Spanned<String>, values: Vec<Spanned<DeValue<'t>>>) -> Self {
        Self { key, stage: String::new(), path: Vec::new(), values, own: None }
    }

    /// True for the axis over variants, which is called `variant`.
    #[must_use]
    pub fn is_variant(&self) -> bool {
        self.path.is_empty()
    }
}

/// The project root of a pipeline file: the nearest folder at or above it that holds `pipelines/` or `.git`, else its
/// own folder. A file that a shell hands over (`/dev/stdin`, `<(…)`) lies nowhere, so the current folder counts.
#[must_use]
pub fn project_root(file: &Path) -> PathBuf {
    let handed_over = ["/dev", "/proc"].iter().any(|folder| file.starts_with(folder));
    let file = if handed_over { Path::new("pipeline.toml") } else { file };
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    folder
        .ancestors()
        .find(|folder| folder.join("pipelines").is_dir() || folder.join(".git").exists())
        .unwrap_or(folder)
        .to_owned()
}
