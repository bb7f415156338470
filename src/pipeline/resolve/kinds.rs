//! The kinds that a file may use: those of strata, and those that it declares.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    pipeline::{StageDef, written::kind::Kind},
    program::{self, Declaration, FilesProblem},
    stage::Registry,
};

/// All kinds that a file may use.
pub(super) struct Kinds {
    /// Those that could be read.
    pub registry: Registry,
    /// Names of kinds that are declared but could not be read. A stage of such a kind is no mistake of its own.
    pub unread: BTreeSet<String>,
    /// Each kind that is declared.
    pub programs: BTreeMap<&'static str, Program>,
    /// Whether all files with kinds could be read. An unknown kind is no mistake of its own otherwise.
    pub complete: bool,
}

/// A kind that is declared, with the places of its `run` and `files`.
pub(super) struct Program {
    declared: Declaration,
    pub run: Span,
    files: Option<Span>,
}

impl Kinds {
    /// Checks the files of those programs that a stage uses. A missing one would be found only when its stage is due.
    pub(super) fn check_files(&self, stages: &[StageDef<'_>], root: &Path, diagnostics: &mut Diagnostics) {
        for (name, Program { declared, run, files }) in &self.programs {
            if !stages.iter().any(|stage| stage.kind.name == *name) {
                continue;
            }
            match program::files_problem(declared, root) {
                Some(FilesProblem::Entry(message)) => {
                    diagnostics.add(Diagnostic::new(files.clone().unwrap_or_else(|| run.clone()), message));
                }
                Some(FilesProblem::NoneNamed) => {
                    let message = format!(
                        "no word of `run` is a file of the project, so changes to the program of kind `{name}` are not noticed"
                    );
                    let help =
                        "list its files, such as files = [\"kinds/umap.py\"], or write files = [] if it has none";
                    diagnostics.add(Diagnostic::warning(run.clone(), message).help(help));
                }
                None => {}
            }
        }
    }
}

/// Adds the kinds that a file declares to those of strata.
pub(super) fn resolve(
    declared: Vec<Kind>,
    complete: bool,
    registry: &Registry,
    diagnostics: &mut Diagnostics,
) -> Kinds {
    let mut kinds = Kinds { registry: registry.clone(), unread: BTreeSet::new(), programs: BTreeMap::new(), complete };
    let mut known: BTreeMap<String, Span> = BTreeMap::new();
    for Kind { name, run, files, declared } in declared {
        let span = name.span();
        let name = name.into_inner();
        if registry.get(&name).is_some() {
            let message = format!("`{name}` is a kind of strata");
            diagnostics.add(Diagnostic::new(span, message).help("give the program another name"));
            continue;
        }
        if let Some(first) = known.insert(name.clone(), span.clone()) {
            let message = format!("the kind `{name}` is declared twice");
            diagnostics.add(Diagnostic::new(span, message).other(first, "the first time"));
            continue;
        }
        match declared {
            Some(declared) => {
                let program = run.map(|run| Program { declared: declared.clone(), run, files });
                kinds.programs.extend(program.map(|program| (declared.name, program)));
                kinds.registry.add(program::kind(declared));
            }
            None => drop(kinds.unread.insert(name)),
        }
    }
    kinds
}
