//! `strata cache`: one file for each of its verbs (`pin` has `unpin` and `rm` too).

mod gc;
mod ls;
mod pin;
mod size;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;

use super::{
    Console, Failure,
    args::{CacheArgs, Format},
};
use crate::{results::Grid, stage::Registry};

/// Inspect the cache, and keep it in order
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List the finished work or the saved states, latest last
    Ls(ls::List),
    /// Show how much the cache holds
    Size(Shown),
    /// Delete leftovers of killed processes, and make room: what is cheapest to make again goes first
    Gc(gc::Gc),
    /// Hash every object again, and show what is corrupt or missing
    Verify(verify::Verify),
    /// Protect results and saved states from `gc`
    Pin(pin::Chosen),
    /// Let `gc` delete them again
    Unpin(pin::Chosen),
    /// Delete finished work, with the objects that no other work shares, or saved states
    Rm(pin::Chosen),
}

#[derive(clap::Args)]
struct Shown {
    #[command(flatten)]
    cache: CacheArgs,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

impl Args {
    /// Runs the verb.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        match &self.verb {
            Verb::Ls(args) => args.execute(console)?,
            Verb::Size(shown) => size::size(shown, console)?,
            Verb::Gc(args) => args.execute(registry, console)?,
            Verb::Verify(args) => return args.execute(registry, console),
            Verb::Pin(args) => args.pin(console)?,
            Verb::Unpin(args) => args.unpin(console)?,
            Verb::Rm(args) => args.remove(console)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(grid: &Grid, format: Format, none: &str, console: &Console) -> Result<(), Failure> {
    if format == Format::Text && grid.is_empty() {
        console.note(none);
        return Ok(());
    }
    console.grid(grid, format)
}
