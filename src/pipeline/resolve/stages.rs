//! Stages: their kinds, and parameters that their kinds have.

use std::collections::{BTreeMap, BTreeSet};

use super::{kinds::Kinds, params::Params, scope::Scope};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Names, Sources, quoted},
    pipeline::{
        document,
        resolved::StageDef,
        written::{Value, stage::Stage},
    },
    stage::StageKind,
};

/// The scope of a file with these stages, without its loops.
pub(super) fn resolve<'t>(
    stages: Vec<Stage<'t>>,
    kinds: &Kinds,
    sources: &'t Sources,
    diagnostics: &mut Diagnostics,
) -> Scope<'t> {
    let (mut resolved, mut unread, mut params) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    for mut stage in stages {
        let Some(kind) = kind(&stage, kinds, diagnostics) else {
            unread.insert(stage.name.into_inner());
            continue;
        };
        let known = params.entry(kind.name.to_owned()).or_insert_with(|| Params::of(&kind));
        known.take_unknown(&mut stage.params, diagnostics);
        let Stage { name, inputs, inputs_span, retries, resources, params, .. } = stage;
        let (retries, resources) = (retries.unwrap_or_default(), resources.unwrap_or_default());
        resolved.push(StageDef { name, kind, inputs, inputs_span, retries, resources, params });
    }
    resolved.sort_by_key(|stage: &StageDef<'t>| stage.name.span().start);
    Scope { sources, stages: resolved, unread, loops: Vec::new(), params }
}

/// The kind of a stage. A stage that is not a table has none, and that is one mistake, not two.
fn kind(stage: &Stage<'_>, known: &Kinds, diagnostics: &mut Diagnostics) -> Option<StageKind> {
    let Kinds { registry, unread, complete, .. } = known;
    let names: Vec<&str> = registry.kinds().map(|kind| kind.name).collect();
    let kinds = format!("kinds are {}", quoted(&names));
    let Some(kind) = &stage.kind else {
        if stage.complete {
            let message = format!("stage `{}` has no `kind`", stage.name.get_ref());
            diagnostics.add(Diagnostic::new(stage.name.span(), message).help(kinds));
        }
        return None;
    };
    let Some(name) = kind.get_ref().as_str() else {
        diagnostics.add(Diagnostic::new(kind.span(), "`kind` must be a string"));
        return None;
    };
    let found = registry.get(name).cloned();
    if found.is_none() && !unread.contains(name) && *complete {
        let names = Names::new(names.iter().copied()).between("\"", "\"").otherwise(kinds);
        diagnostics.unknown(kind.span(), format!("unknown kind `{name}`"), name, &names);
    }
    found
}

/// Gives the pipeline's seed to every stage that has a seed and none of its own.
pub(super) fn give_seed<'t>(scope: &mut Scope<'t>, seed: &Value<'t>) {
    let Scope { stages, params, .. } = scope;
    for stage in stages {
        let has_seed = params.get(stage.kind.name).is_some_and(|params| params.has("seed"));
        if has_seed && !stage.params.contains_key("seed") {
            document::set(&mut stage.params, &["seed".to_owned()], seed.span(), seed.clone());
        }
    }
}
