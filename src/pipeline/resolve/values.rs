//! The values of an axis: those of a list or a range, a single one, or none where a parameter is left out.

use toml::{Spanned, de::DeValue};

use super::scope::Scope;
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    pipeline::{
        document,
        expression::NONE,
        resolved::{Axis, StageDef, Variant},
        written::{Value, distribution, range},
    },
};

/// What gives an axis its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// An axis of the grid.
    Grid,
    /// An explicit point, which has one value.
    Point,
    /// An entry of `exclude`: one value, or several of which any may be meant.
    Exclude,
}

type Values<'t> = Vec<Value<'t>>;

/// The values that are written for an axis.
pub(super) fn resolve<'t>(
    axis: &Axis<'t>,
    value: Value<'t>,
    role: Role,
    scope: &Scope<'t>,
    diagnostics: &mut Diagnostics,
) -> Option<Values<'t>> {
    let key = axis.name();
    let values = match value.get_ref() {
        DeValue::Table(_) if role == Role::Grid => {
            let help = "an axis is written in quotes: \"stage.param\" = [1, 2]";
            let message = format!("the axis `{key}` must be a list of values");
            diagnostics.add(Diagnostic::new(axis.key.span(), message).help(help));
            return None;
        }
        DeValue::Table(_) => vec![value],
        _ if role != Role::Grid && is_one_list(axis, &value, scope) => vec![value],
        _ if role == Role::Point => {
            let span = value.span();
            let values = if value.get_ref().is_array() { vec![] } else { ranges(vec![value], scope, diagnostics)? };
            if values.len() != 1 {
                let message = format!("a point has one value for `{key}`, not a list");
                let help = "write one table for each point, or make it an axis";
                diagnostics.add(Diagnostic::new(span, message).help(help));
                return None;
            }
            values
        }
        _ => listed(&axis.key, &value, scope, diagnostics)?,
    };
    let drawn = values.iter().find(|value| distribution::read(value.get_ref()).is_some());
    if let Some(drawn) = drawn.filter(|_| role == Role::Point || values.len() > 1) {
        let message = format!("`{key}` is drawn at random here, beside other values");
        let help = "a distribution is the only value of its axis; explicit `points` have values of their own";
        diagnostics.add(Diagnostic::new(drawn.span(), message).help(help));
        return None;
    }
    Some(values)
}

/// True for a list that is one value: the parameter takes lists, and this one holds no lists itself.
fn is_one_list<'t>(axis: &Axis<'t>, value: &Value<'t>, scope: &Scope<'t>) -> bool {
    let Some(items) = value.get_ref().as_array() else { return false };
    let takes_lists = scope.stage(&axis.stage).is_some_and(|stage| scope.allowed(stage, &axis.path).list);
    takes_lists && !items.iter().any(|item| item.get_ref().is_array())
}

/// The values of a list or a range, or a single one.
pub(super) fn listed<'t>(
    key: &Spanned<String>,
    value: &Value<'t>,
    scope: &Scope<'t>,
    diagnostics: &mut Diagnostics,
) -> Option<Values<'t>> {
    let values: Values<'t> = match value.get_ref() {
        DeValue::Array(items) => items.iter().cloned().collect(),
        _ => vec![value.clone()],
    };
    if values.is_empty() {
        let message = format!("the axis `{}` has no values", key.get_ref());
        diagnostics.add(Diagnostic::new(value.span(), message).help("give at least one value"));
        return None;
    }
    ranges(values, scope, diagnostics)
}

/// The values, with the numbers of each range in place of its text.
pub(super) fn ranges<'t>(values: Values<'t>, scope: &Scope<'t>, diagnostics: &mut Diagnostics) -> Option<Values<'t>> {
    let mut all = Vec::with_capacity(values.len());
    for value in values {
        let span = value.span();
        match value.get_ref().as_str().filter(|text| range::is_range(text)) {
            None => all.push(value),
            Some(text) => {
                let numbers = diagnostics.take(range::values(text, &span))?;
                all.extend(numbers.into_iter().filter_map(|number| computed(number, &span, scope)));
            }
        }
    }
    Some(all)
}

/// A number that was computed, as if it were written at a place.
pub(super) fn computed<'t>(number: String, span: &Span, scope: &Scope<'t>) -> Option<Value<'t>> {
    let number = DeValue::parse(scope.sources.keep(number)).ok()?;
    Some(Spanned::new(span.clone(), number.into_inner()))
}

/// Makes `= none` of each `none` that leaves an optional parameter out. Where text is allowed, only `none` without
/// quotes is that. False, with a mistake, if the parameter can be neither left out nor `none`.
pub(super) fn leave_out<'t>(axis: &mut Axis<'t>, scope: &Scope<'t>, diagnostics: &mut Diagnostics) -> bool {
    let Some(stage) = scope.stage(&axis.stage) else { return true };
    let allowed = scope.allowed(stage, &axis.path);
    let mut right = true;
    for value in axis.values.iter_mut().filter(|value| value.get_ref().as_str() == Some(NONE)) {
        let bare = scope.sources.slice(&value.span()) == Some(NONE);
        if allowed.nothing && !allowed.word && (bare || !allowed.text) {
            *value.get_mut() = DeValue::String(format!("= {NONE}").into());
        } else if !allowed.word && !allowed.text {
            diagnostics.add(not_optional(stage, &axis.path, value.span()));
            right = false;
        }
    }
    right
}

/// Reports each `= none` of a parameter that is not optional. Returns their places.
pub(super) fn check_left_out<'t>(
    axes: &[Axis<'t>],
    variants: &[Variant<'t>],
    scope: &Scope<'t>,
    diagnostics: &mut Diagnostics,
) -> Vec<Span> {
    let mut wrong = Vec::new();
    let mut check = |stage: &StageDef<'t>, path: &[String], value: &Value<'t>| {
        let mut open = vec![(path.to_vec(), value)];
        while let Some((path, value)) = open.pop() {
            if document::is_none(value.get_ref()) && !scope.allowed(stage, &path).nothing {
                diagnostics.add(not_optional(stage, &path, value.span()));
                wrong.push(value.span());
            }
            let below = value.get_ref().as_table().into_iter().flatten();
            open.extend(below.map(|(key, value)| ([&path[..], &[key.get_ref().to_string()]].concat(), value)));
        }
    };
    for stage in &scope.stages {
        stage.params.iter().for_each(|(key, value)| check(stage, &[key.get_ref().to_string()], value));
    }
    for patch in variants.iter().flat_map(|variant| &variant.set) {
        scope.stage(&patch.stage).into_iter().for_each(|stage| check(stage, &patch.path, &patch.value));
    }
    for axis in axes.iter().filter(|axis| !axis.is_variant()) {
        let stage = scope.stage(&axis.stage);
        stage.into_iter().for_each(|stage| axis.values.iter().for_each(|value| check(stage, &axis.path, value)));
    }
    wrong
}

fn not_optional(stage: &StageDef<'_>, path: &[String], span: Span) -> Diagnostic {
    let name = format!("{}.{}", stage.name.get_ref(), path.join("."));
    let defaults = stage.kind.default_stage().params();
    let default = path.iter().try_fold(&defaults, |value, key| value.get(key)).filter(|value| !value.is_null());
    let help = match default {
        Some(default) => format!("give it a value; its default is {default}"),
        None => "give it a value".to_owned(),
    };
    Diagnostic::new(span, format!("`{name}` is not optional, so it cannot be left out")).help(help)
}
