//! `[kind.NAME]`: a program that is a kind of stage.

use std::time::Duration;

use toml::{Spanned, de::DeValue};

use super::{
    Value, kind_params,
    stage::RESERVED,
    table::{Entry, check_plain_name, entries},
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Names, Span, quoted},
    pipeline::document,
    program::{Declaration, Param, ParamType, Piece, ProgramPort, Word},
    stage::{Form, Metric, interned},
};

const KEYS: [&str; 11] =
    ["doc", "run", "files", "version", "inputs", "outputs", "params", "metrics", "extend", "environment", "timeout"];

/// A program that a file declares.
pub(crate) struct Kind {
    /// Its name, and the place of that.
    pub name: Spanned<String>,
    /// The place of its `run`.
    pub run: Option<Span>,
    /// The place of its `files`.
    pub files: Option<Span>,
    /// What the file says of it; `None` if something could not be read.
    pub declared: Option<Declaration>,
}

/// Reads all kinds of a text.
pub(crate) fn read(key: &Span, value: Value<'_>, diagnostics: &mut Diagnostics) -> Vec<Kind> {
    entries(key, value, diagnostics).into_iter().map(|table| read_one(table, diagnostics)).collect()
}

/// A kind while it is read: what is written, with places for later checks.
struct Reading {
    declared: Declaration,
    run: Option<Span>,
    files: Option<Span>,
    extend: Option<Spanned<String>>,
}

fn read_one(Entry { key: name, value }: Entry<'_>, diagnostics: &mut Diagnostics) -> Kind {
    check_plain_name(&name, "kind", diagnostics);
    let before = diagnostics.len();
    let declared = Declaration { name: interned(name.get_ref()), version: 1, ..Declaration::default() };
    let mut reading = Reading { declared, run: None, files: None, extend: None };
    for entry in entries(&name.span(), value, diagnostics) {
        reading.take(entry, diagnostics);
    }
    if reading.run.is_none() && diagnostics.len() == before {
        let message = format!("`[kind.{}]` has no `run`", name.get_ref());
        diagnostics.add(Diagnostic::new(name.span(), message).help("write run = \"python program.py\""));
    }
    reading.check_words(diagnostics);
    reading.check_extend(diagnostics);
    let Reading { declared, run, files, .. } = reading;
    Kind { declared: (diagnostics.len() == before).then_some(declared), run, files, name }
}

impl Reading {
    fn take(&mut self, Entry { key, value }: Entry<'_>, diagnostics: &mut Diagnostics) {
        let span = value.span();
        let mut wrong = |expected: &str| {
            diagnostics.add(Diagnostic::new(span.clone(), format!("`{}` must be {expected}", key.get_ref())));
        };
        let declared = &mut self.declared;
        match key.get_ref().as_str() {
            "doc" => match value.get_ref().as_str() {
                Some(doc) => doc.clone_into(&mut declared.doc),
                None => wrong("a text"),
            },
            "version" => match document::whole(value.get_ref()).and_then(|whole| u32::try_from(whole).ok()) {
                Some(version) => declared.version = version,
                None => wrong("a whole number"),
            },
            "timeout" => match value.get_ref().as_str().and_then(|text| humantime::parse_duration(text).ok()) {
                Some(timeout) if timeout > Duration::ZERO => declared.timeout = Some(timeout),
                _ => wrong("a time such as \"90s\", \"30min\" or \"2h\""),
            },
            "extend" => match value.get_ref().as_str() {
                Some(name) => self.extend = Some(Spanned::new(value.span(), name.to_owned())),
                None => wrong("the name of a parameter"),
            },
            "files" => match texts(value.get_ref()) {
                Some(files) => (declared.files, self.files) = (Some(files), Some(value.span())),
                None => wrong("a list of files, such as [\"kinds/umap.py\", \"kinds/common/*.py\"]"),
            },
            "environment" => match texts(value.get_ref()) {
                Some(names) if names.iter().any(|name| name.is_empty() || name.contains(['=', '\0'])) => {
                    wrong("a list of names of variables; their values come from the environment that strata runs in");
                }
                Some(names) => declared.environment = names,
                None => wrong("a list of variables, such as [\"PYTHONPATH\"]"),
            },
            "run" => {
                self.run = Some(value.span());
                match words(value.get_ref()) {
                    Some(words) if words.first().is_some_and(|word| !word.is_empty()) => {
                        for word in words {
                            match Word::parse(&word) {
                                Ok(word) => declared.run.push(word),
                                Err(error) => diagnostics.add(Diagnostic::new(value.span(), error.to_string()).help(
                                    "placeholders are {inputs.PORT}, {outputs.PORT}, {params.NAME}, {threads}, {state} \
                                     and {request}; write {{…}} for braces that are none",
                                )),
                            }
                        }
                    }
                    Some(_) => wrong("a command; this one is empty"),
                    None => {
                        wrong("a command: words as a shell splits them, with all quotes closed, or a list of words")
                    }
                }
            }
            "inputs" => declared.inputs = ports(&key.span(), value, true, diagnostics),
            "outputs" => declared.outputs = ports(&key.span(), value, false, diagnostics),
            "params" => declared.params = kind_params::read(&key.span(), value, diagnostics),
            "metrics" => declared.metrics = metrics(&key.span(), value, diagnostics),
            other => {
                let message = format!("`[kind.{}]` has no key `{other}`", declared.name);
                let names = Names::new(KEYS).otherwise(format!("it has {}", quoted(&KEYS)));
                diagnostics.unknown(key.span(), message, other, &names);
            }
        }
    }

    /// Checks that placeholders name ports and parameters that there are.
    fn check_words(&self, diagnostics: &mut Diagnostics) {
        let Some(span) = &self.run else { return };
        let Declaration { inputs, outputs, params, .. } = &self.declared;
        let names = |ports: &[ProgramPort]| ports.iter().map(|port| port.name).collect::<Vec<_>>();
        let (inputs, outputs) = (names(inputs), names(outputs));
        let params: Vec<&str> = params.iter().map(|param| param.name).collect();
        for piece in self.declared.run.iter().flat_map(|word| &word.pieces) {
            let (what, name, known) = match piece {
                Piece::Input(name) => ("inputs", name, &inputs),
                Piece::Output(name) => ("outputs", name, &outputs),
                Piece::Param(name) => ("params", name, &params),
                _ => continue,
            };
            if !known.contains(&name.as_str()) {
                let message = format!("`{{{what}.{name}}}`: `{what}` has no `{name}`");
                let names = Names::new(known.iter().copied()).otherwise(format!("it has {}", quoted(known)));
                diagnostics.unknown(span.clone(), message, name, &names);
            }
        }
    }

    /// Checks that `extend` names a parameter that is a whole number.
    fn check_extend(&mut self, diagnostics: &mut Diagnostics) {
        let Some(extend) = &self.extend else { return };
        let is_extent = |param: &&Param| param.of == ParamType::Integer;
        let names = || self.declared.params.iter().filter(is_extent).map(|param| param.name);
        match names().find(|name| name == extend.get_ref()) {
            Some(name) => self.declared.extend = Some(name),
            None => {
                let message =
                    format!("`extend` must name a parameter that is a whole number; `{}` is none", extend.get_ref());
                let names =
                    Names::new(names()).otherwise(format!("there are {}", quoted(&names().collect::<Vec<_>>())));
                diagnostics.unknown(extend.span(), message, extend.get_ref(), &names);
            }
        }
    }
}

/// The words of a command: a text as a shell splits it, or a list of texts.
fn words(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value.as_str() {
        Some(text) => shlex::split(text),
        None => texts(value),
    }
}

fn texts(value: &DeValue<'_>) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
}

/// The ports of `inputs` or `outputs`: `name = "form"`, or `name = "form?"`.
fn ports(key: &Span, value: Value<'_>, are_inputs: bool, diagnostics: &mut Diagnostics) -> Vec<ProgramPort> {
    let mut ports = Vec::new();
    for Entry { key: name, value } in entries(key, value, diagnostics) {
        check_plain_name(&name, "port", diagnostics);
        let text = value.get_ref().as_str();
        let form = text.map(|text| text.strip_suffix('?').unwrap_or(text));
        match form.map(str::parse::<Form>) {
            Some(Ok(form)) => {
                let optional = text.is_some_and(|text| text.ends_with('?'));
                ports.push(ProgramPort { name: interned(name.get_ref()), form, optional });
            }
            _ => {
                let forms: Vec<String> = Form::ALL.iter().map(ToString::to_string).collect();
                let what = if are_inputs { "an input" } else { "an output" };
                let message =
                    format!("the form of {what} is one of {}, or one with `?` if it may be left out", quoted(&forms));
                let names = Names::new(forms.iter().map(String::as_str));
                match form {
                    Some(word) => diagnostics.unknown(value.span(), message, word, &names),
                    None => diagnostics.add(Diagnostic::new(value.span(), message)),
                }
            }
        }
    }
    ports
}

/// The metrics of a kind: `name = "higher"` or `name = "lower"`. The first is what its stages are judged by.
fn metrics(key: &Span, value: Value<'_>, diagnostics: &mut Diagnostics) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for Entry { key: name, value } in entries(key, value, diagnostics) {
        let metric = Metric::new(name.get_ref().clone(), String::new());
        match value.get_ref().as_str() {
            Some("higher") => metrics.push(metric.higher().score()),
            Some("lower") => metrics.push(metric.lower().score()),
            _ => {
                let message =
                    format!("`metrics.{}` must be \"higher\" or \"lower\": which values are better", name.get_ref());
                diagnostics.add(Diagnostic::new(value.span(), message));
            }
        }
    }
    metrics
}

/// Adds a mistake if a parameter has the name of a key that every stage has.
pub(super) fn check_param_name(name: &Spanned<String>, diagnostics: &mut Diagnostics) {
    if RESERVED.contains(&name.get_ref().as_str()) {
        let message = format!("a parameter cannot be called `{}`: every stage has a key of that name", name.get_ref());
        diagnostics.add(Diagnostic::new(name.span(), message));
    }
}
