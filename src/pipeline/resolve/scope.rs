//! What keys of a file can name: stages and their parameters, and loops.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;

use super::params::{Allowed, Params};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Names, Sources, Span},
    pipeline::{
        limits::MAX_ROUNDS,
        resolved::{Axis, Loop, StageDef},
        written::{Value, stage::RESERVED},
    },
};

/// The stages and loops of a file, as far as they could be read.
pub(super) struct Scope<'t> {
    /// The texts of the file and the command line.
    pub sources: &'t Sources,
    /// The stages, in the order of the file.
    pub stages: Vec<StageDef<'t>>,
    /// Names of stages that could not be read.
    pub unread: BTreeSet<String>,
    /// The loops.
    pub loops: Vec<Loop>,
    /// The parameters of each kind that a stage has, by the name of the kind.
    pub params: BTreeMap<String, Params>,
}

impl<'t> Scope<'t> {
    /// The stage of that name.
    pub(super) fn stage(&self, name: &str) -> Option<&StageDef<'t>> {
        self.stages.iter().find(|stage| stage.name.get_ref() == name)
    }

    /// The names of all stages.
    pub(super) fn stage_names(&self) -> impl Iterator<Item = &str> {
        self.stages.iter().map(|stage| stage.name.get_ref().as_str())
    }

    /// The loop of that name.
    pub(super) fn find_loop(&self, name: &str) -> Option<&Loop> {
        self.loops.iter().find(|found| found.name.get_ref() == name)
    }

    /// True if the stage's kind has a parameter `seed`.
    pub(super) fn has_seed(&self, stage: &StageDef<'t>) -> bool {
        self.params.get(stage.kind.name).is_some_and(|params| params.has("seed"))
    }

    /// The values that a parameter of a stage allows.
    pub(super) fn allowed(&self, stage: &StageDef<'t>, path: &[String]) -> Allowed {
        self.params.get(stage.kind.name).map(|params| params.allowed(path)).unwrap_or_default()
    }

    /// The place of a name, if it is that of a stage; else that is a mistake.
    pub(super) fn known_stage(&self, name: &Spanned<String>, diagnostics: &mut Diagnostics) -> bool {
        if self.stage(name.get_ref()).is_some() {
            return true;
        }
        if !self.unread.contains(name.get_ref()) {
            let message = format!("there is no stage `{}`", name.get_ref());
            let names = Names::new(self.stage_names()).otherwise("it names stages of this file");
            diagnostics.unknown(name.span(), message, name.get_ref(), &names);
        }
        false
    }

    /// True if the axis names a parameter of a stage, or the rounds of a loop; else that is a mistake.
    pub(super) fn can_vary(&self, axis: &Axis<'t>, diagnostics: &mut Diagnostics) -> bool {
        match self.find_loop(&axis.stage) {
            Some(_) => is_times(axis, diagnostics),
            None => self.is_parameter(&axis.key, &axis.stage, &axis.path, diagnostics),
        }
    }

    /// True if the key names a parameter of a stage; else that is a mistake.
    pub(super) fn is_parameter(
        &self,
        key: &Spanned<String>,
        stage: &str,
        path: &[String],
        diagnostics: &mut Diagnostics,
    ) -> bool {
        let (span, key) = (key.span(), key.get_ref());
        if self.unread.contains(stage) {
            return false;
        }
        let Some(found) = self.stage(stage) else {
            let loops = self.loops.iter().map(|found| found.name.get_ref().as_str());
            let names = Names::new(self.stage_names().chain(loops)).between("`", format!(".{}`", path.join(".")));
            let names = names.otherwise("a parameter is written `stage.param`");
            diagnostics.unknown(span, format!("`{key}`: there is no stage `{stage}`"), stage, &names);
            return false;
        };
        if path.first().is_some_and(|first| RESERVED.contains(&first.as_str())) {
            let message = format!("`{key}`: `{}` is not a parameter and cannot be varied", path[0]);
            diagnostics.add(Diagnostic::new(span, message));
            return false;
        }
        self.has_param(found, path, key, &span, diagnostics)
    }

    /// True if the kind of a stage has the parameter that stands there as `key`; else that is a mistake.
    pub(super) fn has_param(
        &self,
        stage: &StageDef<'t>,
        path: &[String],
        key: &str,
        span: &Span,
        diagnostics: &mut Diagnostics,
    ) -> bool {
        let Some(params) = self.params.get(stage.kind.name) else { return true };
        diagnostics.take(params.check_path(stage.name.get_ref(), path, key, span)).is_some()
    }
}

/// The number of rounds that a value asks for.
pub(super) fn rounds(value: &Value<'_>) -> Option<usize> {
    let times = usize::try_from(crate::pipeline::document::whole(value.get_ref())?).ok()?;
    (1..=MAX_ROUNDS).contains(&times).then_some(times)
}

/// The mistake of a value that is no number of rounds.
pub(super) fn no_rounds(span: Span) -> Diagnostic {
    let message = format!("`times` must be a whole number from 1 to {MAX_ROUNDS}");
    Diagnostic::new(span, message).help("it is the number of rounds")
}

/// True if an axis over a loop is one over its rounds; else that is a mistake.
fn is_times(axis: &Axis<'_>, diagnostics: &mut Diagnostics) -> bool {
    if axis.path != ["times"] {
        let message = format!("`{}`: a loop has nothing to vary but `times`", axis.name());
        let help = format!("write `{}.times`", axis.stage);
        diagnostics.add(Diagnostic::new(axis.key.span(), message).help(help));
        return false;
    }
    let wrong: Vec<Span> = axis.values.iter().filter(|value| rounds(value).is_none()).map(Spanned::span).collect();
    diagnostics.extend(wrong.iter().cloned().map(no_rounds));
    wrong.is_empty()
}
