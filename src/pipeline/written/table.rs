//! What tables of a file hold: entries, names, wires.

use std::borrow::Cow;

use toml::{Spanned, de::DeValue};

use super::Value;
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    pipeline::document,
};

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'t> {
    /// The key, and its place.
    pub key: Spanned<String>,
    /// The value.
    pub value: Value<'t>,
}

impl Entry<'_> {
    /// The value, if it is a whole number of at least `least`.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) fn count(&self, least: u64) -> Result<u64, Diagnostic> {
        document::to_json(self.value.get_ref()).as_u64().filter(|count| *count >= least).ok_or_else(|| {
            let message = format!("`{}` must be a whole number of at least {least}", self.key.get_ref());
            Diagnostic::new(self.value.span(), message)
        })
    }
}

/// An input port and the output that it is joined to.
#[derive(Clone, Debug)]
pub struct Wire {
    /// The input port.
    pub port: Spanned<String>,
    /// `STAGE.PORT` as written.
    pub from: Spanned<String>,
}

/// The entries of a table, in the order of the file. A value that is no table is a mistake at `key`.
pub(crate) fn entries<'t>(key: &Span, value: Value<'t>, diagnostics: &mut Diagnostics) -> Vec<Entry<'t>> {
    match value.into_inner() {
        DeValue::Table(table) => {
            let entry = |(key, value): (Spanned<_>, _)| {
                let span = key.span();
                let key: Cow<'t, str> = key.into_inner();
                Entry { key: Spanned::new(span, key.into_owned()), value }
            };
            let mut entries: Vec<Entry<'t>> = table.into_iter().map(entry).collect();
            entries.sort_by_key(|entry| entry.key.span().start);
            entries
        }
        other => {
            diagnostics.add(Diagnostic::new(key.clone(), format!("must be a table, found {}", other.type_str())));
            Vec::new()
        }
    }
}

/// The wires of `inputs`, `rewire` or `carry`.
pub(crate) fn wires(key: &Span, value: Value<'_>, diagnostics: &mut Diagnostics) -> Vec<Wire> {
    let mut wires = Vec::new();
    for Entry { key: port, value: from } in entries(key, value, diagnostics) {
        match from.get_ref() {
            DeValue::String(text) => wires.push(Wire { port, from: Spanned::new(from.span(), text.to_string()) }),
            other => {
                let message = format!("an input must be a string, found {}", other.type_str());
                diagnostics.add(Diagnostic::new(from.span(), message).help("write \"STAGE.PORT\""));
            }
        }
    }
    wires
}

/// The names in `body` or `drop`. Those that are no strings are left out, with a mistake.
pub(crate) fn stages(key: &str, value: &Value<'_>, diagnostics: &mut Diagnostics) -> Vec<Spanned<String>> {
    let Some(items) = value.get_ref().as_array() else {
        let message = format!("`{key}` must be a list of stages, found {}", value.get_ref().type_str());
        let example = if key == "body" { "\"stage\", \"stage\"" } else { "\"stage\"" };
        diagnostics.add(Diagnostic::new(value.span(), message).help(format!("write {key} = [{example}]")));
        return Vec::new();
    };
    let mut names = Vec::new();
    for item in items.iter() {
        match item.get_ref().as_str() {
            Some(name) => names.push(Spanned::new(item.span(), name.to_owned())),
            None => {
                let message = format!("the name of a stage must be a string, found {}", item.get_ref().type_str());
                diagnostics.add(Diagnostic::new(item.span(), message));
            }
        }
    }
    names
}

/// Reports a name that could not stand in commands, paths and metrics: what programs declare has plain names.
pub(crate) fn check_plain_name(name: &Spanned<String>, what: &str, diagnostics: &mut Diagnostics) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let text = name.get_ref();
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') || !text.chars().all(is_plain) {
        let message = format!("`{text}` cannot be the name of a {what}");
        let help = "begin with a letter or `_`, and use ASCII letters, digits, `_` and `-`";
        diagnostics.add(Diagnostic::new(name.span(), message).help(help));
    }
}

/// Names become a part of the names of instances, so they must not hold the characters that separate those parts.
pub(crate) fn check_name(name: &Spanned<String>, what: &str, diagnostics: &mut Diagnostics) {
    if name.get_ref().contains(['@', '.', ',', '=']) || name.get_ref().is_empty() {
        let message = format!("`{}` cannot be the name of a {what}", name.get_ref());
        diagnostics.add(Diagnostic::new(name.span(), message).help("use letters, digits, `_` and `-`"));
    }
}
