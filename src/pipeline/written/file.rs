//! The top of a pipeline file: `[pipeline]`, and the tables with a file of their own.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Value,
    kind::{self, Kind},
    loops::{self, Loop},
    stage::{self, Stage},
    sweep::{self, Sweeps},
    table::{Entry, entries},
    toml_help,
    variant::{self, Variant},
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Names, Span},
    pipeline::document::shifted,
};

/// All that a file says.
#[derive(Default)]
pub(crate) struct File<'t> {
    /// `[pipeline] name`.
    pub name: Option<String>,
    /// `[pipeline] seed`, an integer.
    pub seed: Option<Value<'t>>,
    /// `[pipeline] include`: files that hold kinds.
    pub include: Vec<Spanned<String>>,
    /// `[kind.NAME]`, of this file and of those that it includes.
    pub kinds: Vec<Kind>,
    /// Whether all files with kinds could be read.
    pub kinds_are_complete: bool,
    /// `[stage.NAME]`, in the order of the file.
    pub stages: Vec<Stage<'t>>,
    /// `[loop.NAME]`.
    pub loops: Vec<Loop<'t>>,
    /// `[variant.NAME]`.
    pub variants: Vec<Variant<'t>>,
    /// `[sweep]` and `[sweep.NAME]`.
    pub sweeps: Sweeps<'t>,
}

/// Takes the text of a file apart; `None` if it is not TOML.
pub(crate) fn read<'t>(text: &'t str, diagnostics: &mut Diagnostics) -> Option<File<'t>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    diagnostics.extend(toml_help::mistakes(&errors, text));
    if !errors.is_empty() {
        return None;
    }
    let mut file = File::default();
    let mut sweep = None;
    for (key, value) in document.into_inner() {
        let span = key.span();
        match key.get_ref().as_ref() {
            "pipeline" => file.read_pipeline(&span, value, diagnostics),
            "stage" => {
                let tables = entries(&span, value, diagnostics);
                file.stages = tables.into_iter().map(|table| stage::read(table, diagnostics)).collect();
            }
            "kind" => file.kinds = kind::read(&span, value, diagnostics),
            "sweep" => sweep = Some((span, value)),
            "variant" => file.variants = variant::read(&span, value, diagnostics),
            "loop" => file.loops = loops::read(&span, value, diagnostics),
            other => {
                let message = format!(
                    "unknown key `{other}`: a file has `[pipeline]`, `[stage.NAME]`, `[sweep]`, `[variant.NAME]`, \
                     `[loop.NAME]` and `[kind.NAME]`"
                );
                let names = Names::new(["pipeline", "stage", "sweep", "variant", "loop", "kind"]);
                diagnostics.unknown(span, message, other, &names.otherwise("a stage is written `[stage.NAME]`"));
            }
        }
    }
    if let Some((span, value)) = sweep {
        let stages: Vec<&str> = file.stages.iter().map(|stage| stage.name.get_ref().as_str()).collect();
        file.sweeps = sweep::read(&span, value, &stages, diagnostics);
    }
    Some(file)
}

/// Reads the kinds of an included file, whose text starts at `start`.
pub(crate) fn read_included(text: &str, start: usize, diagnostics: &mut Diagnostics) -> Vec<Kind> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let shift = |span: Span| span.start + start..span.end + start;
    for mistake in toml_help::mistakes(&errors, text) {
        let others = mistake.others.into_iter().map(|(span, label)| (shift(span), label)).collect();
        diagnostics.add(Diagnostic { span: shift(mistake.span), others, ..mistake });
    }
    if !errors.is_empty() {
        return Vec::new();
    }
    let mut kinds = Vec::new();
    for (key, value) in document.into_inner() {
        let span = shift(key.span());
        match key.get_ref().as_ref() {
            "kind" => kinds.extend(kind::read(&span, shifted(value, start), diagnostics)),
            other => {
                let message = format!("`{other}` cannot be in an included file, which holds `[kind.NAME]` only");
                diagnostics.add(Diagnostic::new(span, message));
            }
        }
    }
    kinds
}

impl<'t> File<'t> {
    fn read_pipeline(&mut self, key: &Span, value: Value<'t>, diagnostics: &mut Diagnostics) {
        for Entry { key, value } in entries(key, value, diagnostics) {
            match (key.get_ref().as_str(), value.get_ref()) {
                ("name", DeValue::String(name)) => self.name = Some(name.to_string()),
                ("name", _) => diagnostics.add(Diagnostic::new(value.span(), "`name` must be a string")),
                ("seed", DeValue::Integer(_)) => self.seed = Some(value),
                ("seed", _) => diagnostics.add(Diagnostic::new(value.span(), "`seed` must be a whole number")),
                ("include", DeValue::Array(files)) => {
                    for file in files.iter() {
                        match file.get_ref().as_str() {
                            Some(name) => self.include.push(Spanned::new(file.span(), name.to_owned())),
                            None => {
                                diagnostics.add(Diagnostic::new(file.span(), "the name of a file must be a string"))
                            }
                        }
                    }
                }
                ("include", _) => {
                    let help = "write include = [\"kinds/vision.toml\"]; paths start at the project root";
                    diagnostics.add(Diagnostic::new(value.span(), "`include` must be a list of files").help(help));
                }
                (other, _) => {
                    let message = format!("`[pipeline]` has no key `{other}`");
                    diagnostics.add(Diagnostic::new(key.span(), message).help("it has `name`, `seed` and `include`"));
                }
            }
        }
    }
}
