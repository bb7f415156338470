//! `[variant.NAME]`: the whole graph again with some things changed, as a row beside the graph as it is.

use toml::{Spanned, de::DeValue};

use super::{Axis, Pipeline, StageDef, Wire, document, parse::Reader, reach::overlap, space::Given};
use crate::diagnostic::{Diagnostic, Span, suggest};

/// The name of the graph as it is, among the variants.
pub const BASE: &str = "base";

/// A variant: what it changes in the graph.
#[derive(Clone)]
pub struct Variant<'t> {
    /// Its name, and the place of that.
    pub name: Spanned<String>,
    /// Parameters with other values.
    pub set: Vec<Patch<'t>>,
    /// `STAGE.PORT` of inputs, and the outputs that they are joined to instead.
    pub rewire: Vec<Wire>,
    /// Stages that it is without.
    pub drop: Vec<Spanned<String>>,
}

/// A parameter with another value.
#[derive(Clone)]
pub struct Patch<'t> {
    /// The stage.
    pub stage: String,
    /// The key path of the parameter.
    pub path: Vec<String>,
    /// Where the key stands.
    pub span: Span,
    /// The value.
    pub value: Spanned<DeValue<'t>>,
}

impl<'t> Variant<'t> {
    fn named(name: Spanned<String>) -> Self {
        Self { name, set: Vec::new(), rewire: Vec::new(), drop: Vec::new() }
    }

    /// The place where the variant drops a stage.
    #[must_use]
    pub fn drops(&self, stage: &str) -> Option<Span> {
        self.drop.iter().find(|name| name.get_ref() == stage).map(Spanned::span)
    }

    /// The stage as the variant has it; `None` if it is without it.
    #[must_use]
    pub fn patched(&self, stage: &StageDef<'t>) -> Option<StageDef<'t>> {
        let name = stage.name.get_ref();
        if self.drops(name).is_some() {
            return None;
        }
        let mut stage = stage.clone();
        for patch in self.set.iter().filter(|patch| patch.stage == *name) {
            document::set(&mut stage.params, &patch.path, patch.span.clone(), patch.value.clone());
        }
        for wire in &self.rewire {
            let Some((_, port)) = wire.port.get_ref().split_once('.').filter(|(of, _)| of == name) else { continue };
            stage.inputs.retain(|old| old.port.get_ref() != port);
            let port = Spanned::new(wire.port.span(), port.to_owned());
            stage.inputs.push(Wire { port, from: wire.from.clone() });
        }
        Some(stage)
    }

    /// True if the variant changes the stage itself.
    #[must_use]
    pub fn changes(&self, stage: &str) -> bool {
        self.set.iter().any(|patch| patch.stage == stage)
            || self.rewire.iter().any(|wire| wire.port.get_ref().split('.').next() == Some(stage))
    }
}

impl<'t> Reader<'_, 't> {
    /// All variants of a file, each with its mistakes noted.
    pub(in crate::pipeline) fn variants(
        &mut self,
        key: &Span,
        value: Spanned<DeValue<'t>>,
        pipeline: &Pipeline<'t>,
    ) -> Vec<Variant<'t>> {
        let mut variants = Vec::new();
        for (name, value) in self.table(key, value) {
            let name = Spanned::new(name.span(), name.into_inner().into_owned());
            self.can_be_named(&name, "variant");
            if [BASE, "none"].contains(&name.get_ref().as_str()) {
                let message = format!("`{}` cannot be the name of a variant", name.get_ref());
                let help = "`base` is the graph as it is, and `--variant none` leaves all variants out";
                self.found.push(Diagnostic::new(name.span(), message).help(help));
                continue;
            }
            let mut variant = Variant::named(name);
            for (key, value) in self.table(&variant.name.span(), value) {
                match key.get_ref().as_ref() {
                    "set" => variant.set = self.patches(&key.span(), value, pipeline),
                    "rewire" => {
                        let wires = self.wires(&key.span(), value);
                        variant.rewire = wires.into_iter().filter(|wire| self.is_input(wire, pipeline)).collect();
                    }
                    "drop" => match value.get_ref().as_array() {
                        Some(items) => {
                            variant.drop = items.iter().filter_map(|item| self.a_stage(item, pipeline)).collect();
                        }
                        None => {
                            let message =
                                format!("`drop` must be a list of stages, found {}", value.get_ref().type_str());
                            self.found.push(Diagnostic::new(value.span(), message).help("write drop = [\"stage\"]"));
                        }
                    },
                    other => {
                        let message = format!("`[variant.{}]` has no key `{other}`", variant.name.get_ref());
                        let help = match suggest(other, ["set", "rewire", "drop"]) {
                            Some(like) => format!("did you mean `{like}`?"),
                            None => "it has `set`, `rewire` and `drop`".to_owned(),
                        };
                        self.found.push(Diagnostic::new(key.span(), message).help(help));
                    }
                }
            }
            variants.push(variant);
        }
        variants
    }

    fn patches(&mut self, key: &Span, value: Spanned<DeValue<'t>>, pipeline: &Pipeline<'t>) -> Vec<Patch<'t>> {
        let (mut patches, mut axes) = (Vec::new(), Vec::new());
        for (key, value) in self.table(key, value) {
            let key = Spanned::new(key.span(), key.into_inner().into_owned());
            if !key.get_ref().contains('.') {
                let message = format!("`{}` does not name a parameter of a stage", key.get_ref());
                let help = "a parameter is written in quotes: set = { \"stage.param\" = 1 }";
                self.found.push(Diagnostic::new(key.span(), message).help(help));
                continue;
            }
            let Axis { stage, path, .. } = Axis::new(key.clone(), Vec::new());
            let mut axis = Axis::new(key, vec![value]);
            if self.is_parameter(&axis.key, &stage, &path, pipeline) && self.left_out(&mut axis, pipeline) {
                let span = axis.key.span();
                patches.extend(axis.values.iter().map(|value| Patch {
                    stage: stage.clone(),
                    path: path.clone(),
                    span: span.clone(),
                    value: value.clone(),
                }));
                axes.push(axis);
            }
        }
        self.found.extend(overlap(&axes, "parameters"));
        patches
    }

    /// True if what is rewired is an input port of a stage that is there. Where it leads is checked with all wires.
    fn is_input(&mut self, wire: &Wire, pipeline: &Pipeline<'t>) -> bool {
        let key = wire.port.get_ref();
        let Some((name, port)) = key.split_once('.') else {
            let message = format!("`{key}` does not name an input");
            let help = "an input is written in quotes: rewire = { \"stage.port\" = \"other.port\" }";
            self.found.push(Diagnostic::new(wire.port.span(), message).help(help));
            return false;
        };
        if pipeline.unread.contains(name) {
            return false;
        }
        let Some(stage) = pipeline.stages.iter().find(|stage| stage.name.get_ref() == name) else {
            let names = pipeline.stages.iter().map(|stage| stage.name.get_ref().as_str());
            let help = match suggest(name, names) {
                Some(like) => format!("did you mean `{like}.{port}`?"),
                None => "an input is written `stage.port`".to_owned(),
            };
            self.found.push(Diagnostic::new(wire.port.span(), format!("there is no stage `{name}`")).help(help));
            return false;
        };
        if stage.kind.input(port).is_none() {
            let ports: Vec<&str> = stage.kind.inputs.iter().map(|port| port.name).collect();
            let message = format!("stage `{name}` (kind `{}`) has no input port `{port}`", stage.kind.name);
            let help = match suggest(port, ports.iter().copied()) {
                Some(like) => format!("did you mean `{name}.{like}`?"),
                None => format!("there are {}", super::quoted(&ports)),
            };
            self.found.push(Diagnostic::new(wire.port.span(), message).help(help));
            return false;
        }
        true
    }

    /// Makes the rows that are asked for: by default the graph as it is and all variants.
    pub(in crate::pipeline) fn choose_variants(
        &mut self,
        wanted: Option<&Spanned<String>>,
        pipeline: &mut Pipeline<'t>,
        given: &mut Given<'t>,
    ) {
        given.chosen = wanted.is_some();
        let base = Spanned::new(0..0, BASE.to_owned());
        let value = |name: &Spanned<String>| Spanned::new(name.span(), DeValue::String(name.get_ref().clone().into()));
        let names: Vec<&str> = std::iter::once(BASE)
            .chain(pipeline.variants.iter().map(|variant| variant.name.get_ref().as_str()))
            .collect();
        let mut chosen: Vec<u32> = Vec::new();
        match wanted {
            None => chosen.extend(0..names.len() as u32),
            Some(wanted) if wanted.get_ref() == "none" => {}
            Some(wanted) => {
                let mut start = wanted.span().start;
                for word in wanted.get_ref().split(',') {
                    let span = start..start + word.len();
                    start = span.end + 1;
                    match names.iter().position(|name| *name == word) {
                        Some(at) => chosen.push(at as u32),
                        None => self.found.push(no_variant(word, span, &names)),
                    }
                }
            }
        }
        if chosen.is_empty() || pipeline.variants.is_empty() {
            pipeline.variants.clear();
            given.fixed.push(Axis::variant(Spanned::new(0..0, "variant".to_owned()), vec![value(&base)]));
            return;
        }
        // All of them are rows of the axis, so that a name does not depend on the choice; `given` says which are points.
        pipeline.variants.insert(0, Variant::named(base));
        let key = Spanned::new(pipeline.variants[1].name.span(), "variant".to_owned());
        let values = pipeline.variants.iter().map(|variant| value(&variant.name)).collect();
        given.axes.insert(0, Axis::variant(key, values));
        given.variants = chosen;
    }
}

pub(in crate::pipeline) fn no_variant(word: &str, span: Span, names: &[&str]) -> Diagnostic {
    let listed = super::quoted(names);
    let help = match suggest(word, names.iter().copied()) {
        _ if names.len() == 1 => "the file has no variants; one is written `[variant.NAME]`".to_owned(),
        Some(like) => format!("did you mean `{like}`? there are {listed}"),
        None => format!("there are {listed}"),
    };
    Diagnostic::new(span, format!("there is no variant `{word}`")).help(help)
}
