//! `strata cache gc`: delete leftovers of killed processes, and make room.

use std::time::Duration;

use bytesize::ByteSize;

use crate::{
    amount::{bytes, duration},
    cli::{
        Console, Failure,
        args::{CacheArgs, size, time},
    },
    report::one_line,
    run::trajectory,
    stage::Registry,
    store::Store,
};

/// Make room
#[derive(clap::Args)]
pub(super) struct Gc {
    #[command(flatten)]
    cache: CacheArgs,
    /// The size to keep within (`20GB`, `500MiB`); what is cheapest to make again goes first
    #[arg(long, value_name = "SIZE", env = "STRATA_CACHE_MAX_SIZE", default_value = "20GB", value_parser = size)]
    max_size: ByteSize,
    /// Also delete the records of runs that began longer ago than this (`30d`); results stay
    #[arg(long, value_name = "TIME", value_parser = time)]
    runs_older_than: Option<Duration>,
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
        if let Some(age) = self.runs_older_than {
            self.forget_runs(&store, age, console)?;
        }
        if chosen.over > 0 {
            let over = bytes(chosen.over);
            console.note(&format!("{over} above the limit must stay: it is pinned, in use, or a record"));
        }
        Ok(())
    }

    /// Deletes the records of old runs that are not under way.
    fn forget_runs(&self, store: &Store, age: Duration, console: &Console) -> Result<(), Failure> {
        let old = store.old_runs(age)?;
        for (id, size) in &old {
            console.print(&format!("{:>10}  {:>12}  the record of run {id}\n", bytes(*size), ""))?;
            if !self.dry_run {
                store.forget_run(id)?;
            }
        }
        let (word, count) = (if self.dry_run { "would delete" } else { "deleted" }, old.len());
        let noun = if count == 1 { "the record of 1 run".to_owned() } else { format!("the records of {count} runs") };
        console.print(&format!("{word} {noun}\n"))
    }
}
