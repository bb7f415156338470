//! Parameters of which one is a part of the other: a table, and a value inside it.

use toml::Spanned;

use super::scope::Scope;
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    pipeline::{
        document,
        resolved::{Axis, Patch, Variant},
    },
};

/// The rest of a key path below another one of the same stage.
pub(super) fn below<'a>(inner: &'a Axis<'_>, outer: &Axis<'_>) -> Option<&'a [String]> {
    let rest = inner.path.strip_prefix(&outer.path[..]).filter(|rest| !rest.is_empty())?;
    (inner.stage == outer.stage && !outer.is_variant()).then_some(rest)
}

/// The mistakes of axes of which one holds another. `what` calls them axes or parameters.
pub(super) fn overlap(axes: &[Axis<'_>], what: &str) -> Vec<Diagnostic> {
    let mut mistakes = Vec::new();
    for inner in axes {
        for outer in axes.iter().filter(|outer| below(inner, outer).is_some()) {
            let (part, whole) = (inner.name(), outer.name());
            let message =
                format!("the {what} `{whole}` and `{part}` overlap: one gives a table, the other a part of it");
            let help = format!("write `{part}` into the table of `{whole}`, or name each of its parts alone");
            mistakes.push(Diagnostic::new(inner.key.span(), message).other(outer.key.span(), "the table").help(help));
        }
    }
    mistakes
}

/// The mistake of a part of a value that is not a table.
pub(super) fn no_table(part: &Axis<'_>, whole: &str, span: Span) -> Diagnostic {
    let message = format!("`{}` is a part of `{whole}`, which has a value that is not a table", part.name());
    let diagnostic = Diagnostic::new(part.key.span(), message).other(span, "no table");
    diagnostic.help(format!("give `{whole}` a table `{{ … }}`, or leave this out"))
}

/// Reports axes and values of variants that are a part of something that is not a table, such as an expression.
pub(super) fn check_tables<'t>(
    axes: &[Axis<'t>],
    variants: &[Variant<'t>],
    scope: &Scope<'t>,
    diagnostics: &mut Diagnostics,
) {
    let patch_axis = |patch: &Patch<'t>| {
        let name = format!("{}.{}", patch.stage, patch.path.join("."));
        Axis::new(Spanned::new(patch.span.clone(), name), Vec::new())
    };
    let patches = variants.iter().flat_map(|variant| &variant.set).map(patch_axis);
    for part in axes.iter().filter(|axis| !axis.is_variant()).cloned().chain(patches) {
        if let Some(Err(span)) = scope.stage(&part.stage).map(|stage| document::look_up(&stage.params, &part.path)) {
            diagnostics.add(no_table(&part, &parent(&part), span));
        }
    }
}

/// The parameter that holds this one.
pub(super) fn parent(part: &Axis<'_>) -> String {
    format!("{}.{}", part.stage, part.path[..part.path.len() - 1].join("."))
}
