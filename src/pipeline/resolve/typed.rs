//! Typed parameters from a table, with every mistake at once.

use serde::Deserialize;
use serde_json::Value;
use toml::{Spanned, de::DeTable};

use super::type_errors;
use crate::{
    diagnostic::Diagnostics,
    pipeline::document,
    stage::{AnyStage, StageKind},
};

/// Reads typed parameters and reports every value that cannot be read. If there is one, the stage that is returned has
/// defaults in its place and is only good for finding more mistakes.
pub fn typed(
    kind: &StageKind,
    stage: &Spanned<String>,
    mut table: DeTable<'_>,
    found: &mut Diagnostics,
) -> Box<dyn AnyStage> {
    let header = stage.span();
    loop {
        let error = match kind.parse(Spanned::new(header.clone(), table.clone())) {
            Ok(stage) => return over_defaults(kind, table, stage),
            Err(error) => error,
        };
        let span = error.span().unwrap_or_else(|| header.clone());
        found.add(type_errors::mistake(stage.get_ref(), &table, &span, error.message()));
        if !document::remove_at(&mut table, &span) {
            return kind.default_stage();
        }
    }
}

/// The stage, where a nested table that leaves something out gets the default of the kind, not that of the table's
/// type: `optimizer = { lr = 0.1 }` changes only the rate. A table that names another `kind` starts from that kind's
/// defaults.
fn over_defaults(kind: &StageKind, table: DeTable<'_>, stage: Box<dyn AnyStage>) -> Box<dyn AnyStage> {
    if !table.values().any(|value| value.get_ref().is_table()) {
        return stage;
    }
    let deserializer = toml::de::Deserializer::from(Spanned::new(0..0, table));
    let Ok(written) = Value::deserialize(deserializer) else { return stage };
    let mut params = kind.default_stage().params();
    lay_over(&mut params, written);
    kind.restore(&params).unwrap_or(stage)
}

fn lay_over(below: &mut Value, above: Value) {
    let other_kind = above.get("kind").is_some_and(|kind| below.get("kind") != Some(kind));
    match (below, above) {
        (Value::Object(below), Value::Object(above)) if !other_kind => {
            for (key, value) in above {
                lay_over(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}
