//! `needs = { threads = 1, memory = "2GiB", gpu = 1 }`: what of the machine a stage takes while it runs.

use bytesize::ByteSize;
use toml::{Spanned, de::DeValue};

use super::{document, parse::Reader};
use crate::diagnostic::{Diagnostic, Span, suggest};

/// What of the machine a stage takes while it runs. It changes no result, so it is in no key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Threads; by default what a job has.
    pub threads: Option<usize>,
    /// Bytes of memory.
    pub memory: u64,
    /// GPUs, where the run has any.
    pub gpus: usize,
}

const KEYS: [&str; 3] = ["threads", "memory", "gpu"];

impl<'t> Reader<'_, 't> {
    pub(in crate::pipeline) fn needs(&mut self, key: &Span, value: Spanned<DeValue<'t>>) -> Needs {
        let mut needs = Needs::default();
        for (key, value) in self.table(key, value) {
            let whole = || document::whole(value.get_ref()).and_then(|whole| usize::try_from(whole).ok());
            let size = || value.get_ref().as_str().and_then(|text| text.parse::<ByteSize>().ok());
            let wrong = match key.get_ref().as_ref() {
                "threads" => {
                    needs.threads = whole().filter(|n| *n > 0);
                    needs.threads.is_none().then_some("a whole number, at least 1")
                }
                "memory" => {
                    needs.memory = size().map_or(0, |size| size.as_u64());
                    size().is_none().then_some("a size like \"2GiB\"")
                }
                "gpu" => {
                    needs.gpus = whole().unwrap_or_default();
                    whole().is_none().then_some("a whole number")
                }
                other => {
                    let help = match suggest(other, KEYS) {
                        Some(like) => format!("did you mean `{like}`?"),
                        None => "a stage can need `threads`, `memory` and `gpu`".to_owned(),
                    };
                    let message = format!("`needs` has no key `{other}`");
                    self.found.push(Diagnostic::new(key.span(), message).help(help));
                    None
                }
            };
            if let Some(form) = wrong {
                let message = format!("`needs.{}` must be {form}", key.get_ref());
                self.found.push(Diagnostic::new(value.span(), message));
            }
        }
        needs
    }
}
