//! Look up, set and remove by key path.

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

/// The value at a key path.
#[must_use]
pub fn get<'a, 't>(value: &'a Spanned<DeValue<'t>>, path: &[String]) -> Option<&'a Spanned<DeValue<'t>>> {
    path.iter().try_fold(value, |value, key| value.get_ref().as_table()?.get(key.as_str()))
}

/// The value at a key path of a table, if it is there.
///
/// # Errors
/// The place of a value above it that is not a table.
pub fn look_up<'a, 't>(table: &'a DeTable<'t>, path: &[String]) -> Result<Option<&'a Spanned<DeValue<'t>>>, Span> {
    let mut table = table;
    for (depth, key) in path.iter().enumerate() {
        let Some(value) = table.get(key.as_str()) else { return Ok(None) };
        match value.get_ref() {
            _ if depth + 1 == path.len() => return Ok(Some(value)),
            DeValue::Table(inner) => table = inner,
            _ => return Err(value.span()),
        }
    }
    Ok(None)
}

/// Sets the value at a key path, making the tables above it. A value above it that is not a table is replaced.
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

/// The key path of the innermost entry whose key or value covers a span. A table that was put together from several
/// texts need not cover what is in it.
#[must_use]
pub fn path_at(table: &DeTable<'_>, span: &Span) -> Option<Vec<String>> {
    table.iter().find_map(|(key, value)| {
        let inner = value.get_ref().as_table().and_then(|inner| path_at(inner, span));
        let below = inner.or_else(|| (covers(&key.span(), span) || covers(&value.span(), span)).then(Vec::new))?;
        Some([vec![key.get_ref().to_string()], below].concat())
    })
}

/// Removes the entry at a key path, if it is there.
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
