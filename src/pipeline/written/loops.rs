//! `[loop.NAME]`: stages that run several times.

use toml::Spanned;

use super::{
    Value,
    table::{Entry, Wire, check_name, entries, stages, wires},
};
use crate::diagnostic::{Diagnostics, Names, Span};

/// One loop of a file.
pub(crate) struct Loop<'t> {
    /// Its name.
    pub name: Spanned<String>,
    /// `times`.
    pub times: Option<Value<'t>>,
    /// `body`.
    pub body: Vec<Spanned<String>>,
    /// `carry`.
    pub carry: Vec<Wire>,
    /// False if something of it could not be read.
    pub complete: bool,
}

/// Reads all loops.
pub(crate) fn read<'t>(key: &Span, value: Value<'t>, diagnostics: &mut Diagnostics) -> Vec<Loop<'t>> {
    entries(key, value, diagnostics).into_iter().map(|table| read_one(table, diagnostics)).collect()
}

fn read_one<'t>(Entry { key: name, value }: Entry<'t>, diagnostics: &mut Diagnostics) -> Loop<'t> {
    check_name(&name, "loop", diagnostics);
    let before = diagnostics.len();
    let (mut times, mut body, mut carry) = (None, Vec::new(), Vec::new());
    for Entry { key, value } in entries(&name.span(), value, diagnostics) {
        match key.get_ref().as_str() {
            "times" => times = Some(value),
            "body" => body = stages("body", &value, diagnostics),
            "carry" => carry = wires(&key.span(), value, diagnostics),
            other => {
                let message = format!("`[loop.{}]` has no key `{other}`", name.get_ref());
                let names = Names::new(["times", "body", "carry"]).otherwise("it has `times`, `body` and `carry`");
                diagnostics.unknown(key.span(), message, other, &names);
            }
        }
    }
    Loop { name, times, body, carry, complete: diagnostics.len() == before }
}
