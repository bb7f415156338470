//! The value that a parameter has where a sweep says nothing of it.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Axis, Pipeline, StageDef,
    document::{self, NONE},
    parse::Reader,
    tie, typed,
};

impl<'t> Reader<'_, 't> {
    /// What a parameter is in the file, or by default; `None` where that is different from point to point: another axis
    /// or a variant changes what is beside it, or it is worked out from others.
    pub(in crate::pipeline) fn own_value(
        &self,
        axis: &Axis<'t>,
        all: &[Axis<'t>],
        pipeline: &Pipeline<'t>,
    ) -> Option<Spanned<DeValue<'t>>> {
        let span = axis.key.span();
        if let Some(around) = pipeline.loops.iter().find(|around| *around.name.get_ref() == axis.stage) {
            let times = DeValue::parse(self.sources.keep(around.times.get_ref().to_string())).ok()?;
            return Some(Spanned::new(around.times.span(), times.into_inner()));
        }
        let stage = pipeline.stages.iter().find(|stage| *stage.name.get_ref() == axis.stage)?;
        let top = axis.path.first()?;
        let beside = |path: &[String]| path.first() == Some(top) && *path != axis.path;
        let moved = all.iter().any(|other| other.stage == axis.stage && beside(&other.path));
        let patches = pipeline.variants.iter().flat_map(|variant| &variant.set);
        if moved || patches.into_iter().any(|patch| patch.stage == axis.stage && beside(&patch.path)) {
            return None;
        }
        if let Some(written) = document::look_up(&stage.params, &axis.path).ok()? {
            return Some(written.clone());
        }
        if let Some(seed) = self.seed.as_ref().filter(|_| axis.path == ["seed"]) {
            return Some(seed.clone());
        }
        let value = default(stage, &axis.path)?;
        match document::from_json(&value, &span, self.sources) {
            None => Some(Spanned::new(span, DeValue::String(format!("= {NONE}").into()))),
            value => value,
        }
    }
}

/// The default of a parameter beside what stands in its table.
fn default(stage: &StageDef<'_>, path: &[String]) -> Option<serde_json::Value> {
    let mut table = DeTable::new();
    let top = stage.params.iter().find(|(key, _)| Some(key.get_ref().as_ref()) == path.first().map(String::as_str));
    table.extend(top.map(|(key, value)| (key.clone(), value.clone())));
    if !tie::expressions(&table).is_empty() {
        return None;
    }
    let params = typed(&stage.kind, &stage.name, table, &mut Vec::new()).params();
    path.iter().try_fold(&params, |value, key| value.get(key)).cloned()
}
