//! Variants: what they change is there; which of them are rows.

use toml::{Spanned, de::DeValue};

use super::{overlaps::overlap, overrides::Overrides, scope::Scope, values};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Names, Span},
    pipeline::{
        resolved::{Axis, Patch, Variant},
        written::{
            Value,
            table::{Entry, Wire},
            variant::{self, BASE},
        },
    },
};

/// All variants of a file.
pub(super) fn resolve<'t>(
    variants: Vec<variant::Variant<'t>>,
    scope: &Scope<'t>,
    diagnostics: &mut Diagnostics,
) -> Vec<Variant<'t>> {
    let mut resolved = Vec::new();
    for variant::Variant { name, set, mut rewire, mut drop } in variants {
        let set = patches(set, scope, diagnostics);
        rewire.retain(|wire| is_input(wire, scope, diagnostics));
        drop.retain(|stage| scope.known_stage(stage, diagnostics));
        resolved.push(Variant { name, set, rewire, drop });
    }
    resolved
}

fn patches<'t>(entries: Vec<Entry<'t>>, scope: &Scope<'t>, diagnostics: &mut Diagnostics) -> Vec<Patch<'t>> {
    let mut axes = Vec::new();
    for Entry { key, value } in entries {
        let mut axis = Axis::new(key, vec![value]);
        if scope.is_parameter(&axis.key, &axis.stage, &axis.path, diagnostics)
            && values::leave_out(&mut axis, scope, diagnostics)
        {
            axes.push(axis);
        }
    }
    diagnostics.extend(overlap(&axes, "parameters"));
    let patch = |Axis { key, stage, path, values, .. }: Axis<'t>| {
        let value = values.into_iter().next()?;
        Some(Patch { stage, path, span: key.span(), value })
    };
    axes.into_iter().filter_map(patch).collect()
}

/// True if a wire of `rewire` has an input port of a stage. The output that it takes is checked with all wires.
fn is_input(wire: &Wire, scope: &Scope<'_>, diagnostics: &mut Diagnostics) -> bool {
    let (key, span) = (wire.port.get_ref(), wire.port.span());
    let Some((name, port)) = key.split_once('.') else {
        let message = format!("`{key}` does not name an input");
        let help = "an input is written in quotes: rewire = { \"stage.port\" = \"other.port\" }";
        diagnostics.add(Diagnostic::new(span, message).help(help));
        return false;
    };
    if scope.unread.contains(name) {
        return false;
    }
    let Some(stage) = scope.stage(name) else {
        let names = Names::new(scope.stage_names()).between("`", format!(".{port}`"));
        let names = names.otherwise("an input is written `stage.port`");
        diagnostics.unknown(span, format!("there is no stage `{name}`"), name, &names);
        return false;
    };
    if stage.kind.input(port).is_none() {
        let message = format!("stage `{name}` (kind `{}`) has no input port `{port}`", stage.kind.name);
        let names = Names::new(stage.kind.inputs.iter().map(|port| port.name)).between(format!("`{name}."), "`");
        diagnostics.unknown(span, message, port, &names);
        return false;
    }
    true
}

/// Makes the axis of the variants that are rows: by default the graph as it is and all variants. Returns the variants
/// of the axis, none if there is no axis.
pub(super) fn choose<'t>(
    mut variants: Vec<Variant<'t>>,
    wanted: Option<&Spanned<String>>,
    overrides: &mut Overrides<'t>,
    diagnostics: &mut Diagnostics,
) -> Vec<Variant<'t>> {
    let chosen = {
        let names = variants.iter().map(|variant| variant.name.get_ref().as_str());
        chosen(wanted, &std::iter::once(BASE).chain(names).collect::<Vec<_>>(), diagnostics)
    };
    overrides.chooses_variants = wanted.is_some();
    let base = Spanned::new(0..0, BASE.to_owned());
    if chosen.is_empty() || variants.is_empty() {
        let key = Spanned::new(0..0, "variant".to_owned());
        overrides.fixed.push(Axis::over_variants(key, vec![name_as_value(&base)]));
        return Vec::new();
    }
    // All of them are values of the axis, so that the name of an instance does not depend on the choice.
    let key = Spanned::new(variants[0].name.span(), "variant".to_owned());
    variants.insert(0, Variant::named(base));
    let values = variants.iter().map(|variant| name_as_value(&variant.name)).collect();
    overrides.axes.insert(0, Axis::over_variants(key, values));
    overrides.variants = chosen;
    variants
}

/// The indices of the names that are asked for.
fn chosen(wanted: Option<&Spanned<String>>, names: &[&str], diagnostics: &mut Diagnostics) -> Vec<u32> {
    let Some(wanted) = wanted else { return (0..names.len() as u32).collect() };
    let mut chosen = Vec::new();
    if wanted.get_ref() == "none" {
        return chosen;
    }
    let mut start = wanted.span().start;
    for word in wanted.get_ref().split(',') {
        let span = start..start + word.len();
        start = span.end + 1;
        match names.iter().position(|name| *name == word) {
            Some(at) => chosen.push(at as u32),
            None => diagnostics.add(no_variant(word, span, names)),
        }
    }
    chosen
}

fn name_as_value<'t>(name: &Spanned<String>) -> Value<'t> {
    Spanned::new(name.span(), DeValue::String(name.get_ref().clone().into()))
}

/// The mistake of a word that is not the name of a variant.
pub(super) fn no_variant(word: &str, span: Span, names: &[&str]) -> Diagnostic {
    let help = match names.len() {
        1 => "the file has no variants; one is written `[variant.NAME]`".to_owned(),
        _ => Names::new(names.iter().copied()).always_listed().help(word),
    };
    Diagnostic::new(span, format!("there is no variant `{word}`")).help(help)
}
