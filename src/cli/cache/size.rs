//! `strata cache size`: how much the cache holds.

use serde::Serialize;

use super::Shown;
use crate::{
    amount::bytes,
    cli::{Console, Failure, args::Format},
    results::{Align, Grid},
};

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

/// Prints how much the cache holds.
pub(super) fn size(shown: &Shown, console: &Console) -> Result<(), Failure> {
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
