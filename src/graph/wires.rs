//! The stages of a file with their wires, as data only. `resolve` checks them and `order` sorts them.

use std::sync::Arc;

use crate::{
    diagnostic::{Span, suggest},
    pipeline::{Pipeline, StageDef, Variant},
};

/// The file's stages with the changes of one variant, or with none.
pub(super) struct Patched<'a, 't> {
    /// The pipeline.
    pub pipeline: &'a Pipeline<'t>,
    /// The variant, if there are variants.
    pub variant: Option<&'a Variant<'t>>,
    /// The stages, as in the pipeline; `None` for those that the variant drops.
    pub stages: Vec<Option<StageDef<'t>>>,
}

impl<'a, 't> Patched<'a, 't> {
    /// Applies a variant to the stages of a pipeline.
    #[must_use]
    pub(super) fn new(pipeline: &'a Pipeline<'t>, variant: Option<&'a Variant<'t>>) -> Self {
        let patched = |stage: &StageDef<'t>| match variant {
            Some(variant) => variant.patched(stage),
            None => Some(stage.clone()),
        };
        Self { pipeline, variant, stages: pipeline.stages.iter().map(patched).collect() }
    }

    /// Finds a stage by its name, unless the variant drops it. Returns its index too.
    pub(super) fn find(&self, name: &str) -> Option<(usize, &StageDef<'t>)> {
        let at = self.pipeline.stages.iter().position(|stage| stage.name.get_ref() == name)?;
        Some((at, self.stages[at].as_ref()?))
    }

    /// Iterates over the stages that the variant does not drop.
    pub(super) fn here(&self) -> impl Iterator<Item = &StageDef<'t>> {
        self.stages.iter().flatten()
    }
}

/// An input port and the output that it is joined to.
#[derive(Clone, Debug)]
pub(super) struct InputWire {
    /// The input port.
    pub port: &'static str,
    /// The other stage, an index into the pipeline's.
    pub from: usize,
    /// The round of its loop, if the reference names one.
    pub round: Option<usize>,
    /// The output port, or `PORT@EPOCH`.
    pub output: Arc<str>,
    /// The place of the reference.
    pub span: Span,
}

/// The wires into each stage.
pub(super) type Wires = Vec<Vec<InputWire>>;

/// All wires of a graph.
pub(super) struct Wiring {
    /// The wires into each stage.
    pub wires: Wires,
    /// The wires that each loop carries from one round to the next: the stage that takes the input, and the wire.
    pub carried: Vec<Vec<(usize, InputWire)>>,
    /// A topological order that keeps each loop body contiguous; `None` if there is none.
    pub order: Option<Vec<usize>>,
}

/// Suggests the word that the user probably meant, or lists the words that exist.
pub(super) fn did_you_mean(word: &str, names: &[&str]) -> String {
    match suggest(word, names.iter().copied()) {
        Some(like) => format!("did you mean `{like}`?"),
        None if names.is_empty() => "it has none".to_owned(),
        None => format!("there are {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    }
}
