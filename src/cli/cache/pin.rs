//! `strata cache pin`, `unpin` and `rm`: work that is kept or deleted by name.

use crate::{
    cli::{Console, Failure, args::CacheArgs},
    digest::StageKey,
    report::one_line,
    store::{Manifest, SavedState, Store},
};

/// Finished work, or saved states
#[derive(clap::Args)]
pub(super) struct Chosen {
    #[command(flatten)]
    cache: CacheArgs,
    /// Keys, beginnings of keys, or instances, as shown by `cache ls` and `cache ls --states`
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
}

/// What a key or name on the command line refers to.
enum Found<'a> {
    /// Finished work.
    Work(&'a StageKey, &'a Manifest),
    /// The saved states of a trajectory that has no finished work.
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
    /// Protects the results from `gc`.
    pub(super) fn pin(&self, console: &Console) -> Result<(), Failure> {
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

    /// Lets `gc` delete the results again.
    pub(super) fn unpin(&self, console: &Console) -> Result<(), Failure> {
        self.each(console, "unpinned", |store, found| Ok(store.unpin(found.key())?))
    }

    /// Deletes the work, with the objects that no other work shares.
    pub(super) fn remove(&self, console: &Console) -> Result<(), Failure> {
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
                    store.clear_states(&state.trajectory)?;
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

/// Finds the one piece of finished work with this key, beginning of a key, or instance, or else the saved states.
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
