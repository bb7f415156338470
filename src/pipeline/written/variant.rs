//! `[variant.NAME]`: changes to the graph.

use toml::Spanned;

use super::{
    Value,
    table::{Entry, Wire, check_name, entries, stages, wires},
};
use crate::diagnostic::{Diagnostic, Diagnostics, Names, Span};

/// The name of the unchanged graph, among the variants.
pub const BASE: &str = "base";

/// One variant of a file.
pub(crate) struct Variant<'t> {
    /// Its name.
    pub name: Spanned<String>,
    /// `set`: `stage.param` and a value.
    pub set: Vec<Entry<'t>>,
    /// `rewire`: `stage.port` and an output.
    pub rewire: Vec<Wire>,
    /// `drop`.
    pub drop: Vec<Spanned<String>>,
}

/// Reads all variants.
pub(crate) fn read<'t>(key: &Span, value: Value<'t>, diagnostics: &mut Diagnostics) -> Vec<Variant<'t>> {
    entries(key, value, diagnostics).into_iter().filter_map(|table| read_one(table, diagnostics)).collect()
}

fn read_one<'t>(Entry { key: name, value }: Entry<'t>, diagnostics: &mut Diagnostics) -> Option<Variant<'t>> {
    check_name(&name, "variant", diagnostics);
    if [BASE, "none"].contains(&name.get_ref().as_str()) {
        let message = format!("`{}` cannot be the name of a variant", name.get_ref());
        let help = "`base` is the graph as it is, and `--variant none` leaves all variants out";
        diagnostics.add(Diagnostic::new(name.span(), message).help(help));
        return None;
    }
    let mut variant = Variant { name, set: Vec::new(), rewire: Vec::new(), drop: Vec::new() };
    for Entry { key, value } in entries(&variant.name.span(), value, diagnostics) {
        match key.get_ref().as_str() {
            "set" => {
                variant.set = entries(&key.span(), value, diagnostics);
                variant.set.retain(|entry| names_parameter(&entry.key, diagnostics));
            }
            "rewire" => variant.rewire = wires(&key.span(), value, diagnostics),
            "drop" => variant.drop = stages("drop", &value, diagnostics),
            other => {
                let message = format!("`[variant.{}]` has no key `{other}`", variant.name.get_ref());
                let names = Names::new(["set", "rewire", "drop"]).otherwise("it has `set`, `rewire` and `drop`");
                diagnostics.unknown(key.span(), message, other, &names);
            }
        }
    }
    Some(variant)
}

fn names_parameter(key: &Spanned<String>, diagnostics: &mut Diagnostics) -> bool {
    let names_one = key.get_ref().contains('.');
    if !names_one {
        let message = format!("`{}` does not name a parameter of a stage", key.get_ref());
        let help = "a parameter is written in quotes: set = { \"stage.param\" = 1 }";
        diagnostics.add(Diagnostic::new(key.span(), message).help(help));
    }
    names_one
}
