//! Parsed TOML that keeps its places: look up, set and remove by key path.

use std::borrow::Cow;

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use crate::diagnostic::Span;

/// The place of the value at a key path, or of the longest part of the path that is there.
#[must_use]
pub fn span_of(table: &DeTable<'_>, path: &str) -> Option<Span> {
    let mut found = None;
    let mut table = Some(table);
    for key in path.split('.') {
        let Some(value) = table.and_then(|t| t.get(key)) else { break };
        found = Some(value.span());
        table = value.get_ref().as_table();
    }
    found
}

/// The place of the key at the end of a key path, if it is there.
#[must_use]
pub fn key_at(table: &DeTable<'_>, path: &str) -> Option<Span> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let (key, value) = table.get_key_value(first)?;
    if rest.is_empty() { Some(key.span()) } else { key_at(value.get_ref().as_table()?, rest) }
}

/// Sets the value at a key path, making tables on the way. A value in the way that is no table is replaced.
pub fn set<'t>(table: &mut DeTable<'t>, path: &[String], key: Span, value: Spanned<DeValue<'t>>) {
    let [first, rest @ ..] = path else { return };
    // Insertion under an equal key keeps the old key with its old place, so that goes first.
    let old = table.remove(first.as_str());
    let value = if rest.is_empty() {
        value
    } else {
        let mut inner = match old.map(Spanned::into_inner) {
            Some(DeValue::Table(inner)) => inner,
            _ => DeTable::new(),
        };
        set(&mut inner, rest, key.clone(), value);
        Spanned::new(key.clone(), DeValue::Table(inner))
    };
    table.insert(Spanned::new(key, Cow::Owned(first.clone())), value);
}

/// Whether a place lies within another one.
#[must_use]
pub fn covers(outer: &Span, inner: &Span) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// The key path of the innermost entry whose key or value covers a span. A table that was put together from several texts
/// need not cover what is in it.
#[must_use]
pub fn path_at(table: &DeTable<'_>, span: &Span) -> Option<Vec<String>> {
    table.iter().find_map(|(key, value)| {
        let inner = value.get_ref().as_table().and_then(|inner| path_at(inner, span));
        let below = inner.or_else(|| (covers(&key.span(), span) || covers(&value.span(), span)).then(Vec::new))?;
        Some([vec![key.get_ref().to_string()], below].concat())
    })
}

/// Removes the entry at a key path. One that is not there is fine.
pub fn remove(table: &mut DeTable<'_>, path: &[String]) {
    match path {
        [] => {}
        [last] => drop(table.remove(last.as_str())),
        [first, rest @ ..] => {
            if let Some(DeValue::Table(inner)) = table.get_mut(first.as_str()).map(Spanned::get_mut) {
                remove(inner, rest);
            }
        }
    }
}

/// Removes the innermost entry whose key or value covers `span`; true if there was one.
pub fn remove_at(table: &mut DeTable<'_>, span: &Span) -> bool {
    let path = path_at(table, span);
    path.iter().for_each(|path| remove(table, path));
    path.is_some()
}

/// The value with all its places moved by `offset`.
#[must_use]
pub fn shifted<'t>(value: Spanned<DeValue<'t>>, offset: usize) -> Spanned<DeValue<'t>> {
    let span = value.span().start + offset..value.span().end + offset;
    let moved = match value.into_inner() {
        DeValue::Array(items) => {
            let mut moved = DeArray::new();
            for item in items.iter() {
                moved.push(shifted(item.clone(), offset));
            }
            DeValue::Array(moved)
        }
        DeValue::Table(entries) => DeValue::Table(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let span = key.span().start + offset..key.span().end + offset;
                    (Spanned::new(span, key.into_inner()), shifted(value, offset))
                })
                .collect(),
        ),
        other => other,
    };
    Spanned::new(span, moved)
}

/// How a value is shown in the name of an instance: strings without quotes, the rest as in TOML.
#[must_use]
pub fn display(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| display(item.get_ref())).collect();
            format!("[{}]", items.join(","))
        }
        DeValue::Table(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(k, v)| format!("{}={}", k.get_ref(), display(v.get_ref()))).collect();
            format!("{{{}}}", entries.join(","))
        }
    }
}

/// The value as JSON, for results tables.
#[must_use]
pub fn to_json(value: &DeValue<'_>) -> serde_json::Value {
    match value {
        DeValue::Integer(_) | DeValue::Float(_) => {
            serde_json::from_str(&display(value).replace('_', "")).unwrap_or_else(|_| display(value).into())
        }
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        other => display(other).into(),
    }
}
