//! `params` of `[kind.NAME]`: names with defaults, or with a table that says more.

use serde::Deserialize;
use serde_json::Value as Json;
use toml::{
    Spanned,
    de::{DeValue, ValueDeserializer},
};

use super::{
    Value,
    kind::check_param_name,
    table::{Entry, check_plain_name, entries},
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Names, Span, quoted},
    pipeline::document,
    program::{Param, ParamType},
    stage::{Problems, interned},
};

const KEYS: [&str; 6] = ["default", "type", "doc", "min", "max", "choices"];

/// Reads all parameters.
pub(super) fn read(key: &Span, value: Value<'_>, diagnostics: &mut Diagnostics) -> Vec<Param> {
    let mut params = Vec::new();
    for Entry { key: name, value } in entries(key, value, diagnostics) {
        check_plain_name(&name, "parameter", diagnostics);
        check_param_name(&name, diagnostics);
        params.extend(if value.get_ref().is_table() {
            table(&name, value, diagnostics)
        } else {
            plain(&name, &value, diagnostics)
        });
    }
    params
}

/// `neighbors = 15`: the default, and with it the type.
fn plain(name: &Spanned<String>, value: &Value<'_>, diagnostics: &mut Diagnostics) -> Option<Param> {
    let default = document::to_json(value.get_ref());
    let Some(of) = ParamType::of(&default).filter(|_| is_plain(value.get_ref())) else {
        let message =
            format!("the default of `{}` must be a finite number, a text, true, false or a list", name.get_ref());
        diagnostics.add(Diagnostic::new(value.span(), message));
        return None;
    };
    Some(Param { default: Some(default), ..empty(name, of) })
}

/// Whether a value and all in it can be a value of a parameter: no date, and no number that is not finite.
fn is_plain(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Float(number) => number.as_str().parse::<f64>().is_ok_and(f64::is_finite),
        DeValue::Datetime(_) => false,
        DeValue::Array(items) => items.iter().all(|item| is_plain(item.get_ref())),
        _ => true,
    }
}

fn empty(name: &Spanned<String>, of: ParamType) -> Param {
    let name = interned(name.get_ref());
    Param { name, of, default: None, doc: String::new(), min: None, max: None, choices: Vec::new() }
}

/// `metric = { default = "cosine", choices = ["cosine", "euclidean"], doc = "distance" }`.
fn table(name: &Spanned<String>, value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Param> {
    let before = diagnostics.len();
    let mut param = empty(name, ParamType::String);
    let (mut of, mut spans, mut default) = (None, Vec::new(), None);
    for Entry { key, value } in entries(&name.span(), value, diagnostics) {
        let span = value.span();
        let json = document::to_json(value.get_ref());
        let mut wrong = |expected: &str| {
            let message = format!("`params.{}.{}` must be {expected}", name.get_ref(), key.get_ref());
            diagnostics.add(Diagnostic::new(span.clone(), message));
        };
        match key.get_ref().as_str() {
            "default" if ParamType::of(&json).is_none() || !is_plain(value.get_ref()) => {
                wrong("a finite number, a text, true, false or a list");
            }
            "default" => {
                default = Some(span.clone());
                spans.push((span, json.clone()));
                param.default = Some(json);
            }
            "type" => match ParamType::deserialize(ValueDeserializer::from(value)) {
                Ok(found) => of = Some(found),
                Err(_) => wrong("\"integer\", \"float\", \"string\", \"boolean\" or \"list\""),
            },
            "doc" => match json {
                Json::String(doc) => param.doc = doc,
                _ => wrong("a text"),
            },
            "min" | "max" => match json.as_f64() {
                Some(bound) if key.get_ref() == "min" => param.min = Some(bound),
                Some(bound) => param.max = Some(bound),
                None => wrong("a number"),
            },
            "choices" => match json {
                Json::Array(choices) if !choices.is_empty() && is_plain(value.get_ref()) => {
                    spans.extend(choices.iter().map(|choice| (span.clone(), choice.clone())));
                    param.choices = choices;
                }
                _ => wrong("a list of values"),
            },
            other => {
                let message = format!("`params.{}` has no key `{other}`", name.get_ref());
                let names = Names::new(KEYS).otherwise(format!("it has {}", quoted(&KEYS)));
                diagnostics.unknown(key.span(), message, other, &names);
            }
        }
    }
    let Some(of) = of.or_else(|| ParamType::of(spans.first().map(|(_, value)| value)?)) else {
        if diagnostics.len() == before {
            let message = format!("`params.{}` has neither a `default` nor a `type`", name.get_ref());
            diagnostics.add(Diagnostic::new(name.span(), message).help("write type = \"integer\", or give a default"));
        }
        return None;
    };
    param.of = of;
    // Numbers of a parameter that is a float may be written without a point.
    let fits = |value: &Json| ParamType::of(value) == Some(of) || (of == ParamType::Float && value.is_number());
    for (span, value) in spans.into_iter().filter(|(_, value)| !fits(value)) {
        let message = format!("`params.{}`: {value} is not of the type {}", name.get_ref(), of.word());
        diagnostics.add(Diagnostic::new(span, message));
    }
    if of == ParamType::Float {
        let float = |value: &mut Json| *value = value.as_f64().map_or(Json::Null, Json::from);
        param.default.iter_mut().chain(&mut param.choices).for_each(float);
    }
    if diagnostics.len() == before {
        check_limits(name, &param, default, diagnostics);
    }
    (diagnostics.len() == before).then_some(param)
}

/// Checks that bounds are for numbers and leave some, and that the default keeps to them and to the choices.
fn check_limits(name: &Spanned<String>, param: &Param, default: Option<Span>, diagnostics: &mut Diagnostics) {
    let mut wrong = |span: Span, message: String| diagnostics.add(Diagnostic::new(span, message));
    let is_number = matches!(param.of, ParamType::Integer | ParamType::Float);
    if !is_number && (param.min.is_some() || param.max.is_some()) {
        let message =
            format!("`params.{}`: `min` and `max` are for numbers, and it is a {}", name.get_ref(), param.of.word());
        wrong(name.span(), message);
    }
    if let (Some(min), Some(max)) = (param.min, param.max)
        && min > max
    {
        wrong(name.span(), format!("`params.{}`: no number is from {min} to {max}", name.get_ref()));
    }
    if let (Some(value), Some(span)) = (&param.default, default) {
        let mut problems = Problems::default();
        param.check(value, &mut problems);
        for problem in problems.into_vec() {
            wrong(span.clone(), format!("`params.{}.default`: {}", name.get_ref(), problem.message));
        }
    }
}
