//! Values in other notations: as a name shows them, as JSON, and back from JSON.

use serde_json::{Number, Value};
use toml::{
    Spanned,
    de::{DeArray, DeValue},
};

use crate::{
    diagnostic::{Sources, Span},
    pipeline::expression::{self, NONE},
};

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
        // In quotes, to differ from a parameter that is left out.
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

/// A JSON value as it would be written in the file; `None` for null.
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
