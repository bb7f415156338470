//! `strata cache`: what is in the cache, and its upkeep.

use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;

use super::{
    Console, Failure,
    args::{CacheArgs, Format},
    upkeep,
};
use crate::{
    digest::StageKey,
    report::{Align, Grid, bytes, duration},
    stage::Registry,
    store::{Manifest, SavedState, Store},
};

/// Look into the cache, and keep it in order
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List the finished work, or the saved states, the latest last
    Ls(List),
    /// Say how much it holds
    Size(Shown),
    /// Clear what killed processes left, and make room: what costs least to make again goes first
    Gc(upkeep::Gc),
    /// Hash every object anew, and say what is corrupt or missing
    Verify(upkeep::Verify),
    /// Keep results and saved states, whatever `gc` is asked for
    Pin(upkeep::Chosen),
    /// Let `gc` have them again
    Unpin(upkeep::Chosen),
    /// Forget finished work, with the objects that no other work shares, or saved states
    Rm(upkeep::Chosen),
}

#[derive(clap::Args)]
struct Shown {
    #[command(flatten)]
    cache: CacheArgs,
    /// The form of the answer
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(clap::Args)]
struct List {
    #[command(flatten)]
    shown: Shown,
    /// List the saved states of trainings in place of finished work
    #[arg(long)]
    states: bool,
}

#[derive(Serialize)]
struct Entry<'a> {
    key: &'a StageKey,
    kind: &'a str,
    instance: &'a str,
    finished: &'a str,
    seconds: f64,
    /// Bytes of outputs that are there.
    bytes: u64,
    /// Bytes of outputs that were evicted.
    evicted: u64,
}

#[derive(Serialize)]
struct State<'a> {
    key: &'a StageKey,
    instance: Option<&'a str>,
    epoch: u64,
    step: u64,
    seconds: f64,
    bytes: u64,
}

impl<'a> State<'a> {
    fn of(state: &'a SavedState) -> Self {
        let SavedState { trajectory: key, at, seconds, bytes, instance, .. } = state;
        let (instance, seconds, bytes) = (instance.as_deref(), *seconds, *bytes);
        State { key, instance, epoch: at.epoch, step: at.step, seconds, bytes }
    }
}

#[derive(Serialize)]
struct Size {
    path: String,
    objects: usize,
    manifests: usize,
    /// Bytes of the objects.
    bytes: u64,
    states: usize,
    state_bytes: u64,
    /// Bytes of everything, as `gc` counts them.
    total: u64,
}

impl Args {
    /// Does what is asked for.
    pub fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        match &self.verb {
            Verb::Ls(List { shown, states: false }) => list(shown, console)?,
            Verb::Ls(List { shown, states: true }) => states(shown, console)?,
            Verb::Size(shown) => size(shown, console)?,
            Verb::Gc(args) => args.execute(registry, console)?,
            Verb::Verify(args) => return args.execute(registry, console),
            Verb::Pin(args) => args.pin(console)?,
            Verb::Unpin(args) => args.unpin(console)?,
            Verb::Rm(args) => args.remove(console)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(shown: &Shown, console: &Console) -> Result<(), Failure> {
    let store = shown.cache.open_here()?;
    let mut manifests = store.manifests()?;
    manifests.sort_by(|(_, a), (_, b)| a.provenance.finished.cmp(&b.provenance.finished));
    let entries: Vec<Entry<'_>> =
        manifests.iter().map(|(key, manifest)| entry(&store, key, manifest)).collect::<Result<_, Failure>>()?;
    if shown.output == Format::Json {
        return console.json(&entries);
    }
    let people = shown.output != Format::Csv;
    let columns = ["key", "kind", "instance", "finished"].map(|header| (header, Align::Left));
    let numbers = ["seconds", "bytes"].into_iter().chain((!people).then_some("evicted"));
    let mut grid = Grid::new(columns.into_iter().chain(numbers.map(|header| (header, Align::Right))));
    for one in &entries {
        let finished = one.finished.split('.').next().unwrap_or_default().replace('T', " ");
        let size = match (one.bytes, one.evicted) {
            (there, 0) => bytes(there),
            (0, _) => "evicted".to_owned(),
            (there, gone) => format!("{}, {} evicted", bytes(there), bytes(gone)),
        };
        let mut row = vec![
            if people { one.key.short() } else { one.key.hex() },
            one.kind.to_owned(),
            one.instance.to_owned(),
            if people { finished } else { one.finished.to_owned() },
            if people { duration(one.seconds) } else { one.seconds.to_string() },
            if people { size } else { one.bytes.to_string() },
        ];
        row.extend((!people).then(|| one.evicted.to_string()));
        grid.push(row);
    }
    show(&grid, shown.output, "no finished work is in the cache", console)
}

fn states(shown: &Shown, console: &Console) -> Result<(), Failure> {
    let states = shown.cache.open_here()?.saved_states()?;
    let entries: Vec<State<'_>> = states.iter().map(State::of).collect();
    if shown.output == Format::Json {
        return console.json(&entries);
    }
    let people = shown.output != Format::Csv;
    let columns = ["key", "instance"].map(|header| (header, Align::Left));
    let numbers = ["epoch", "step", "seconds", "bytes"].map(|header| (header, Align::Right));
    let mut grid = Grid::new(columns.into_iter().chain(numbers));
    for one in &entries {
        grid.push(vec![
            if people { one.key.short() } else { one.key.hex() },
            one.instance.unwrap_or_default().to_owned(),
            one.epoch.to_string(),
            one.step.to_string(),
            if people { duration(one.seconds) } else { one.seconds.to_string() },
            if people { bytes(one.bytes) } else { one.bytes.to_string() },
        ]);
    }
    show(&grid, shown.output, "no saved state is in the cache", console)
}

fn show(grid: &Grid, format: Format, none: &str, console: &Console) -> Result<(), Failure> {
    if format == Format::Text && grid.is_empty() {
        console.note(none);
        return Ok(());
    }
    console.grid(grid, format)
}

fn entry<'a>(store: &Store, key: &'a StageKey, manifest: &'a Manifest) -> Result<Entry<'a>, Failure> {
    let (mut there, mut evicted) = (0, 0);
    for output in manifest.outputs.values() {
        *(if store.has(&output.hash)? { &mut there } else { &mut evicted }) += output.bytes;
    }
    Ok(Entry {
        key,
        kind: &manifest.recipe.kind,
        instance: &manifest.provenance.instance,
        finished: &manifest.provenance.finished,
        seconds: manifest.seconds,
        bytes: there,
        evicted,
    })
}

fn size(shown: &Shown, console: &Console) -> Result<(), Failure> {
    let store = shown.cache.open_here()?;
    let (objects, states) = (store.objects()?, store.saved_states()?);
    let size = Size {
        path: store.place(),
        objects: objects.len(),
        manifests: store.manifests()?.len(),
        bytes: objects.iter().map(|(_, bytes)| bytes).sum(),
        states: states.len(),
        state_bytes: states.iter().map(|state| state.bytes).sum(),
        total: store.bytes()?,
    };
    let columns = ["objects", "manifests", "bytes", "states", "state_bytes", "total"];
    let mut grid = Grid::new(columns.map(|header| (header, Align::Right)));
    let counts =
        [size.objects as u64, size.manifests as u64, size.bytes, size.states as u64, size.state_bytes, size.total];
    grid.push(counts.map(|count| count.to_string()).to_vec());
    match shown.output {
        Format::Json => console.json(&size),
        format @ (Format::Csv | Format::Markdown | Format::Latex) => console.grid(&grid, format),
        Format::Text => console.print(&format!(
            "{} in {} objects, {} in {} saved states, {} manifests; {} in all: {}\n",
            bytes(size.bytes),
            size.objects,
            bytes(size.state_bytes),
            size.states,
            size.manifests,
            bytes(size.total),
            size.path
        )),
    }
}
