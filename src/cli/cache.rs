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
    store::Manifest,
};

/// Look into the cache, and keep it in order
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List the finished work, the latest last
    Ls(Shown),
    /// Say how much it holds
    Size(Shown),
    /// Make room: what costs least to make again goes first, and is made again when it is needed
    Gc(upkeep::Gc),
    /// Hash every object anew, and say what is corrupt or missing
    Verify(upkeep::Verify),
    /// Keep results, whatever `gc` is asked for
    Pin(upkeep::Chosen),
    /// Let `gc` have results again
    Unpin(upkeep::Chosen),
    /// Forget finished work, with the objects that no other work shares
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

#[derive(Serialize)]
struct Entry<'a> {
    key: &'a StageKey,
    kind: &'a str,
    instance: &'a str,
    finished: &'a str,
    seconds: f64,
    bytes: u64,
}

#[derive(Serialize)]
struct Size {
    path: String,
    objects: usize,
    manifests: usize,
    bytes: u64,
}

impl Args {
    /// Does what is asked for.
    pub fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        match &self.verb {
            Verb::Ls(shown) => list(shown, console)?,
            Verb::Size(shown) => size(shown, console)?,
            Verb::Gc(args) => args.execute(console)?,
            Verb::Verify(args) => return args.execute(registry, console),
            Verb::Pin(args) => args.pin(console)?,
            Verb::Unpin(args) => args.unpin(console)?,
            Verb::Rm(args) => args.remove(console)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(shown: &Shown, console: &Console) -> Result<(), Failure> {
    let mut manifests = shown.cache.open_here().manifests()?;
    manifests.sort_by(|(_, a), (_, b)| a.provenance.finished.cmp(&b.provenance.finished));
    let entries: Vec<Entry<'_>> = manifests.iter().map(|(key, manifest)| entry(key, manifest)).collect();
    if shown.output == Format::Json {
        return console.json(&entries);
    }
    let people = shown.output != Format::Csv;
    let columns = ["key", "kind", "instance", "finished"].map(|header| (header, Align::Left));
    let mut grid = Grid::new(columns.into_iter().chain([("seconds", Align::Right), ("bytes", Align::Right)]));
    for one in &entries {
        let finished = one.finished.split('.').next().unwrap_or_default().replace('T', " ");
        grid.push(vec![
            if people { one.key.short() } else { one.key.hex() },
            one.kind.to_owned(),
            one.instance.to_owned(),
            if people { finished } else { one.finished.to_owned() },
            if people { duration(one.seconds) } else { one.seconds.to_string() },
            if people { bytes(one.bytes) } else { one.bytes.to_string() },
        ]);
    }
    match shown.output {
        format @ (Format::Csv | Format::Markdown | Format::Latex) => console.grid(&grid, format),
        _ if grid.is_empty() => {
            console.note("the cache is empty");
            Ok(())
        }
        _ => console.print(&grid.text(&console.results)),
    }
}

fn entry<'a>(key: &'a StageKey, manifest: &'a Manifest) -> Entry<'a> {
    Entry {
        key,
        kind: &manifest.recipe.kind,
        instance: &manifest.provenance.instance,
        finished: &manifest.provenance.finished,
        seconds: manifest.seconds,
        bytes: manifest.outputs.values().map(|output| output.bytes).sum(),
    }
}

fn size(shown: &Shown, console: &Console) -> Result<(), Failure> {
    let store = shown.cache.open_here();
    let objects = store.objects()?;
    let size = Size {
        path: store.root().display().to_string(),
        objects: objects.len(),
        manifests: store.manifests()?.len(),
        bytes: objects.iter().map(|(_, bytes)| bytes).sum(),
    };
    let mut grid = Grid::new([("objects", Align::Right), ("manifests", Align::Right), ("bytes", Align::Right)]);
    grid.push(vec![size.objects.to_string(), size.manifests.to_string(), size.bytes.to_string()]);
    match shown.output {
        Format::Json => console.json(&size),
        format @ (Format::Csv | Format::Markdown | Format::Latex) => console.grid(&grid, format),
        Format::Text => console.print(&format!(
            "{} in {} objects, {} manifests: {}\n",
            bytes(size.bytes),
            size.objects,
            size.manifests,
            size.path
        )),
    }
}
