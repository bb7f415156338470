//! The merged graph of a pipeline and its sweep, and how it is built.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    definition, expand,
    expressions::Ties,
    instance::{Instance, InstanceId, Instances, Link, Recorded},
    resolve, unrolled,
    wires::Patched,
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Place, Span},
    pipeline::{Halving, Pipeline, document},
    stage::{Registry, StageKind},
};

/// All instances of a pipeline. Each comes after the instances that it depends on.
pub struct Graph<'t> {
    /// The pipeline.
    pub pipeline: Pipeline<'t>,
    /// The instances.
    pub instances: Instances<'t>,
    /// Warnings about parts of the file that are valid but probably not intended, in the order of the file.
    pub warnings: Vec<Diagnostic>,
}

/// The instances that a command is about, in the order of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The instances that were asked for.
    pub targets: BTreeSet<InstanceId>,
    /// The targets and everything that they depend on, in the order of the graph.
    pub all: Vec<InstanceId>,
}

/// Expands a pipeline to its instances, as far as its mistakes allow.
fn unrolled<'t>(pipeline: &Pipeline<'t>, found: &mut Diagnostics) -> Instances<'t> {
    let patched: Vec<Patched<'_, 't>> = if pipeline.variants.is_empty() {
        vec![Patched::new(pipeline, None)]
    } else {
        pipeline.variants.iter().map(|variant| Patched::new(pipeline, Some(variant))).collect()
    };
    let wirings: Vec<_> = patched.iter().map(|patched| resolve::check(patched, found)).collect();
    let ties: Vec<Ties<'_, 't>> = patched.iter().map(Ties::new).collect();
    let ordered = wirings.iter().all(|wiring| wiring.order.is_some());
    let nodes = if ordered { unrolled::unroll(&patched, &ties, &wirings, found) } else { None };
    match nodes {
        Some(nodes) => expand::expand(pipeline, &ties, &nodes, found),
        None => {
            ties.iter().for_each(|ties| definition::check_alone(ties, found));
            Instances::new()
        }
    }
}

/// Reports seeds that change no work: a stage with one result would be shown as several repeats.
fn unvaried(pipeline: &Pipeline<'_>, instances: &Instances<'_>) -> Option<Diagnostic> {
    let seeds = pipeline.repeats.as_ref()?;
    let axis = pipeline.axes.iter().find(|axis| axis.key.get_ref() == seeds).filter(|axis| axis.values.len() > 1)?;
    let first = document::to_json(axis.values.first()?.get_ref());
    let repeats = |instance: &Instance<'_>| instance.axes.get(seeds).is_some_and(|seed| *seed != first);
    let differs = |instance: &Instance<'_>| repeats(instance) && instance.same_as.is_none();
    let none = instances.iter().any(repeats) && !instances.iter().any(differs);
    let message = "no result varies with the seeds: those of the stages that vary have no effect";
    let help = "vary a stage whose seed has an effect, or leave the seeds out";
    none.then(|| Diagnostic::new(axis.key.span(), message).help(help))
}

/// Reports a search whose score comes from a stage that does not vary with the axis of the rungs.
fn unrelated_score(pipeline: &Pipeline<'_>, instances: &Instances<'_>) -> Option<Diagnostic> {
    let Halving { stage, over, score, .. } = pipeline.halving.as_ref()?;
    let mut of_stage = instances.iter().filter(|instance| instance.stage == *stage);
    let depends = of_stage.any(|instance| instance.axes.contains_key(over));
    let message = format!("`{stage}` does not depend on `{over}`, so its score says nothing about the rungs");
    (!depends).then(|| Diagnostic::new(score.clone(), message).help("name a stage that depends on it"))
}

impl<'t> Graph<'t> {
    /// Wires a pipeline and unrolls its variants, loops and sweep.
    ///
    /// # Errors
    /// Returns every mistake that can be found without running: those in `found` and those in wires, parameters and
    /// sizes.
    pub fn build(pipeline: Pipeline<'t>, mut found: Diagnostics) -> Result<Self, Vec<Diagnostic>> {
        let instances = unrolled(&pipeline, &mut found);
        if pipeline.stages.is_empty() && pipeline.unread.is_empty() && !found.has_mistakes() {
            found.add(Diagnostic::new(0..0, "the file has no stages").help("a stage is written `[stage.NAME]`"));
        }
        if !found.has_mistakes() {
            found.extend(unrelated_score(&pipeline, &instances));
            definition::idle(&instances, &mut found);
            found.extend(unvaried(&pipeline, &instances));
        }
        let (mistakes, warnings) = found.into_shown();
        if mistakes.is_empty() { Ok(Self { warnings, pipeline, instances }) } else { Err(mistakes) }
    }

    /// Returns the selection of these targets and everything that they depend on.
    #[must_use]
    pub fn with_needs(&self, targets: BTreeSet<InstanceId>) -> Selection {
        let mut needed = targets.clone();
        for index in self.instances.keys().rev() {
            if needed.contains(&index) {
                needed.extend(self.instances[index].above());
            }
        }
        Selection { targets, all: needed.into_iter().collect() }
    }

    /// Makes the graph that of an earlier run: `recorded` says what an instance has in it, by its name.
    pub fn set_recorded(&mut self, recorded: impl Fn(&str) -> Recorded) {
        for instance in self.instances.iter_mut() {
            instance.recorded = Some(recorded(&instance.name));
        }
    }

    /// Returns the number of rows that come into an instance, or out of it if it has no inputs. `None` if that is not
    /// known before the instance runs.
    #[must_use]
    pub fn rows_of(&self, index: InstanceId) -> Option<u64> {
        let instance = &self.instances[index];
        let of_input = |link: &Link| self.instances[link.from].foreseen.get(&*link.output)?.rows;
        let rows = match instance.inputs.is_empty() {
            true => instance.foreseen.values().filter_map(|output| output.rows).fold(0, usize::saturating_add),
            false => instance.inputs.iter().filter_map(of_input).fold(0, usize::saturating_add),
        };
        (rows > 0).then_some(rows as u64)
    }

    /// Returns the kinds of the pipeline's stages.
    #[must_use]
    pub fn kinds(&self) -> Registry {
        let kinds: BTreeMap<&str, StageKind> =
            self.instances.iter().map(|instance| (instance.kind.name, instance.kind.clone())).collect();
        kinds.into_values().collect()
    }

    /// Returns the place of a span as users read it.
    #[must_use]
    pub fn place(&self, span: &Span) -> Option<Place> {
        self.pipeline.sources.place(span)
    }
}
