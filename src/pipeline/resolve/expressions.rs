//! Parameters that are tied to others: where expressions stand in tables, what they refer to, and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Expression, Params, Pipeline, Reference, document, expression, parse::Reader};
use crate::diagnostic::{Diagnostic, Sources, Span, suggest};

/// The expressions of a table, at any depth, each with its key path and place. Those that cannot be read are left out:
/// they were reported when the file was read.
#[must_use]
pub fn expressions(table: &DeTable<'_>) -> Vec<(Vec<String>, Span, Expression)> {
    let mut found = Vec::new();
    for (key, value) in table {
        let key = key.get_ref().to_string();
        match value.get_ref() {
            DeValue::Table(inner) => {
                found.extend(
                    expressions(inner)
                        .into_iter()
                        .map(|(path, span, expression)| ([vec![key.clone()], path].concat(), span, expression)),
                );
            }
            value_of => {
                let parsed = value_of.as_str().and_then(expression::body).map(Expression::parse);
                found.extend(parsed.and_then(Result::ok).map(|parsed| (vec![key], value.span(), parsed)));
            }
        }
    }
    found
}

/// Puts a value in the place of an expression, or takes the expression out where it has none.
pub fn replace<'t>(table: &mut DeTable<'t>, path: &[String], value: Option<Spanned<DeValue<'t>>>) {
    let Some(value) = value else { return document::remove(table, path) };
    match path {
        [] => {}
        [last] => {
            if let Some(old) = table.get_mut(last.as_str()) {
                *old = value;
            }
        }
        [first, rest @ ..] => {
            if let Some(DeValue::Table(inner)) = table.get_mut(first.as_str()).map(Spanned::get_mut) {
                replace(inner, rest, Some(value));
            }
        }
    }
}

/// A parameter, without the path below it: what refers to a part refers to the whole.
type Param = (String, String);

impl<'t> Reader<'_, 't> {
    /// Checks every expression: that it can be read, that what it refers to is there, that nothing goes in a circle. What
    /// is wrong is taken out: one mistake, not two.
    pub(in crate::pipeline) fn ties(&mut self, pipeline: &mut Pipeline<'t>) {
        for span in [self.wrong_ties(pipeline), self.needed(pipeline)].concat() {
            for stage in &mut pipeline.stages {
                document::remove_at(&mut stage.params, &span);
            }
            for variant in &mut pipeline.variants {
                variant.set.retain(|patch| !document::covers(&patch.value.span(), &span));
            }
        }
    }

    /// The places of expressions that are wrong.
    fn wrong_ties(&mut self, pipeline: &Pipeline<'t>) -> Vec<Span> {
        let mut wrong = Vec::new();
        let mut edges: BTreeMap<Param, Vec<(Param, Span)>> = BTreeMap::new();
        let mut tie = |stage: &str, path: &[String], value: &Spanned<DeValue<'t>>| {
            let mut texts = Vec::new();
            strings(value, &mut texts);
            for (text, span) in texts.iter().filter_map(|(text, span)| Some((expression::body(text)?, span))) {
                match Expression::parse(text) {
                    Ok(expression) => {
                        for reference in expression.references() {
                            let at = place(self.sources, span, text, &reference.at);
                            if !self.refers(reference, &at, pipeline) {
                                wrong.push(span.clone());
                            } else {
                                let from = (stage.to_owned(), path[0].clone());
                                let to = (reference.stage.clone(), reference.path[0].clone());
                                edges.entry(from).or_default().push((to, at));
                            }
                        }
                    }
                    Err((message, at)) => {
                        let at = place(self.sources, span, text, &at);
                        let help = "an expression is made of numbers, `stage.param`, + - * /, round( ) and ( )";
                        self.found.push(Diagnostic::new(at, message).help(help));
                        wrong.push(span.clone());
                    }
                }
            }
        };
        for stage in &pipeline.stages {
            for (key, value) in &stage.params {
                tie(stage.name.get_ref(), &[key.get_ref().to_string()], value);
            }
        }
        let patches = pipeline.variants.iter().flat_map(|variant| &variant.set);
        patches.for_each(|patch| tie(&patch.stage, &patch.path, &patch.value));
        for axis in pipeline.axes.iter().filter(|axis| !axis.is_variant()) {
            axis.values.iter().for_each(|value| tie(&axis.stage, &axis.path, value));
        }
        wrong.extend(self.circles(&edges));
        wrong
    }

    fn refers(&mut self, reference: &Reference, at: &Span, pipeline: &Pipeline<'t>) -> bool {
        let (name, path) = (&reference.stage, &reference.path);
        if pipeline.unread.contains(name) {
            return false;
        }
        let stage = pipeline.stages.iter().find(|stage| stage.name.get_ref() == name);
        let Some(stage) = stage else {
            let names = pipeline.stages.iter().map(|stage| stage.name.get_ref().as_str());
            let help = match suggest(name, names) {
                Some(like) => format!("did you mean `{like}.{}`?", path.join(".")),
                None => "a parameter is written `stage.param`".to_owned(),
            };
            self.found.push(Diagnostic::new(at.clone(), format!("there is no stage `{name}`")).help(help));
            return false;
        };
        let known = self.params.entry(stage.kind.name).or_insert_with(|| Params::of(&stage.kind));
        let Err((message, help)) = known.check_path(name, path) else { return true };
        let message = format!("`{name}.{}`: kind `{}` has {message}", path.join("."), stage.kind.name);
        self.found.push(Diagnostic::new(at.clone(), message).help(help));
        false
    }

    /// Parameters that are worked out from each other. Each circle is told once, where it was entered; gives the places of
    /// all its references.
    fn circles(&mut self, edges: &BTreeMap<Param, Vec<(Param, Span)>>) -> Vec<Span> {
        let mut circular = Vec::new();
        let mut done: BTreeSet<&Param> = BTreeSet::new();
        for start in edges.keys() {
            let mut way: Vec<(&Param, usize)> = vec![(start, 0)];
            while let Some((param, next)) = way.last_mut() {
                let param = *param;
                let Some((to, at)) = edges.get(param).and_then(|out| out.get(*next)).filter(|_| !done.contains(param))
                else {
                    done.insert(param);
                    way.pop();
                    continue;
                };
                *next += 1;
                if let Some(from) = way.iter().position(|(on_way, _)| *on_way == to) {
                    let name = |(stage, key): &Param| format!("`{stage}.{key}`");
                    let mut names: Vec<String> = way[from..].iter().map(|(param, _)| name(param)).collect();
                    names.push(name(to));
                    circular.extend(way[from..].iter().map(|&(param, next)| edges[param][next - 1].1.clone()));
                    let message = format!("parameters that stand on each other: {}", names.join(" -> "));
                    self.found.push(Diagnostic::new(at.clone(), message).help("give one of them a value of its own"));
                } else if !done.contains(to) {
                    way.push((to, 0));
                }
            }
        }
        circular
    }
}

/// All texts in a value.
fn strings(value: &Spanned<DeValue<'_>>, found: &mut Vec<(String, Span)>) {
    match value.get_ref() {
        DeValue::String(text) => found.push((text.to_string(), value.span())),
        DeValue::Table(table) => table.values().for_each(|inner| strings(inner, found)),
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
