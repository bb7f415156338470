//! `strata cache gc|verify|pin|unpin|rm`: what stays and what goes.

use std::process::ExitCode;

use bytesize::ByteSize;

use super::{
    Console, Failure,
    args::{CacheArgs, size},
    failure,
};
use crate::{
    digest::StageKey,
    engine::{Recomputed, recompute},
    report::{bytes, duration},
    stage::Registry,
    store::{Manifest, Store},
};

/// Make room
#[derive(clap::Args)]
pub struct Gc {
    #[command(flatten)]
    cache: CacheArgs,
    /// What may remain (`20GB`, `500MiB`): what costs least to make again goes first
    #[arg(long, value_name = "SIZE", env = "STRATA_CACHE_MAX_SIZE", default_value = "20GB", value_parser = size)]
    max_size: ByteSize,
    /// Say what would go, and delete nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Check everything
#[derive(clap::Args)]
pub struct Verify {
    #[command(flatten)]
    cache: CacheArgs,
    /// Delete corrupt objects, so that the next run makes them again
    #[arg(long)]
    repair: bool,
    /// Also run this share of the finished work again and compare the bytes
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    recompute: Option<f64>,
}

/// Finished work
#[derive(clap::Args)]
pub struct Chosen {
    #[command(flatten)]
    cache: CacheArgs,
    /// Keys (or their beginnings) or instances, as `cache ls` shows them
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
}

impl Gc {
    /// Chooses, says, and deletes.
    pub fn execute(&self, console: &Console) -> Result<(), Failure> {
        let store = self.cache.open_here();
        let chosen = store.plan_gc(self.max_size.as_u64())?;
        for victim in &chosen.victims {
            let cost = if victim.seconds > 0.0 { duration(victim.seconds) } else { String::new() };
            console.print(&format!("{:>10}  {:>12}  {}\n", bytes(victim.bytes), cost, victim.what))?;
        }
        if !self.dry_run {
            store.collect(&chosen)?;
        }
        let word = if self.dry_run { "would free" } else { "freed" };
        let remake = duration(chosen.seconds());
        let (freed, before) = (bytes(chosen.freed()), bytes(chosen.before));
        console.print(&format!("{word} {freed} of {before}; {remake} to make it all again\n"))?;
        if chosen.over > 0 {
            let over = bytes(chosen.over);
            console.note(&format!("{over} above the limit must stay: it is pinned, in use, or not an object"));
        }
        Ok(())
    }
}

impl Verify {
    /// Looks, and says what is wrong. The exit code is 1 if anything is.
    pub fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let store = self.cache.open_here();
        let found = store.verify(self.repair)?;
        for (path, message) in &found.corrupt {
            let done = if self.repair { "; deleted" } else { "" };
            console.print(&format!("corrupt  {}: {message}{done}\n", path.display()))?;
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

/// Runs a share of the finished work again, spread evenly over the keys.
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

impl Chosen {
    /// Keeps the results, whatever `gc` is asked for.
    pub fn pin(&self, console: &Console) -> Result<(), Failure> {
        self.each(console, "pinned", |store, key| Ok(store.pin(key).map(|()| true)?))
    }

    /// Lets `gc` have the results again.
    pub fn unpin(&self, console: &Console) -> Result<(), Failure> {
        self.each(console, "unpinned", |store, key| Ok(store.unpin(key)?))
    }

    /// Forgets the work, with the objects that no other work shares.
    pub fn remove(&self, console: &Console) -> Result<(), Failure> {
        self.each(console, "removed", |store, key| {
            if store.pins()?.contains(key) {
                let message = format!("{} is pinned; `strata cache unpin {}` first", key.short(), key.short());
                return Err(Failure::Failed(message));
            }
            store.forget(key)?;
            Ok(true)
        })
    }

    fn each(
        &self,
        console: &Console,
        word: &str,
        act: impl Fn(&Store, &StageKey) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let store = self.cache.open_here();
        let manifests = store.manifests()?;
        for (key, manifest) in self.keys.iter().map(|name| find(&manifests, name)).collect::<Result<Vec<_>, _>>()? {
            if act(&store, key)? {
                console.print(&format!("{word}  {} {}\n", key.short(), manifest.provenance.instance))?;
            }
        }
        Ok(())
    }
}

/// The one finished work that a key, the beginning of one, or an instance names.
fn find<'a>(all: &'a [(StageKey, Manifest)], name: &str) -> Result<&'a (StageKey, Manifest), Failure> {
    let by_key = |(key, _): &&(StageKey, Manifest)| key.hex().starts_with(name);
    let by_instance = |(_, manifest): &&(StageKey, Manifest)| {
        let instance = &manifest.provenance.instance;
        instance == name || instance.split_once('/').is_some_and(|(_, short)| short == name)
    };
    let found: Vec<_> = all.iter().filter(|one| by_key(one) || by_instance(one)).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(Failure::Usage(format!("no finished work is called `{name}`; `strata cache ls` lists it"))),
        several => {
            let keys: Vec<String> = several.iter().map(|(key, _)| key.short()).collect();
            Err(Failure::Usage(format!("`{name}` names several: {}", keys.join(", "))))
        }
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>().ok();
    let share = number.filter(|number| *number > 0.0 && *number <= 100.0).map(|number| number / 100.0);
    share.ok_or_else(|| "must be a percentage above 0 and at most 100, such as `5%`".to_owned())
}
