//! The kinds that a file may use: those of strata, and those that it declares.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    pipeline::written::kind::Kind,
    program,
    stage::Registry,
};

/// All kinds that a file may use.
pub(super) struct Kinds {
    /// Those that could be read.
    pub registry: Registry,
    /// Names of kinds that are declared but could not be read. A stage of such a kind is no mistake of its own.
    pub unread: BTreeSet<String>,
    /// The place of `run` of each kind that is declared.
    pub programs: BTreeMap<&'static str, Span>,
    /// Whether all files with kinds could be read. An unknown kind is no mistake of its own otherwise.
    pub complete: bool,
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
    for Kind { name, run, declared } in declared {
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
                kinds.programs.extend(run.map(|run| (declared.name, run)));
                kinds.registry.add(program::kind(declared));
            }
            None => drop(kinds.unread.insert(name)),
        }
    }
    kinds
}
