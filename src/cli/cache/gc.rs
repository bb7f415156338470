//! `strata cache gc`: delete leftovers of killed processes, and make room.

use bytesize::ByteSize;

use crate::{
    amount::{bytes, duration},
    cli::{
        Console, Failure,
        args::{CacheArgs, size},
    },
    report::one_line,
    run::trajectory,
    stage::Registry,
};

/// Make room
#[derive(clap::Args)]
pub(super) struct Gc {
    #[command(flatten)]
    cache: CacheArgs,
    /// The size to keep within (`20GB`, `500MiB`); what is cheapest to make again goes first
    #[arg(long, value_name = "SIZE", env = "STRATA_CACHE_MAX_SIZE", default_value = "20GB", value_parser = size)]
    max_size: ByteSize,
    /// Show what would go, and delete nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Gc {
    /// Chooses what goes, prints it, and deletes it.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<(), Failure> {
        let store = self.cache.open_here()?;
        let chosen = store.plan_gc(self.max_size.as_u64(), &|manifest| trajectory(registry, manifest))?;
        for victim in &chosen.victims {
            let cost = if victim.seconds > 0.0 { duration(victim.seconds) } else { String::new() };
            console.print(&format!("{:>10}  {:>12}  {}\n", bytes(victim.bytes), cost, one_line(&victim.what)))?;
        }
        if !self.dry_run {
            store.collect(&chosen)?;
        }
        let word = if self.dry_run { "would free" } else { "freed" };
        let remake = if chosen.seconds > 0.0 { duration(chosen.seconds) } else { "nothing".to_owned() };
        let (freed, before) = (bytes(chosen.freed()), bytes(chosen.before));
        console.print(&format!("{word} {freed} of {before}; {remake} to make it all again\n"))?;
        if chosen.over > 0 {
            let over = bytes(chosen.over);
            console.note(&format!("{over} above the limit must stay: it is pinned, in use, or a record"));
        }
        Ok(())
    }
}
