//! From TOML text to a [`Pipeline`].

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Axis, Params, Pipeline, StageDef, Wire, document, overrides, params::quoted, project_root, syntax};
use crate::{
    diagnostic::{Diagnostic, Sources, Span, suggest},
    stage::{Registry, StageKind},
};

const RESERVED: [&str; 4] = ["kind", "inputs", "needs", "retries"];

/// Reads a pipeline from its texts: first that of `file`, then one for each `-S` argument.
///
/// All mistakes are reported at once; what is returned beside them is as much as could be read.
pub fn parse<'t>(sources: &'t Sources, file: &Path, registry: &Registry) -> (Pipeline<'t>, Vec<Diagnostic>) {
    let mut reader = Reader { registry, seed: None, params: BTreeMap::new(), found: Vec::new() };
    let name = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let mut pipeline = Pipeline {
        name,
        root: project_root(file),
        stages: Vec::new(),
        unread: BTreeSet::new(),
        axes: Vec::new(),
        sources,
    };
    let mut texts = sources.texts();
    let text = texts.next().map_or("", |(_, text)| text);

    let (document, errors) = DeTable::parse_recoverable(text);
    reader.found.extend(syntax::mistakes(&errors, text));
    if errors.is_empty() {
        reader.document(document.into_inner(), &mut pipeline);
        for (start, argument) in texts {
            match overrides::parse(argument, start) {
                Ok(set) => reader.apply(set, &mut pipeline),
                Err(diagnostic) => reader.found.push(diagnostic),
            }
        }
        reader.seeds(&mut pipeline);
    }
    (pipeline, reader.found)
}

struct Reader<'a, 't> {
    registry: &'a Registry,
    seed: Option<Spanned<DeValue<'t>>>,
    params: BTreeMap<&'static str, Params>,
    found: Vec<Diagnostic>,
}

type Entry<'t> = (Spanned<Cow<'t, str>>, Spanned<DeValue<'t>>);

impl<'t> Reader<'_, 't> {
    fn document(&mut self, document: DeTable<'t>, pipeline: &mut Pipeline<'t>) {
        for (key, value) in document {
            match key.get_ref().as_ref() {
                "pipeline" => self.pipeline(&key.span(), value, pipeline),
                "stage" => {
                    for (name, table) in self.table(&key.span(), value) {
                        let (span, name) = (name.span(), name.into_inner().into_owned());
                        self.stage(Spanned::new(span, name), table, pipeline);
                    }
                }
                "sweep" => self.sweep(&key.span(), value, pipeline),
                other => {
                    let help = match suggest(other, ["pipeline", "stage", "sweep"]) {
                        Some(like) => format!("did you mean `{like}`?"),
                        None => "a stage is written `[stage.NAME]`".to_owned(),
                    };
                    let message =
                        format!("unknown key `{other}`: a file has `[pipeline]`, `[stage.NAME]` and `[sweep]`");
                    self.found.push(Diagnostic::new(key.span(), message).help(help));
                }
            }
        }
        pipeline.stages.sort_by_key(|stage| stage.name.span().start);
        self.axis_stages(pipeline);
    }

    /// The entries of a table, in the order of the file.
    fn table(&mut self, key: &Span, value: Spanned<DeValue<'t>>) -> Vec<Entry<'t>> {
        match value.into_inner() {
            DeValue::Table(table) => {
                let mut entries: Vec<Entry<'t>> = table.into_iter().collect();
                entries.sort_by_key(|(key, _)| key.span().start);
                entries
            }
            other => {
                self.found.push(Diagnostic::new(key.clone(), format!("must be a table, found {}", other.type_str())));
                Vec::new()
            }
        }
    }

    fn pipeline(&mut self, key: &Span, value: Spanned<DeValue<'t>>, pipeline: &mut Pipeline<'t>) {
        for (key, value) in self.table(key, value) {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("name", DeValue::String(name)) => pipeline.name = name.to_string(),
                ("name", _) => self.found.push(Diagnostic::new(value.span(), "`name` must be a string")),
                ("seed", DeValue::Integer(_)) => self.seed = Some(value),
                ("seed", _) => self.found.push(Diagnostic::new(value.span(), "`seed` must be a whole number")),
                (other, _) => {
                    let message = format!("`[pipeline]` has no key `{other}`");
                    self.found.push(Diagnostic::new(key.span(), message).help("it has `name` and `seed`"));
                }
            }
        }
    }

    fn stage(&mut self, name: Spanned<String>, value: Spanned<DeValue<'t>>, pipeline: &mut Pipeline<'t>) {
        if name.get_ref().contains(['@', '.', ',', '=']) || name.get_ref().is_empty() {
            let message = format!("`{}` cannot be the name of a stage", name.get_ref());
            self.found.push(Diagnostic::new(name.span(), message).help("use letters, digits, `_` and `-`"));
        }
        let mut params = DeTable::new();
        let (mut kind, mut inputs, mut inputs_span, mut retries) = (None, Vec::new(), None, 0);
        let before = self.found.len();
        for (key, value) in self.table(&name.span(), value) {
            match key.get_ref().as_ref() {
                "kind" => kind = Some(value),
                "inputs" => {
                    inputs_span = Some(value.span());
                    inputs = self.wires(&key.span(), value);
                }
                "retries" => match value.get_ref().as_integer().and_then(|n| n.as_str().parse().ok()) {
                    Some(n) => retries = n,
                    None => self.found.push(Diagnostic::new(value.span(), "`retries` must be a whole number")),
                },
                "needs" => {
                    let message = "`needs` is a reserved key without a meaning in this version";
                    self.found.push(Diagnostic::new(key.span(), message).help("use `--threads` and `--jobs`"));
                }
                _ => drop(params.insert(key, value)),
            }
        }
        let read = if kind.is_none() && self.found.len() > before { None } else { self.kind(&name, kind) };
        let Some(kind) = read else {
            pipeline.unread.insert(name.into_inner());
            return;
        };
        let known = self.params.entry(kind.name).or_insert_with(|| Params::of(&kind));
        known.take_unknown(kind.name, &mut params, &mut self.found);
        pipeline.stages.push(StageDef { name, kind, inputs, inputs_span, retries, params });
    }

    fn kind(&mut self, stage: &Spanned<String>, kind: Option<Spanned<DeValue<'t>>>) -> Option<StageKind> {
        let names: Vec<&str> = self.registry.kinds().map(|kind| kind.name).collect();
        let Some(kind) = kind else {
            let message = format!("stage `{}` has no `kind`", stage.get_ref());
            self.found.push(Diagnostic::new(stage.span(), message).help(format!("kinds are {}", quoted(&names))));
            return None;
        };
        let Some(name) = kind.get_ref().as_str() else {
            self.found.push(Diagnostic::new(kind.span(), "`kind` must be a string"));
            return None;
        };
        let found = self.registry.get(name).copied();
        if found.is_none() {
            let help = match suggest(name, names.iter().copied()) {
                Some(like) => format!("did you mean \"{like}\"?"),
                None => format!("kinds are {}", quoted(&names)),
            };
            self.found.push(Diagnostic::new(kind.span(), format!("unknown kind `{name}`")).help(help));
        }
        found
    }

    fn wires(&mut self, key: &Span, value: Spanned<DeValue<'t>>) -> Vec<Wire> {
        let mut wires = Vec::new();
        for (port, from) in self.table(key, value) {
            let port = Spanned::new(port.span(), port.into_inner().into_owned());
            match from.get_ref() {
                DeValue::String(text) => {
                    wires.push(Wire { port, from: Spanned::new(from.span(), text.to_string()) });
                }
                other => {
                    let message = format!("an input must be a string, found {}", other.type_str());
                    self.found.push(Diagnostic::new(from.span(), message).help("write \"STAGE.PORT\""));
                }
            }
        }
        wires
    }

    fn sweep(&mut self, key: &Span, value: Spanned<DeValue<'t>>, pipeline: &mut Pipeline<'t>) {
        for (key, value) in self.table(key, value) {
            let values: Vec<_> = match value.get_ref() {
                DeValue::Array(items) => items.iter().cloned().collect(),
                DeValue::Table(_) => {
                    let message = format!("the axis `{}` must be a list of values", key.get_ref());
                    let help = "an axis is written in quotes: \"stage.param\" = [1, 2]";
                    self.found.push(Diagnostic::new(key.span(), message).help(help));
                    continue;
                }
                _ => vec![value.clone()],
            };
            if values.is_empty() {
                let message = format!("the axis `{}` has no values", key.get_ref());
                self.found.push(Diagnostic::new(value.span(), message).help("give at least one value"));
                continue;
            }
            let key = Spanned::new(key.span(), key.into_inner().into_owned());
            pipeline.axes.push(axis(key, values));
        }
    }

    /// Every axis must name a parameter of a stage that is there.
    fn axis_stages(&mut self, pipeline: &mut Pipeline<'t>) {
        let axes = std::mem::take(&mut pipeline.axes);
        pipeline.axes = axes.into_iter().filter(|axis| self.is_parameter(axis, pipeline)).collect();
    }

    fn is_parameter(&mut self, axis: &Axis<'t>, pipeline: &Pipeline<'t>) -> bool {
        let key = axis.key.get_ref();
        let span = axis.key.span();
        if pipeline.unread.contains(&axis.stage) {
            return false;
        }
        let Some(stage) = pipeline.stages.iter().find(|stage| *stage.name.get_ref() == axis.stage) else {
            let names = pipeline.stages.iter().map(|stage| stage.name.get_ref().as_str());
            let like =
                suggest(&axis.stage, names).map(|like| format!("did you mean `{like}.{}`?", axis.path.join(".")));
            let mut diagnostic = Diagnostic::new(span, format!("`{key}`: there is no stage `{}`", axis.stage));
            diagnostic.help = like.or_else(|| Some("a parameter is written `stage.param`".to_owned()));
            self.found.push(diagnostic);
            return false;
        };
        if axis.path.first().is_some_and(|first| RESERVED.contains(&first.as_str())) {
            let message = format!("`{key}`: `{}` is not a parameter and cannot be varied", axis.path[0]);
            self.found.push(Diagnostic::new(span, message));
            return false;
        }
        let known = self.params.entry(stage.kind.name).or_insert_with(|| Params::of(&stage.kind));
        match known.check_path(&axis.path) {
            Ok(()) => true,
            Err((message, like)) => {
                let mut diagnostic =
                    Diagnostic::new(span, format!("`{key}`: kind `{}` has {message}", stage.kind.name));
                let meant = like.map(|like| format!("did you mean `{}.{like}`?", axis.stage));
                diagnostic.help = meant.or_else(|| Some(known.listed()));
                self.found.push(diagnostic);
                false
            }
        }
    }

    /// One `-S`: a single value replaces the one in the file, several make (or replace) an axis.
    fn apply(&mut self, set: overrides::Override<'t>, pipeline: &mut Pipeline<'t>) {
        if set.key.get_ref() == "pipeline.seed" && set.values.len() == 1 {
            if set.values[0].get_ref().is_integer() {
                self.seed = set.values.into_iter().next();
            } else {
                self.found.push(Diagnostic::new(set.values[0].span(), "`seed` must be a whole number"));
            }
            return;
        }
        let axis = axis(set.key, set.values);
        if !self.is_parameter(&axis, pipeline) {
            return;
        }
        pipeline.axes.retain(|old| old.key.get_ref() != axis.key.get_ref());
        if axis.values.len() > 1 {
            pipeline.axes.push(axis);
        } else if let Some(stage) = pipeline.stages.iter_mut().find(|stage| *stage.name.get_ref() == axis.stage) {
            let value = axis.values.into_iter().next().expect("an override has at least one value");
            document::set(&mut stage.params, &axis.path, axis.key.span(), value);
        }
    }

    /// The pipeline's seed is the default of every stage that has one.
    fn seeds(&mut self, pipeline: &mut Pipeline<'t>) {
        let Some(seed) = &self.seed else { return };
        for stage in &mut pipeline.stages {
            let known = self.params.entry(stage.kind.name).or_insert_with(|| Params::of(&stage.kind));
            if known.has("seed") && !stage.params.contains_key("seed") {
                document::set(&mut stage.params, &["seed".to_owned()], seed.span(), seed.clone());
            }
        }
    }
}

fn axis<'t>(key: Spanned<String>, values: Vec<Spanned<DeValue<'t>>>) -> Axis<'t> {
    let mut parts = key.get_ref().split('.').map(str::to_owned);
    let stage = parts.next().unwrap_or_default();
    Axis { stage, path: parts.collect(), key, values }
}
