//! Checks expressions: each can be read, what it refers to is there, and none depends on itself.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeValue;

use super::scope::Scope;
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Names, Sources, Span},
    pipeline::{
        document,
        expression::{self, Expression, ParamRef},
        resolved::{Axis, Variant},
        written::Value,
    },
};

/// A parameter, without the path below it: what refers to a part refers to the whole.
type Param = (String, String);

/// The parameters that each parameter refers to, and where.
type Edges = BTreeMap<Param, Vec<(Param, Span)>>;

/// Reports every expression that is wrong. Returns their places.
pub(super) fn check<'t>(
    axes: &[Axis<'t>],
    variants: &[Variant<'t>],
    scope: &Scope<'t>,
    diagnostics: &mut Diagnostics,
) -> Vec<Span> {
    let (mut wrong, mut edges) = (Vec::new(), Edges::new());
    let mut check = |stage: &str, path: &[String], value: &Value<'t>| {
        let from = (stage.to_owned(), path[0].clone());
        wrong.extend(check_value(&from, value, scope, &mut edges, diagnostics));
    };
    for stage in &scope.stages {
        for (key, value) in &stage.params {
            check(stage.name.get_ref(), &[key.get_ref().to_string()], value);
        }
    }
    for patch in variants.iter().flat_map(|variant| &variant.set) {
        check(&patch.stage, &patch.path, &patch.value);
    }
    for axis in axes.iter().filter(|axis| !axis.is_variant()) {
        axis.values.iter().for_each(|value| check(&axis.stage, &axis.path, value));
    }
    wrong.extend(check_cycles(&edges, diagnostics));
    wrong
}

/// Takes the values at some places out of the stages and the variants, so that one mistake is not reported twice.
pub(super) fn take_out<'t>(places: &[Span], scope: &mut Scope<'t>, variants: &mut [Variant<'t>]) {
    for span in places {
        for stage in &mut scope.stages {
            document::remove_at(&mut stage.params, span);
        }
        for variant in &mut *variants {
            variant.set.retain(|patch| !document::covers(&patch.value.span(), span));
        }
    }
}

/// Checks all expressions in a value, and adds what the parameter refers to. Returns the places of those that are
/// wrong.
fn check_value<'t>(
    from: &Param,
    value: &Value<'t>,
    scope: &Scope<'t>,
    edges: &mut Edges,
    diagnostics: &mut Diagnostics,
) -> Vec<Span> {
    let (mut texts, mut wrong) = (Vec::new(), Vec::new());
    strings(value, &mut texts);
    for (text, span) in &texts {
        let Some(text) = expression::body(text) else { continue };
        let expression = match Expression::parse(text) {
            Ok(expression) => expression,
            Err(error) => {
                let at = place(scope.sources, span, text, &error.at);
                let help = "an expression is made of numbers, `stage.param`, + - * /, round( ) and ( )";
                diagnostics.add(Diagnostic::new(at, error.to_string()).help(help));
                wrong.push(span.clone());
                continue;
            }
        };
        for reference in expression.references() {
            let at = place(scope.sources, span, text, &reference.at);
            if refers(reference, &at, scope, diagnostics) {
                let to = (reference.stage.clone(), reference.path[0].clone());
                edges.entry(from.clone()).or_default().push((to, at));
            } else {
                wrong.push(span.clone());
            }
        }
    }
    wrong
}

/// True if the parameter that is referred to is there; else that is a mistake.
fn refers(reference: &ParamRef, at: &Span, scope: &Scope<'_>, diagnostics: &mut Diagnostics) -> bool {
    let (name, path) = (&reference.stage, &reference.path);
    if scope.unread.contains(name) {
        return false;
    }
    let Some(stage) = scope.stage(name) else {
        let names = Names::new(scope.stage_names()).between("`", format!(".{}`", path.join(".")));
        let names = names.otherwise("a parameter is written `stage.param`");
        diagnostics.unknown(at.clone(), format!("there is no stage `{name}`"), name, &names);
        return false;
    };
    scope.has_param(stage, path, &format!("{name}.{}", path.join(".")), at, diagnostics)
}

/// Reports parameters that depend on each other, each cycle once, where it was entered. Returns the places of all
/// references in cycles.
fn check_cycles(edges: &Edges, diagnostics: &mut Diagnostics) -> Vec<Span> {
    let mut in_cycles = Vec::new();
    let mut done: BTreeSet<&Param> = BTreeSet::new();
    for start in edges.keys() {
        let mut path: Vec<(&Param, usize)> = vec![(start, 0)];
        while let Some((param, next)) = path.last_mut() {
            let param = *param;
            let Some((to, at)) = edges.get(param).and_then(|out| out.get(*next)).filter(|_| !done.contains(param))
            else {
                done.insert(param);
                path.pop();
                continue;
            };
            *next += 1;
            if let Some(from) = path.iter().position(|(on_path, _)| *on_path == to) {
                let name = |(stage, key): &Param| format!("`{stage}.{key}`");
                let mut names: Vec<String> = path[from..].iter().map(|(param, _)| name(param)).collect();
                names.push(name(to));
                in_cycles.extend(path[from..].iter().map(|&(param, next)| edges[param][next - 1].1.clone()));
                let message = format!("parameters that depend on each other: {}", names.join(" -> "));
                diagnostics.add(Diagnostic::new(at.clone(), message).help("give one of them a value of its own"));
            } else if !done.contains(to) {
                path.push((to, 0));
            }
        }
    }
    in_cycles
}

/// All texts in a value, each with its place.
fn strings(value: &Value<'_>, texts: &mut Vec<(String, Span)>) {
    match value.get_ref() {
        DeValue::String(text) => texts.push((text.to_string(), value.span())),
        DeValue::Table(table) => table.values().for_each(|inner| strings(inner, texts)),
        _ => {}
    }
}

/// The place of a part of an expression, if the text stands in the file as it is; else that of the whole.
fn place(sources: &Sources, span: &Span, text: &str, part: &Span) -> Span {
    let written = sources.slice(span).unwrap_or_default();
    match written.find(text) {
        Some(start) => span.start + start + part.start..span.start + start + part.end,
        None => span.clone(),
    }
}
