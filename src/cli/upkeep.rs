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
    engine::{Recomputed, recompute, trajectory},
    report::{bytes, duration, one_line},
    stage::Registry,
    store::{Manifest, SavedState, Store},
};

/// Make room
#[derive(clap::Args)]
pub struct Gc {
    #[command(flatten)]
    cache: CacheArgs,
    /// What may remain (`20GB`, `500MiB`): beyond it, what costs least to make again goes first
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

/// Finished work, or saved states
#[derive(clap::Args)]
pub struct Chosen {
    #[command(flatten)]
    cache: CacheArgs,
    /// Keys (or their beginnings) or instances, as `cache ls` and `cache ls --states` show them
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
}

impl Gc {
    /// Chooses, says, and deletes.
    pub fn execute(&self, registry: &Registry, console: &Console) -> Result<(), Failure> {
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

impl Verify {
    /// Looks, and says what is wrong. The exit code is 1 if anything is.
    pub fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
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

/// What a key or name on the command line refers to.
enum Found<'a> {
    /// Finished work.
    Work(&'a StageKey, &'a Manifest),
    /// The saved states of one trajectory without finished work of that name.
    States(&'a SavedState),
}

impl Found<'_> {
    fn key(&self) -> &StageKey {
        match self {
            Self::Work(key, _) => key,
            Self::States(state) => &state.trajectory,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Work(_, manifest) => one_line(&manifest.provenance.instance).into_owned(),
            Self::States(state) => {
                let whose = state.instance.as_deref().unwrap_or("unknown work");
                format!("the saved states of {}", one_line(whose))
            }
        }
    }
}

impl Chosen {
    /// Keeps the results, whatever `gc` is asked for.
    pub fn pin(&self, console: &Console) -> Result<(), Failure> {
        self.each(console, "pinned", |store, found| {
            store.pin(found.key())?;
            if let Found::Work(_, manifest) = found
                && !store.has_all(manifest)?
            {
                let name = found.name();
                let again =
                    "it is made again when something needs it, or by `strata run --force`, and stays from then on";
                console.note(&format!("{name} was evicted, so there is nothing to keep yet: {again}"));
            }
            Ok(true)
        })
    }

    /// Lets `gc` have the results again.
    pub fn unpin(&self, console: &Console) -> Result<(), Failure> {
        self.each(console, "unpinned", |store, found| Ok(store.unpin(found.key())?))
    }

    /// Forgets the work, with the objects that no other work shares.
    pub fn remove(&self, console: &Console) -> Result<(), Failure> {
        self.each(console, "removed", |store, found| {
            let short = found.key().short();
            if store.pins()?.contains(found.key()) {
                return Err(Failure::Failed(format!("{short} is pinned; `strata cache unpin {short}` first")));
            }
            match found {
                Found::Work(key, _) => store.forget(key)?,
                Found::States(state) => {
                    if let Some(holder) = store.holder(&state.trajectory)? {
                        return Err(Failure::Failed(format!("{} is at work on {}", holder, found.name())));
                    }
                    store.checkpoints(&state.trajectory).clear()?;
                }
            }
            Ok(true)
        })
    }

    fn each(
        &self,
        console: &Console,
        word: &str,
        act: impl Fn(&Store, &Found<'_>) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let store = self.cache.open_here()?;
        let (manifests, mut states) = (store.manifests()?, store.saved_states()?);
        states.dedup_by_key(|state| state.trajectory);
        let found = self.keys.iter().map(|name| find(&manifests, &states, name));
        for found in found.collect::<Result<Vec<_>, _>>()? {
            if act(&store, &found)? {
                console.print(&format!("{word}  {} {}\n", found.key().short(), found.name()))?;
            }
        }
        Ok(())
    }
}

/// The one finished work that a key, the beginning of one, or an instance names, else the saved states.
fn find<'a>(all: &'a [(StageKey, Manifest)], states: &'a [SavedState], name: &str) -> Result<Found<'a>, Failure> {
    let by_name = |instance: &str| {
        // Tables show names with invisible characters escaped.
        let short = instance.split_once('/').map_or(instance, |(_, short)| short);
        [instance, short].into_iter().any(|own| own == name || one_line(own) == name)
    };
    let work = all.iter().filter(|(key, made)| key.hex().starts_with(name) || by_name(&made.provenance.instance));
    let mut found: Vec<Found<'_>> = work.map(|(key, manifest)| Found::Work(key, manifest)).collect();
    if found.is_empty() {
        let is_it = |state: &&SavedState| {
            state.trajectory.hex().starts_with(name) || state.instance.as_deref().is_some_and(by_name)
        };
        found.extend(states.iter().filter(is_it).map(Found::States));
    }
    if found.len() > 1 {
        let keys: Vec<String> = found.iter().map(|one| one.key().short()).collect();
        return Err(Failure::Usage(format!("`{name}` names several: {}", keys.join(", "))));
    }
    let none = || format!("no finished work and no saved state is called `{name}`; `strata cache ls` lists them");
    found.pop().ok_or_else(|| Failure::Usage(none()))
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>().ok();
    let share = number.filter(|number| *number > 0.0 && *number <= 100.0).map(|number| number / 100.0);
    share.ok_or_else(|| "must be a percentage above 0 and at most 100, such as `5%`".to_owned())
}
