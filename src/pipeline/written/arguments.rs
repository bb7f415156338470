//! The arguments of the command line that change a pipeline.

use toml::Spanned;

use super::overrides::{self, Override};
use crate::diagnostic::Diagnostics;

/// What the command line asks for.
#[derive(Default)]
pub(crate) struct Arguments<'t> {
    /// `--sweep NAME`.
    pub sweep: Option<Spanned<String>>,
    /// `--variant NAME,NAME`.
    pub variants: Option<Spanned<String>>,
    /// `--seeds N`.
    pub seeds: Option<Spanned<String>>,
    /// Every `-S`, in order.
    pub overrides: Vec<Override<'t>>,
}

/// Reads the arguments, each with the offset where it starts.
pub(crate) fn read<'t>(texts: impl Iterator<Item = (usize, &'t str)>, diagnostics: &mut Diagnostics) -> Arguments<'t> {
    let mut arguments = Arguments::default();
    for (start, argument) in texts {
        let option = |name: &str| {
            let value = argument.strip_prefix(name)?;
            Some(Spanned::new(start + name.len()..start + argument.len(), value.to_owned()))
        };
        if let Some(name) = option("--sweep=") {
            arguments.sweep = Some(name);
        } else if let Some(names) = option("--variant=") {
            arguments.variants = Some(names);
        } else if let Some(count) = option("--seeds=") {
            arguments.seeds = Some(count);
        } else {
            arguments.overrides.extend(diagnostics.take(overrides::parse(argument, start)));
        }
    }
    arguments
}
