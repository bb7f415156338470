//! `strata cache verify`: hash every object again, and run some work again if asked to.

use std::process::ExitCode;

use crate::{
    amount::bytes,
    cli::{Console, Failure, args::CacheArgs, failure},
    run::{Recomputed, recompute},
    stage::Registry,
    store::Store,
};

/// Check everything
#[derive(clap::Args)]
pub(super) struct Verify {
    #[command(flatten)]
    cache: CacheArgs,
    /// Delete corrupt objects, so that the next run makes them again
    #[arg(long)]
    repair: bool,
    /// Also run this share of the finished work again, and compare the bytes
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    recompute: Option<f64>,
}

impl Verify {
    /// Checks the cache and prints what is wrong. The exit code is 1 if anything is.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let store = self.cache.open_here()?;
        let found = store.verify(self.repair)?;
        for (place, message) in &found.corrupt {
            let done = if self.repair { "; deleted" } else { "" };
            console.print(&format!("corrupt  {place}: {message}{done}\n"))?;
        }
        for (key, port) in &found.missing {
            console.print(&format!("missing  {}: the object of `{port}`\n", key.short()))?;
        }
        let mut clean = found.is_clean();
        console.print(&format!("{} objects are sound, {}\n", found.sound, bytes(found.bytes)))?;
        if let Some(share) = self.recompute {
            clean &= again(share, registry, &store, console)?;
        }
        if !clean && !self.repair {
            console.note("`--repair` deletes corrupt objects; the next run that needs them makes them again");
        }
        Ok(ExitCode::from(if clean { 0 } else { failure::FAILED }))
    }
}

/// Runs a share of the finished work again, spread evenly over the keys. Returns whether all of it gave the same bytes.
fn again(share: f64, registry: &Registry, store: &Store, console: &Console) -> Result<bool, Failure> {
    let all = store.manifests()?;
    let count = ((all.len() as f64 * share).ceil() as usize).min(all.len());
    let (mut equal, mut clean) = (0, true);
    for at in 0..count {
        let (key, manifest) = &all[at * all.len() / count];
        let name = &manifest.provenance.instance;
        match recompute(registry, store, manifest) {
            Recomputed::Equal => equal += 1,
            Recomputed::Differs(ports) => {
                clean = false;
                console.print(&format!("differs  {} {name}: {}\n", key.short(), ports.join(", ")))?;
            }
            Recomputed::Impossible(why) => console.print(&format!("skipped  {} {name}: {why}\n", key.short()))?,
        }
    }
    console.print(&format!("{equal} of {count} pieces of work ran again to the same bytes\n"))?;
    Ok(clean)
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>().ok();
    let share = number.filter(|number| *number > 0.0 && *number <= 100.0).map(|number| number / 100.0);
    share.ok_or_else(|| "must be a percentage above 0 and at most 100, such as `5%`".to_owned())
}
