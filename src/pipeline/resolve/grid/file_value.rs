//! The value of a parameter where a sweep says nothing of it.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    diagnostic::Diagnostics,
    pipeline::{
        document,
        expression::NONE,
        resolve::{scope::Scope, typed::typed, values::computed},
        resolved::{Axis, StageDef, Variant},
        written::Value,
    },
};

/// Where values come from that no axis gives: the file with the values of the command line, and the defaults.
pub(crate) struct FileValues<'a, 't> {
    /// The stages and loops.
    pub scope: &'a Scope<'t>,
    /// The variants that are rows.
    pub variants: &'a [Variant<'t>],
    /// The pipeline's seed.
    pub seed: Option<&'a Value<'t>>,
}

impl<'t> FileValues<'_, 't> {
    /// The value of the parameter of an axis; `None` where that is different from point to point: one of `all` axes or
    /// a variant changes what is beside it, or it is computed from other parameters.
    pub(crate) fn of(&self, axis: &Axis<'t>, all: &[Axis<'t>]) -> Option<Value<'t>> {
        let span = axis.key.span();
        if let Some(found) = self.scope.find_loop(&axis.stage) {
            return computed(found.times.get_ref().to_string(), &found.times.span(), self.scope);
        }
        let stage = self.scope.stage(&axis.stage)?;
        let top = axis.path.first()?;
        let beside = |path: &[String]| path.first() == Some(top) && *path != axis.path;
        let moved = all.iter().any(|other| other.stage == axis.stage && beside(&other.path));
        let mut patches = self.variants.iter().flat_map(|variant| &variant.set);
        if moved || patches.any(|patch| patch.stage == axis.stage && beside(&patch.path)) {
            return None;
        }
        if let Some(written) = document::look_up(&stage.params, &axis.path).ok()? {
            return Some(written.clone());
        }
        if let Some(seed) = self.seed.filter(|_| axis.path == ["seed"]) {
            return Some(seed.clone());
        }
        let value = default(stage, &axis.path)?;
        let left_out = || Spanned::new(span.clone(), DeValue::String(format!("= {NONE}").into()));
        Some(document::from_json(&value, &span, self.scope.sources).unwrap_or_else(left_out))
    }
}

/// The default of a parameter beside what stands in its table.
fn default(stage: &StageDef<'_>, path: &[String]) -> Option<serde_json::Value> {
    let mut table = DeTable::new();
    let top = stage.params.iter().find(|(key, _)| Some(key.get_ref().as_ref()) == path.first().map(String::as_str));
    table.extend(top.map(|(key, value)| (key.clone(), value.clone())));
    if !document::expressions(&table).is_empty() {
        return None;
    }
    let params = typed(&stage.kind, &stage.name, table, &mut Diagnostics::default()).params();
    path.iter().try_fold(&params, |value, key| value.get(key)).cloned()
}
