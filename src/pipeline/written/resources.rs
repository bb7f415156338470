//! `needs = { threads = 1, memory = "2GiB", gpu = 1 }`: the resources that a stage takes while it runs.

use bytesize::ByteSize;

use super::{
    Value,
    table::{Entry, entries},
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Names, Span},
    pipeline::document,
};

/// The resources that a stage takes while it runs. They change no result, so they are in no key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Threads; by default those of a job.
    pub threads: Option<usize>,
    /// Bytes of memory.
    pub memory: u64,
    /// GPUs, if the run has any.
    pub gpus: usize,
}

/// Reads `needs`.
pub(crate) fn read(key: &Span, value: Value<'_>, diagnostics: &mut Diagnostics) -> Resources {
    let mut resources = Resources::default();
    for Entry { key, value } in entries(key, value, diagnostics) {
        let whole = || document::whole(value.get_ref()).and_then(|whole| usize::try_from(whole).ok());
        let size = || value.get_ref().as_str().and_then(|text| text.parse::<ByteSize>().ok());
        let expected = match key.get_ref().as_str() {
            "threads" => {
                resources.threads = whole().filter(|n| *n > 0);
                resources.threads.is_none().then_some("a whole number, at least 1")
            }
            "memory" => {
                resources.memory = size().map_or(0, |size| size.as_u64());
                size().is_none().then_some("a size like \"2GiB\"")
            }
            "gpu" => {
                resources.gpus = whole().unwrap_or_default();
                whole().is_none().then_some("a whole number")
            }
            other => {
                let names = Names::new(["threads", "memory", "gpu"]);
                let names = names.otherwise("a stage can need `threads`, `memory` and `gpu`");
                diagnostics.unknown(key.span(), format!("`needs` has no key `{other}`"), other, &names);
                None
            }
        };
        if let Some(expected) = expected {
            let message = format!("`needs.{}` must be {expected}", key.get_ref());
            diagnostics.add(Diagnostic::new(value.span(), message));
        }
    }
    resources
}
