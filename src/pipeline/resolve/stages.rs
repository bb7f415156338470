//! From TOML text to a [`Pipeline`].

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Axis, Needs, Params, Pipeline, Space, StageDef, Wire, document, project_root, sweep::Sweeps, syntax};
use crate::{
    diagnostic::{Diagnostic, Sources, Span, quoted, suggest},
    stage::{Registry, StageKind},
};

const RESERVED: [&str; 4] = ["kind", "inputs", "needs", "retries"];

/// Reads a pipeline from its texts: first that of `file`, then one for each argument: `stage.param=value` of a `-S`,
/// `--sweep=NAME`, `--variant=NAME,NAME`, `--seeds=N`.
///
/// All mistakes are reported at once; what is returned beside them is as much as could be read.
pub fn parse<'t>(sources: &'t Sources, file: &Path, registry: &Registry) -> (Pipeline<'t>, Vec<Diagnostic>) {
    let mut reader = Reader { registry, sources, seed: None, params: BTreeMap::new(), found: Vec::new() };
    let name = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let mut pipeline = Pipeline {
        name,
        file: absolute(file),
        root: project_root(file),
        stages: Vec::new(),
        unread: BTreeSet::new(),
        axes: Vec::new(),
        space: Space::default(),
        variants: Vec::new(),
        repeats: None,
        halving: None,
        loops: Vec::new(),
        sweeps: Vec::new(),
        notes: Vec::new(),
        sources,
    };
    let mut texts = sources.texts();
    let text = texts.next().map_or("", |(_, text)| text);

    let (document, errors) = DeTable::parse_recoverable(text);
    reader.found.extend(syntax::mistakes(&errors, text));
    if errors.is_empty() {
        let sweeps = reader.document(document.into_inner(), &mut pipeline);
        reader.arguments(texts, sweeps, &mut pipeline);
        reader.seeds(&mut pipeline);
        reader.ties(&mut pipeline);
    }
    (pipeline, reader.found)
}

/// The path of a file without links, as far as the system says.
fn absolute(file: &Path) -> PathBuf {
    file.canonicalize().or_else(|_| std::path::absolute(file)).unwrap_or_else(|_| file.to_owned())
}

/// What is needed while reading. Each part of a file has its own file of methods.
pub(in crate::pipeline) struct Reader<'a, 't> {
    registry: &'a Registry,
    pub sources: &'t Sources,
    pub seed: Option<Spanned<DeValue<'t>>>,
    pub params: BTreeMap<&'static str, Params>,
    pub found: Vec<Diagnostic>,
}

/// A key and its value.
pub(in crate::pipeline) type Pair<'t> = (Spanned<Cow<'t, str>>, Spanned<DeValue<'t>>);

impl<'t> Reader<'_, 't> {
    fn document(&mut self, document: DeTable<'t>, pipeline: &mut Pipeline<'t>) -> Sweeps<'t> {
        let (mut sweep, mut variants, mut loops) = (None, None, None);
        for (key, value) in document {
            match key.get_ref().as_ref() {
                "pipeline" => self.pipeline(&key.span(), value, pipeline),
                "stage" => {
                    for (name, table) in self.table(&key.span(), value) {
                        let (span, name) = (name.span(), name.into_inner().into_owned());
                        self.stage(Spanned::new(span, name), table, pipeline);
                    }
                }
                "sweep" => sweep = Some((key.span(), value)),
                "variant" => variants = Some((key.span(), value)),
                "loop" => loops = Some((key.span(), value)),
                other => {
                    let help = match suggest(other, ["pipeline", "stage", "sweep", "variant", "loop"]) {
                        Some(like) => format!("did you mean `{like}`?"),
                        None => "a stage is written `[stage.NAME]`".to_owned(),
                    };
                    let message = format!(
                        "unknown key `{other}`: a file has `[pipeline]`, `[stage.NAME]`, `[sweep]`, `[variant.NAME]` and \
                         `[loop.NAME]`"
                    );
                    self.found.push(Diagnostic::new(key.span(), message).help(help));
                }
            }
        }
        pipeline.stages.sort_by_key(|stage| stage.name.span().start);
        // These name stages, so they come after them.
        if let Some((key, value)) = loops {
            self.loops(&key, value, pipeline);
        }
        if let Some((key, value)) = variants {
            pipeline.variants = self.variants(&key, value, pipeline);
        }
        sweep.map(|(key, value)| self.sweeps(&key, value, pipeline)).unwrap_or_default()
    }

    /// The entries of a table, in the order of the file.
    pub(in crate::pipeline) fn table(&mut self, key: &Span, value: Spanned<DeValue<'t>>) -> Vec<Pair<'t>> {
        match value.into_inner() {
            DeValue::Table(table) => {
                let mut entries: Vec<Pair<'t>> = table.into_iter().collect();
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
        self.can_be_named(&name, "stage");
        let mut params = DeTable::new();
        let (mut kind, mut inputs, mut inputs_span, mut retries) = (None, Vec::new(), None, 0);
        let mut needs = Needs::default();
        let before = self.found.len();
        for (key, value) in self.table(&name.span(), value) {
            match key.get_ref().as_ref() {
                "kind" => kind = Some(value),
                "inputs" => {
                    inputs_span = Some(value.span());
                    inputs = self.wires(&key.span(), value);
                }
                "retries" => match document::whole(value.get_ref()).and_then(|whole| u32::try_from(whole).ok()) {
                    Some(n) => retries = n,
                    None => self.found.push(Diagnostic::new(value.span(), "`retries` must be a whole number")),
                },
                "needs" => needs = self.needs(&key.span(), value),
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
        pipeline.stages.push(StageDef { name, kind, inputs, inputs_span, retries, needs, params });
    }

    /// Names stand in the names of instances, so they are without what those are put together with.
    pub(in crate::pipeline) fn can_be_named(&mut self, name: &Spanned<String>, what: &str) {
        if name.get_ref().contains(['@', '.', ',', '=']) || name.get_ref().is_empty() {
            let message = format!("`{}` cannot be the name of a {what}", name.get_ref());
            self.found.push(Diagnostic::new(name.span(), message).help("use letters, digits, `_` and `-`"));
        }
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

    pub(in crate::pipeline) fn wires(&mut self, key: &Span, value: Spanned<DeValue<'t>>) -> Vec<Wire> {
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

    /// True if the axis names a parameter of a stage that is there, or the times of a loop; else that is a mistake.
    pub(in crate::pipeline) fn can_vary(&mut self, axis: &Axis<'t>, pipeline: &Pipeline<'t>) -> bool {
        match pipeline.loops.iter().find(|found| *found.name.get_ref() == axis.stage) {
            Some(_) => self.is_times(axis),
            None => self.is_parameter(&axis.key, &axis.stage, &axis.path, pipeline),
        }
    }

    /// True if the key names a parameter of a stage that is there.
    pub(in crate::pipeline) fn is_parameter(
        &mut self,
        key: &Spanned<String>,
        stage: &str,
        path: &[String],
        pipeline: &Pipeline<'t>,
    ) -> bool {
        let (span, key) = (key.span(), key.get_ref());
        if pipeline.unread.contains(stage) {
            return false;
        }
        let Some(found) = pipeline.stages.iter().find(|found| found.name.get_ref() == stage) else {
            let loops = pipeline.loops.iter().map(|found| found.name.get_ref().as_str());
            let names = pipeline.stages.iter().map(|stage| stage.name.get_ref().as_str()).chain(loops);
            let like = suggest(stage, names).map(|like| format!("did you mean `{like}.{}`?", path.join(".")));
            let mut diagnostic = Diagnostic::new(span, format!("`{key}`: there is no stage `{stage}`"));
            diagnostic.help = like.or_else(|| Some("a parameter is written `stage.param`".to_owned()));
            self.found.push(diagnostic);
            return false;
        };
        if path.first().is_some_and(|first| RESERVED.contains(&first.as_str())) {
            let message = format!("`{key}`: `{}` is not a parameter and cannot be varied", path[0]);
            self.found.push(Diagnostic::new(span, message));
            return false;
        }
        let known = self.params.entry(found.kind.name).or_insert_with(|| Params::of(&found.kind));
        match known.check_path(stage, path) {
            Ok(()) => true,
            Err((message, help)) => {
                let message = format!("`{key}`: kind `{}` has {message}", found.kind.name);
                self.found.push(Diagnostic::new(span, message).help(help));
                false
            }
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
