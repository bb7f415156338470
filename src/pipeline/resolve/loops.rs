//! Loops: their rounds, and bodies of stages that are there.

use toml::Spanned;

use super::scope::{Scope, no_rounds, rounds};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    pipeline::{resolved::Loop, written::loops},
};

/// The loops of a file. One whose number of rounds is wrong is left out.
pub(super) fn resolve<'t>(loops: Vec<loops::Loop<'t>>, scope: &Scope<'t>, diagnostics: &mut Diagnostics) -> Vec<Loop> {
    let loops: Vec<Loop> = loops.into_iter().filter_map(|written| resolve_one(written, scope, diagnostics)).collect();
    check_shared_stages(&loops, diagnostics);
    loops
}

fn resolve_one<'t>(mut written: loops::Loop<'t>, scope: &Scope<'t>, diagnostics: &mut Diagnostics) -> Option<Loop> {
    let name = written.name.get_ref();
    if let Some(stage) = scope.stage(name) {
        let message = format!("`{name}` is the name of a stage and of a loop");
        let diagnostic = Diagnostic::new(written.name.span(), message).other(stage.name.span(), "the stage");
        diagnostics.add(diagnostic.help("rename one of them"));
    }
    let before = diagnostics.len();
    written.body.retain(|stage| scope.known_stage(stage, diagnostics));
    let complete = written.complete && diagnostics.len() == before;
    let loops::Loop { name, times, body, carry, .. } = written;
    if complete && (body.is_empty() || carry.is_empty()) {
        let message = format!("loop `{}` needs `body` and `carry`", name.get_ref());
        let help = "write body = [\"stage\", …] and carry = { \"stage.port\" = \"stage.port\" }";
        diagnostics.add(Diagnostic::new(name.span(), message).help(help));
    }
    let times = match times {
        None => Spanned::new(name.span(), 1),
        Some(value) => {
            let times = rounds(&value).ok_or_else(|| no_rounds(value.span()));
            Spanned::new(value.span(), diagnostics.take(times)?)
        }
    };
    Some(Loop { name, times, body, carry })
}

/// A stage that is in the bodies of two loops is a mistake.
fn check_shared_stages(loops: &[Loop], diagnostics: &mut Diagnostics) {
    for (at, one) in loops.iter().enumerate() {
        for stage in &one.body {
            let mut before = loops[..at].iter().flat_map(|other| &other.body);
            if let Some(first) = before.find(|name| name.get_ref() == stage.get_ref()) {
                let message = format!("stage `{}` is in two loops", stage.get_ref());
                let diagnostic = Diagnostic::new(stage.span(), message).other(first.span(), "and here");
                diagnostics.add(diagnostic.help("a stage belongs to one loop at most"));
            }
        }
    }
}
