//! Which parameters a kind has.

use std::collections::BTreeMap;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use crate::{
    diagnostic::{Diagnostic, Diagnostics, Names, Span, quoted},
    pipeline::expression::NONE,
    stage::StageKind,
};

/// The parameters of a kind, from its JSON schema.
pub struct Params {
    kind: String,
    schema: Value,
}

impl Params {
    /// The parameters of `kind`.
    #[must_use]
    pub fn of(kind: &StageKind) -> Self {
        Self { kind: kind.name.to_owned(), schema: kind.schema().to_value() }
    }

    /// The schema of all of them.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// True if the kind has the parameter.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.fields(&self.schema).is_some_and(|fields| fields.contains_key(name))
    }

    /// Checks a key path of a stage such as `optimizer.lr`, which stands as `written` at a place.
    ///
    /// # Errors
    /// If the kind has no such parameter.
    pub fn check_path(&self, stage: &str, path: &[String], written: &str, span: &Span) -> Result<(), Diagnostic> {
        let wrong = |message: String, help: String| {
            let message = format!("`{written}`: kind `{}` has {message}", self.kind);
            Err(Diagnostic::new(span.clone(), message).help(help))
        };
        let mut schema = &self.schema;
        for (depth, key) in path.iter().enumerate() {
            let parent = path[..depth].join(".");
            let Some(fields) = self.fields(schema) else {
                let message = format!("`{parent}` is not a table, so it has no `{key}`");
                return wrong(message, format!("write `{stage}.{parent}`"));
            };
            let Some(field) = fields.get(key.as_str()) else {
                let start = [&[stage.to_owned()], &path[..depth]].concat().join(".");
                let has = if parent.is_empty() { "it has".to_owned() } else { format!("`{parent}` has") };
                let listed = quoted(&fields.keys().collect::<Vec<_>>());
                let names = Names::new(fields.keys().copied()).between(format!("`{start}."), "`");
                let names = names.otherwise(format!("{has} {listed}"));
                return wrong(format!("no parameter `{}`", path.join(".")), names.help(key));
            };
            schema = field;
        }
        Ok(())
    }

    /// The values that a key path may have.
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

    /// True if a schema allows values of a JSON type.
    fn admits(&self, schema: &Value, wanted: &str) -> bool {
        let own = match schema.get("type") {
            Some(Value::Array(types)) => types.iter().any(|of| of == wanted),
            of => of.is_some_and(|of| of == wanted),
        };
        own || self.alternatives(schema).any(|schema| self.admits(schema, wanted))
    }

    /// Takes unknown keys out of `table`, at any depth, and reports each.
    pub fn take_unknown(&self, table: &mut DeTable<'_>, diagnostics: &mut Diagnostics) {
        self.take_unknown_at(&self.schema, "", table, diagnostics);
    }

    fn take_unknown_at(&self, schema: &Value, prefix: &str, table: &mut DeTable<'_>, diagnostics: &mut Diagnostics) {
        let Some(fields) = self.fields(schema) else { return };
        let unknown: Vec<(String, Span)> = table
            .iter()
            .filter(|(key, _)| !fields.contains_key(key.get_ref().as_ref()))
            .map(|(key, _)| (key.get_ref().to_string(), key.span()))
            .collect();
        for (key, span) in unknown {
            table.remove(key.as_str());
            let place = if prefix.is_empty() { String::new() } else { format!(" in `{prefix}`") };
            let message = format!("kind `{}` has no parameter `{key}`{place}", self.kind);
            let listed = format!("it has {}", quoted(&fields.keys().collect::<Vec<_>>()));
            diagnostics.unknown(span, message, &key, &Names::new(fields.keys().copied()).otherwise(listed));
        }
        for (key, value) in table.iter_mut() {
            if let (Some(schema), DeValue::Table(inner)) = (fields.get(key.get_ref().as_ref()), value.get_mut()) {
                let prefix =
                    if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
                self.take_unknown_at(schema, &prefix, inner, diagnostics);
            }
        }
    }

    /// The properties of an object schema, through `$ref` and the `anyOf` of an optional one.
    pub fn fields<'a>(&'a self, schema: &'a Value) -> Option<BTreeMap<&'a str, &'a Value>> {
        if let Some(Value::Object(fields)) = schema.get("properties") {
            return Some(fields.iter().map(|(name, schema)| (name.as_str(), schema)).collect());
        }
        self.alternatives(schema).find_map(|schema| self.fields(schema))
    }

    /// The words that a schema allows, if it is a choice of words.
    pub fn words<'a>(&'a self, schema: &'a Value) -> Vec<&'a str> {
        let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
        let own = listed.chain(schema.get("const")).filter_map(Value::as_str);
        own.chain(self.alternatives(schema).flat_map(|schema| self.words(schema))).collect()
    }

    /// The schemas that a schema refers to or combines.
    fn alternatives<'a>(&'a self, schema: &'a Value) -> impl Iterator<Item = &'a Value> {
        let name = schema.get("$ref").and_then(|name| name.as_str()?.strip_prefix('#'));
        let listed = ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
        name.and_then(|name| self.schema.pointer(name)).into_iter().chain(listed)
    }
}

/// Which values are allowed at a place.
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
