//! `strata cache ls`: the finished work, or the saved states.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{Shown, show};
use crate::{
    amount::{bytes, duration, number},
    cli::{Console, Failure, args::Format},
    digest::StageKey,
    pipeline::plain,
    results::{Align, Grid, Lineage, differing},
    store::{Manifest, SavedState, Store, reals},
};

/// The most parameters or metrics of a work that people are shown.
const MOST_WORDS: usize = 6;

#[derive(clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    shown: Shown,
    /// List the saved states of trainings instead of finished work
    #[arg(long)]
    states: bool,
}

impl List {
    /// Prints the list.
    pub(super) fn execute(&self, console: &Console) -> Result<(), Failure> {
        if self.states { states(&self.shown, console) } else { list(&self.shown, console) }
    }
}

#[derive(Serialize)]
struct Entry<'a> {
    key: &'a StageKey,
    kind: &'a str,
    instance: &'a str,
    finished: &'a str,
    seconds: f64,
    /// Bytes of the outputs that are in the cache.
    bytes: u64,
    /// Bytes of the outputs that were evicted.
    evicted: u64,
    /// The parameters, of the stage and of its inputs, that tell it from others of its name.
    parameters: BTreeMap<String, Value>,
    #[serde(serialize_with = "reals::serialize")]
    metrics: &'a BTreeMap<String, f64>,
}

#[derive(Serialize)]
struct Work<'a> {
    work: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct States<'a> {
    states: Vec<State<'a>>,
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

fn list(shown: &Shown, console: &Console) -> Result<(), Failure> {
    let store = shown.cache.open_here()?;
    let mut manifests = store.manifests()?;
    manifests.sort_by(|(_, a), (_, b)| a.provenance.finished.cmp(&b.provenance.finished));
    let each = manifests.iter().zip(telling_apart(&manifests));
    let entries: Vec<Entry<'_>> =
        each.map(|((key, manifest), told)| entry(&store, key, manifest, told)).collect::<Result<_, Failure>>()?;
    if shown.output == Format::Json {
        return console.json(&Work { work: entries });
    }
    let people = shown.output != Format::Csv;
    let columns = ["key", "kind", "instance", "finished"].map(|header| (header, Align::Left));
    let numbers = ["seconds", "bytes"].into_iter().chain((!people).then_some("evicted"));
    let numbers = numbers.map(|header| (header, Align::Right));
    let told = ["parameters", "metrics"].map(|header| (header, Align::Left));
    let mut grid = Grid::new(columns.into_iter().chain(numbers).chain(told));
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
        let value = |value: f64| if people { number(value) } else { value.to_string() };
        row.push(words(one.parameters.iter().map(|(name, value)| (name, plain(value))), people));
        row.push(words(one.metrics.iter().map(|(name, number)| (name, value(*number))), people));
        grid.push(row);
    }
    show(&grid, shown.output, "no finished work is in the cache", console)
}

fn states(shown: &Shown, console: &Console) -> Result<(), Failure> {
    let states = shown.cache.open_here()?.saved_states()?;
    let entries: Vec<State<'_>> = states.iter().map(State::of).collect();
    if shown.output == Format::Json {
        return console.json(&States { states: entries });
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

/// `clusters.clusters=16, images.seed=2`; for people no more than a few.
fn words<'a>(all: impl Iterator<Item = (&'a String, String)>, people: bool) -> String {
    let mut words: Vec<String> = all.map(|(name, value)| format!("{name}={value}")).collect();
    if people && words.len() > MOST_WORDS {
        words.truncate(MOST_WORDS);
        words.push("…".to_owned());
    }
    words.join(", ")
}

/// Returns, for each piece of work, the parameters in which pieces of the same name differ.
fn telling_apart(manifests: &[(StageKey, Manifest)]) -> Vec<BTreeMap<String, Value>> {
    let lineage = Lineage::new(manifests, |_| None);
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, (_, manifest)) in manifests.iter().enumerate() {
        by_name.entry(&manifest.provenance.instance).or_default().push(at);
    }
    let mut found = vec![BTreeMap::new(); manifests.len()];
    for alike in by_name.into_values().filter(|alike| alike.len() > 1) {
        let all: Vec<_> = alike.iter().map(|&at| lineage.parameters(at, &|_| false)).collect();
        let names: BTreeSet<&str> = differing(&all.iter().collect::<Vec<_>>()).into_iter().collect();
        for (at, parameters) in alike.into_iter().zip(&all) {
            let told = parameters.iter().filter(|(name, _)| names.contains(name.as_str()));
            found[at] = told.map(|(name, value)| (name.clone(), value.clone())).collect();
        }
    }
    found
}

fn entry<'a>(
    store: &Store,
    key: &'a StageKey,
    manifest: &'a Manifest,
    parameters: BTreeMap<String, Value>,
) -> Result<Entry<'a>, Failure> {
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
        parameters,
        metrics: &manifest.metrics,
    })
}
