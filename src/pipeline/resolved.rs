//! What a pipeline file means: the values that [`resolve`](super::resolve) makes of what is written.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    document,
    project::{project_root, without_links},
    space::Space,
    written::{resources::Resources, table::Wire},
};
use crate::{
    diagnostic::{Sources, Span},
    stage::StageKind,
};

/// A pipeline file, read and taken apart, with overrides applied. Not yet wired: see `graph::Graph`.
pub struct Pipeline<'t> {
    /// Its name: `[pipeline] name`, else the file's name.
    pub name: String,
    /// The file, as an absolute path without links.
    pub file: PathBuf,
    /// Where relative paths start.
    pub root: PathBuf,
    /// The stages, in the order of the file.
    pub stages: Vec<StageDef<'t>>,
    /// Names of stages that are in the file but could not be read. A reference to one of them is no mistake of its own.
    pub unread: BTreeSet<String>,
    /// The axes: that of the variants first, then the sweep's in the order of the file, those of the command line last.
    pub axes: Vec<Axis<'t>>,
    /// Which combinations of their values are points of the sweep.
    pub space: Space,
    /// The base and all variants, in the order of the values of their axis; empty if there is no such axis.
    pub variants: Vec<Variant<'t>>,
    /// The axis over the seeds of repeats, if the sweep has any.
    pub repeats: Option<String>,
    /// How the points of the sweep are halved, if they are.
    pub halving: Option<Halving>,
    /// The loops.
    pub loops: Vec<Loop>,
    /// The names of all sweeps that have one.
    pub sweeps: Vec<String>,
    /// The place of `run` of each kind that the file declares or includes.
    pub programs: BTreeMap<&'static str, Span>,
    /// Notes for the user that are no mistakes.
    pub notes: Vec<String>,
    /// Whether this is the text of an earlier run. It was checked when it ran, and what is at its paths now says nothing
    /// about it.
    pub recorded: bool,
    /// The texts that all places point into.
    pub sources: &'t Sources,
}

impl<'t> Pipeline<'t> {
    /// A pipeline in which nothing stands, called like its file.
    pub(super) fn empty(file: &Path, sources: &'t Sources) -> Self {
        Self {
            name: file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
            file: without_links(file),
            root: project_root(file),
            stages: Vec::new(),
            unread: BTreeSet::new(),
            axes: Vec::new(),
            space: Space::default(),
            variants: Vec::new(),
            repeats: None,
            halving: None,
            loops: Vec::new(),
            sweeps: Vec::new(),
            programs: BTreeMap::new(),
            notes: Vec::new(),
            recorded: false,
            sources,
        }
    }
}

/// One `[stage.NAME]`.
#[derive(Clone)]
pub struct StageDef<'t> {
    /// Its name, and the place of that.
    pub name: Spanned<String>,
    /// Its kind.
    pub kind: StageKind,
    /// The output that each input port is joined to.
    pub inputs: Vec<Wire>,
    /// The place of `inputs = …`, if the stage has it.
    pub inputs_span: Option<Span>,
    /// How often a failed run is tried again.
    pub retries: u32,
    /// The resources that it takes while it runs.
    pub resources: Resources,
    /// The parameters: everything except the reserved keys, with `seed` filled in from the pipeline.
    pub params: DeTable<'t>,
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

    /// The axis over variants, which is called `variant`.
    pub(super) fn over_variants(key: Spanned<String>, values: Vec<Spanned<DeValue<'t>>>) -> Self {
        Self { key, stage: String::new(), path: Vec::new(), values, own: None }
    }

    /// The axis without its values.
    pub(super) fn keyed(&self) -> Self {
        Self { values: Vec::new(), own: None, ..self.clone() }
    }

    /// The key of the axis.
    #[must_use]
    pub fn name(&self) -> &str {
        self.key.get_ref()
    }

    /// True for the axis over variants.
    #[must_use]
    pub fn is_variant(&self) -> bool {
        self.path.is_empty()
    }
}

/// A modified copy of the graph that runs beside the base, and is reported as one more row.
#[derive(Clone)]
pub struct Variant<'t> {
    /// Its name, and the place of that.
    pub name: Spanned<String>,
    /// Parameters with other values.
    pub set: Vec<Patch<'t>>,
    /// `STAGE.PORT` of inputs, and the outputs that they are joined to instead.
    pub rewire: Vec<Wire>,
    /// Stages that it removes.
    pub drop: Vec<Spanned<String>>,
}

/// A parameter with another value.
#[derive(Clone)]
pub struct Patch<'t> {
    /// The stage.
    pub stage: String,
    /// The key path of the parameter.
    pub path: Vec<String>,
    /// Where the key stands.
    pub span: Span,
    /// The value.
    pub value: Spanned<DeValue<'t>>,
}

impl<'t> Variant<'t> {
    pub(super) fn named(name: Spanned<String>) -> Self {
        Self { name, set: Vec::new(), rewire: Vec::new(), drop: Vec::new() }
    }

    /// The place where the variant drops a stage.
    #[must_use]
    pub fn drops(&self, stage: &str) -> Option<Span> {
        self.drop.iter().find(|name| name.get_ref() == stage).map(Spanned::span)
    }

    /// The stage with the variant's changes; `None` if the variant removes it.
    #[must_use]
    pub fn patched(&self, stage: &StageDef<'t>) -> Option<StageDef<'t>> {
        let name = stage.name.get_ref();
        if self.drops(name).is_some() {
            return None;
        }
        let mut stage = stage.clone();
        for patch in self.set.iter().filter(|patch| patch.stage == *name) {
            document::set(&mut stage.params, &patch.path, patch.span.clone(), patch.value.clone());
        }
        for wire in &self.rewire {
            let Some((_, port)) = wire.port.get_ref().split_once('.').filter(|(of, _)| of == name) else { continue };
            stage.inputs.retain(|old| old.port.get_ref() != port);
            let port = Spanned::new(wire.port.span(), port.to_owned());
            stage.inputs.push(Wire { port, from: wire.from.clone() });
        }
        Some(stage)
    }

    /// True if the variant changes the stage itself.
    #[must_use]
    pub fn changes(&self, stage: &str) -> bool {
        self.set.iter().any(|patch| patch.stage == stage)
            || self.rewire.iter().any(|wire| wire.port.get_ref().split('.').next() == Some(stage))
    }
}

/// Stages that run several times. In round 1 their inputs are those of the file; from round 2 on, carried outputs of
/// the round before take their place.
#[derive(Clone, Debug)]
pub struct Loop {
    /// Its name, and the place of that.
    pub name: Spanned<String>,
    /// The number of rounds, at least 1.
    pub times: Spanned<usize>,
    /// The stages of a round.
    pub body: Vec<Spanned<String>>,
    /// `STAGE.PORT` of an input in the body, and the output in the body that it takes from the round before.
    pub carry: Vec<Wire>,
}

impl Loop {
    /// True if the stage belongs to a round.
    #[must_use]
    pub fn holds(&self, stage: &str) -> bool {
        self.body.iter().any(|name| name.get_ref() == stage)
    }
}

/// Successive halving over the points of a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halving {
    /// The block of the space whose rows are the points.
    pub block: usize,
    /// The parameter that rises from rung to rung, an axis of the sweep.
    pub over: String,
    /// Its values, one for each rung, rising.
    pub rungs: Vec<u64>,
    /// One in so many points continues to the next rung.
    pub factor: usize,
    /// The stage whose metric decides.
    pub stage: String,
    /// The metric.
    pub metric: String,
    /// The place of both.
    pub score: Span,
    /// True if a lower value is better.
    pub lowest: bool,
}

impl Halving {
    /// How many of `points` are in each rung.
    #[must_use]
    pub fn sizes(&self, points: usize) -> Vec<usize> {
        let next = |size: &usize| Some((size / self.factor).max(1));
        std::iter::successors(Some(points), next).take(self.rungs.len()).collect()
    }
}
