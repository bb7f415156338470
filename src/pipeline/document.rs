//! Parsed TOML that keeps its places: look up, set and remove by key path.

use std::borrow::Cow;

use serde_json::{Number, Value};
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::expression;
use crate::diagnostic::{Sources, Span};

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

/// The value at a key path of a table, or the place of what stands in its way: a value above it that is no table.
///
/// # Errors
/// If something stands in its way.
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

/// How "left out" is written as an axis value, and shown.
pub const NONE: &str = "none";

/// True for the expression `= none`: the parameter is left out.
#[must_use]
pub fn is_none(value: &DeValue<'_>) -> bool {
    value.as_str().and_then(expression::body).is_some_and(|body| body.trim() == NONE)
}

/// The whole number that an integer is, whatever its notation.
#[must_use]
pub fn whole(value: &DeValue<'_>) -> Option<i128> {
    let number = value.as_integer()?;
    i128::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()
}

/// How a value is shown in the name of an instance: numbers as written, strings without quotes, the rest as in TOML.
#[must_use]
pub fn display(value: &DeValue<'_>) -> String {
    match value {
        _ if is_none(value) => NONE.to_owned(),
        // Unlike the parameter that is left out.
        DeValue::String(text) if text == NONE => format!("\"{NONE}\""),
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

/// The value as JSON, for results tables. Numbers that JSON lacks (`inf`, `nan`, more than 64 bits) are text.
#[must_use]
pub fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        _ if is_none(value) => Value::Null,
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => match whole(value) {
            Some(whole) => Number::from_i128(whole).map_or_else(|| whole.to_string().into(), Value::Number),
            None => number.to_string().into(),
        },
        DeValue::Float(number) => {
            let text = number.as_str().replace('_', "");
            let float = text.parse::<f64>().ok().filter(|float| float.is_finite() || !text.contains(['e', 'E']));
            match float {
                Some(float) => {
                    Number::from_f64(float).map_or_else(|| float.to_string().to_lowercase().into(), Value::Number)
                }
                None => text.into(),
            }
        }
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        DeValue::Table(entries) => {
            entries.iter().map(|(key, value)| (key.get_ref().to_string(), to_json(value.get_ref()))).collect()
        }
    }
}

/// A value as it would stand in the file; nothing for null.
#[must_use]
pub fn from_json<'t>(value: &Value, span: &Span, sources: &'t Sources) -> Option<Spanned<DeValue<'t>>> {
    let written = match value {
        Value::Null => return None,
        Value::Bool(flag) => DeValue::Boolean(*flag),
        Value::String(text) => DeValue::String(text.clone().into()),
        Value::Number(number) => {
            let text = number.as_f64().filter(|_| number.is_f64()).map(|number| format!("{number:?}"));
            DeValue::parse(sources.keep(text.unwrap_or_else(|| number.to_string()))).ok()?.into_inner()
        }
        Value::Array(items) => {
            let mut array = DeArray::new();
            items.iter().filter_map(|item| from_json(item, span, sources)).for_each(|item| array.push(item));
            DeValue::Array(array)
        }
        Value::Object(fields) => {
            let entry = |(key, value): (&String, &Value)| {
                Some((Spanned::new(span.clone(), key.clone().into()), from_json(value, span, sources)?))
            };
            DeValue::Table(fields.iter().filter_map(entry).collect())
        }
    };
    Some(Spanned::new(span.clone(), written))
}
