//! `[stage.NAME]`: the reserved keys, and the parameters beside them.

use std::borrow::Cow;

use toml::{Spanned, de::DeTable};

use super::{
    Value,
    resources::{self, Resources},
    table::{Entry, Wire, check_name, entries, wires},
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    pipeline::document,
};

/// The keys of a stage that are no parameters.
pub(crate) const RESERVED: [&str; 4] = ["kind", "inputs", "needs", "retries"];

/// One stage of a file.
pub(crate) struct Stage<'t> {
    /// Its name.
    pub name: Spanned<String>,
    /// `kind`.
    pub kind: Option<Value<'t>>,
    /// `inputs`.
    pub inputs: Vec<Wire>,
    /// The place of `inputs = …`.
    pub inputs_span: Option<Span>,
    /// `retries`.
    pub retries: Option<u32>,
    /// `needs`.
    pub resources: Option<Resources>,
    /// Everything else.
    pub params: DeTable<'t>,
    /// False if something of it could not be read.
    pub complete: bool,
}

/// Reads one stage.
pub(crate) fn read<'t>(Entry { key: name, value }: Entry<'t>, diagnostics: &mut Diagnostics) -> Stage<'t> {
    check_name(&name, "stage", diagnostics);
    let before = diagnostics.len();
    let mut stage = Stage {
        kind: None,
        inputs: Vec::new(),
        inputs_span: None,
        retries: None,
        resources: None,
        params: DeTable::new(),
        complete: true,
        name,
    };
    for Entry { key, value } in entries(&stage.name.span(), value, diagnostics) {
        match key.get_ref().as_str() {
            "kind" => stage.kind = Some(value),
            "inputs" => {
                stage.inputs_span = Some(value.span());
                stage.inputs = wires(&key.span(), value, diagnostics);
            }
            "retries" => {
                stage.retries = document::whole(value.get_ref()).and_then(|whole| u32::try_from(whole).ok());
                if stage.retries.is_none() {
                    diagnostics.add(Diagnostic::new(value.span(), "`retries` must be a whole number"));
                }
            }
            "needs" => stage.resources = Some(resources::read(&key.span(), value, diagnostics)),
            _ => {
                let span = key.span();
                stage.params.insert(Spanned::new(span, Cow::Owned(key.into_inner())), value);
            }
        }
    }
    stage.complete = diagnostics.len() == before;
    stage
}
