//! Runs finished work again and compares the bytes. Differences show missing determinism, or damage that hashes cannot
//! show.

use std::{path::Path, sync::atomic::AtomicBool};

use candle_core::Device;
use serde_json::Value;

use super::worker::load;
use crate::{
    digest::StageKey,
    stage::{Context, DeviceId, Registry, instructions},
    store::{Artifact, Manifest, Store},
    threads,
};

/// The result of running finished work again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recomputed {
    /// Every output has the same bytes.
    Equal,
    /// These ports have other bytes.
    Differs(Vec<String>),
    /// The work cannot be run again from the cache alone, for this reason.
    Impossible(String),
}

/// Runs the work of a manifest again, inside the current rayon pool or the shared one, and compares the outputs. Writes
/// nothing.
#[must_use]
pub fn recompute(registry: &Registry, store: &Store, manifest: &Manifest) -> Recomputed {
    match threads::shared(|| again(registry, store, manifest)) {
        Ok(differing) if differing.is_empty() => Recomputed::Equal,
        Ok(differing) => Recomputed::Differs(differing),
        Err(message) => Recomputed::Impossible(message),
    }
}

/// Returns the trajectory of a manifest's work, or `None` if its kind saves no states.
#[must_use]
pub fn trajectory(registry: &Registry, manifest: &Manifest) -> Option<StageKey> {
    let recipe = &manifest.recipe;
    if let Some(program) = &recipe.program {
        return program.get("extend").and_then(Value::as_str).map(|extend| recipe.trajectory(&[extend]));
    }
    let kind = registry.get(&recipe.kind).filter(|kind| kind.version == recipe.version)?;
    let extent = kind.restore(&recipe.params).ok()?.extent()?;
    Some(recipe.trajectory(&extent.free))
}

/// Opens the device that a manifest names. Other devices and instruction sets change the last digits, which is not
/// damage, so results are compared only where both are the same.
fn device_of(manifest: &Manifest) -> Result<Device, String> {
    let made = &manifest.provenance;
    let here = instructions();
    if let Some(then) = made.instructions.as_deref().filter(|then| *then != here) {
        return Err(format!("made with the instructions {then}, and this processor has {here}: not compared"));
    }
    let id: DeviceId = made.device.parse().map_err(|_| format!("made on {}, not compared", made.device))?;
    id.open().map_err(|error| format!("made on {id}, not compared: {error}"))
}

fn again(registry: &Registry, store: &Store, manifest: &Manifest) -> Result<Vec<String>, String> {
    let recipe = &manifest.recipe;
    if recipe.program.is_some() {
        return Err("made by a program of your own, which only its pipeline runs".to_owned());
    }
    let device = device_of(manifest)?;
    let kind = registry.get(&recipe.kind).ok_or_else(|| format!("there is no kind `{}`", recipe.kind))?;
    if kind.version != recipe.version {
        return Err(format!("kind `{}` has version {} now, not {}", kind.name, kind.version, recipe.version));
    }
    // Parts of a recipe that this version cannot read are missing from the key too.
    if store.manifest(&recipe.key()).ok().flatten().is_none() {
        return Err("its recipe is that of another version of strata".to_owned());
    }
    if !recipe.sources.is_empty() {
        return Err("it reads files outside the cache".to_owned());
    }
    let stage = kind.restore(&recipe.params).map_err(|error| error.to_string())?;
    let inputs = load(store, &recipe.inputs).map_err(|(port, error)| format!("input {port}: {error}"))?;
    let cancel = AtomicBool::new(false);
    let mut ignore = |_| {};
    let threads = rayon::current_num_threads();
    let mut cx = Context::new(device, threads, Path::new("."), &cancel, &mut ignore);
    let outputs = stage.run(&inputs, &mut cx).map_err(|error| error.to_string())?;
    let mut differing = Vec::new();
    for (port, old) in &manifest.outputs {
        let new = outputs.ports().get(port).map(Artifact::hash).transpose().map_err(|error| error.to_string())?;
        // The run loop saves the states of earlier epochs, and it is not involved here.
        if new != Some(old.hash) && !port.contains('@') {
            differing.push(port.clone());
        }
    }
    Ok(differing)
}
