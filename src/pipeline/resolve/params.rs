//! Which parameters a kind has, and typed parameters from a table, with every mistake at once.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    document::{self, NONE},
    value,
};
use crate::{
    diagnostic::{Diagnostic, Span, quoted, suggest},
    stage::{AnyStage, StageKind},
};

/// The parameters of a kind, from its JSON schema.
pub struct Params {
    schema: Value,
}

impl Params {
    /// The parameters of `kind`.
    #[must_use]
    pub fn of(kind: &StageKind) -> Self {
        Self { schema: kind.schema().to_value() }
    }

    /// The schema of all of them.
    pub(in crate::pipeline) fn schema(&self) -> &Value {
        &self.schema
    }

    /// True if the kind has the parameter.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.fields(&self.schema).is_some_and(|fields| fields.contains_key(name))
    }

    /// Checks a key path of a stage such as `optimizer.lr`; an error is a message and a remedy.
    ///
    /// # Errors
    /// If the kind has no such parameter.
    pub fn check_path(&self, stage: &str, path: &[String]) -> Result<(), (String, String)> {
        let mut schema = &self.schema;
        for (depth, key) in path.iter().enumerate() {
            let parent = path[..depth].join(".");
            let Some(fields) = self.fields(schema) else {
                let message = format!("`{parent}` is not a table, so it has no `{key}`");
                return Err((message, format!("write `{stage}.{parent}`")));
            };
            let names: Vec<&str> = fields.keys().copied().collect();
            let Some(field) = fields.get(key.as_str()) else {
                let start = [&[stage.to_owned()], &path[..depth]].concat().join(".");
                let help = match suggest(key, names.iter().copied()) {
                    Some(like) => format!("did you mean `{start}.{like}`?"),
                    None if parent.is_empty() => format!("it has {}", quoted(&names)),
                    None => format!("`{parent}` has {}", quoted(&names)),
                };
                return Err((format!("no parameter `{}`", path.join(".")), help));
            };
            schema = field;
        }
        Ok(())
    }

    /// What may stand at a key path.
    #[must_use]
    pub fn allowed(&self, path: &[String]) -> Allowed {
        let field = path.iter().try_fold(&self.schema, |schema, key| self.fields(schema)?.get(key.as_str()).copied());
        let Some(field) = field else { return Allowed::default() };
        let words = self.words(field);
        Allowed {
            nothing: self.admits(field, "null"),
            word: words.contains(&NONE),
            text: words.is_empty() && self.admits(field, "string"),
            list: self.admits(field, "array"),
        }
    }

    /// True if a schema lets values of a JSON type through.
    fn admits(&self, schema: &Value, wanted: &str) -> bool {
        let own = match schema.get("type") {
            Some(Value::Array(types)) => types.iter().any(|of| of == wanted),
            of => of.is_some_and(|of| of == wanted),
        };
        own || self.alternatives(schema).any(|schema| self.admits(schema, wanted))
    }

    /// Takes unknown keys out of `table`, at any depth, and reports each.
    pub fn take_unknown(&self, kind: &str, table: &mut DeTable<'_>, found: &mut Vec<Diagnostic>) {
        self.take_unknown_at(&self.schema, kind, "", table, found);
    }

    fn take_unknown_at(
        &self,
        schema: &Value,
        kind: &str,
        prefix: &str,
        table: &mut DeTable<'_>,
        found: &mut Vec<Diagnostic>,
    ) {
        let Some(fields) = self.fields(schema) else { return };
        let unknown: Vec<(String, Span)> = table
            .iter()
            .filter(|(key, _)| !fields.contains_key(key.get_ref().as_ref()))
            .map(|(key, _)| (key.get_ref().to_string(), key.span()))
            .collect();
        for (key, span) in unknown {
            table.remove(key.as_str());
            let mut names: Vec<&str> = fields.keys().copied().collect();
            names.sort_unstable();
            let place = if prefix.is_empty() { String::new() } else { format!(" in `{prefix}`") };
            let help = match suggest(&key, names.iter().copied()) {
                Some(like) => format!("did you mean `{like}`?"),
                None => format!("it has {}", quoted(&names)),
            };
            found.push(Diagnostic::new(span, format!("kind `{kind}` has no parameter `{key}`{place}")).help(help));
        }
        for (key, value) in table.iter_mut() {
            if let (Some(schema), DeValue::Table(inner)) = (fields.get(key.get_ref().as_ref()), value.get_mut()) {
                let prefix =
                    if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
                self.take_unknown_at(schema, kind, &prefix, inner, found);
            }
        }
    }

    /// The properties of an object schema, through `$ref` and the `anyOf` of an optional one.
    pub(in crate::pipeline) fn fields<'a>(&'a self, schema: &'a Value) -> Option<BTreeMap<&'a str, &'a Value>> {
        if let Some(Value::Object(fields)) = schema.get("properties") {
            return Some(fields.iter().map(|(name, schema)| (name.as_str(), schema)).collect());
        }
        self.alternatives(schema).find_map(|schema| self.fields(schema))
    }

    /// The words that a schema of choices allows.
    pub(in crate::pipeline) fn words<'a>(&'a self, schema: &'a Value) -> Vec<&'a str> {
        let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
        let own = listed.chain(schema.get("const")).filter_map(Value::as_str);
        own.chain(self.alternatives(schema).flat_map(|schema| self.words(schema))).collect()
    }

    /// What a schema refers to, or is one of.
    fn alternatives<'a>(&'a self, schema: &'a Value) -> impl Iterator<Item = &'a Value> {
        let name = schema.get("$ref").and_then(|name| name.as_str()?.strip_prefix('#'));
        let listed = ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
        name.and_then(|name| self.schema.pointer(name)).into_iter().chain(listed)
    }
}

/// What may stand at a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Nothing: the parameter is optional.
    pub nothing: bool,
    /// `none` as one of a choice of words.
    pub word: bool,
    /// Any text.
    pub text: bool,
    /// A list.
    pub list: bool,
}

/// Reads typed parameters. Every value that cannot be read is reported; the stage that comes back (with defaults in
/// their place) is only good for finding more mistakes, if any was.
pub fn typed(
    kind: &StageKind,
    stage: &Spanned<String>,
    mut table: DeTable<'_>,
    found: &mut Vec<Diagnostic>,
) -> Box<dyn AnyStage> {
    let header = stage.span();
    loop {
        let error = match kind.parse(Spanned::new(header.clone(), table.clone())) {
            Ok(stage) => return over_defaults(kind, table, stage),
            Err(error) => error,
        };
        let span = error.span().unwrap_or_else(|| header.clone());
        found.push(value::mistake(stage.get_ref(), &table, &span, error.message()));
        if !document::remove_at(&mut table, &span) {
            return kind.default_stage();
        }
    }
}

/// The stage with what a nested table leaves out taken from the defaults of the kind, not from those of the table's type:
/// `optimizer = { lr = 0.1 }` changes the rate alone. A table that names another `kind` starts from that kind's defaults.
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
