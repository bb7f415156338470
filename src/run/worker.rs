//! Runs one job: loads its inputs, computes, checks its outputs and commits them.

use std::{
    any::Any,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use candle_core::Device;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::executor::{Failure, JobSpec};
use crate::{
    digest::{ArtifactHash, StageKey},
    plan::recipe::changed,
    stage::{
        Context, DeviceId, Inputs, Note, Outputs, Registry, Saving, StageError, StageKind, Workplace, instructions,
    },
    store::{Lent, Manifest, NotFinite, Provenance, Series, Store, StoreError},
};

/// The context in which a job runs.
pub(super) struct Place {
    pub store: Store,
    pub kinds: Registry,
    pub device: Device,
    pub cancel: Arc<AtomicBool>,
}

/// Runs a job and commits its outputs.
pub(super) fn execute(job: &JobSpec, place: &Place, tell: &mut dyn FnMut(Note)) -> Result<Manifest, Failure> {
    let Place { store, kinds, device, cancel } = place;
    let Some(kind) = kinds.get(&job.recipe.kind) else {
        return Err(Failure::Failed(format!("there is no kind `{}`", job.recipe.kind)));
    };
    let unreadable = |error| Failure::Failed(format!("parameters of kind `{}` cannot be read: {error}", kind.name));
    let stage = kind.restore(&job.params).map_err(unreadable)?;
    let scratch = stage.takes_files().then(|| store.scratch(&job.trajectory)).transpose().map_err(failed)?;
    let mut lent = BTreeMap::new();
    let inputs = match &scratch {
        Some(scratch) => {
            lent = lend(store, &job.recipe.inputs, scratch.path()).map_err(damage)?;
            Inputs::of_files(lent.iter().map(|(port, lent)| (port.clone(), lent.path.clone())).collect())
        }
        None => load(store, &job.recipe.inputs).map_err(damage)?,
    };
    let mut metrics = BTreeMap::new();
    let mut series: BTreeMap<String, Series> = BTreeMap::new();
    let (mut warnings, mut log) = (Vec::new(), None);
    let mut listener = |note: Note| {
        match &note {
            Note::Metric { name, value } => drop(metrics.insert(name.clone(), *value)),
            Note::Point { series: name, epoch, value } => {
                let points = series.entry(name.clone()).or_default();
                // Work that goes on may report an epoch again.
                let known = points.last().is_some_and(|(last, _)| last >= epoch);
                match known.then(|| points.iter().rposition(|(known, _)| known == epoch)).flatten() {
                    Some(at) => points[at].1 = *value,
                    None => points.push((*epoch, *value)),
                }
            }
            Note::Warning(message) if !warnings.contains(message) => warnings.push(message.clone()),
            _ => {}
        }
        if let Note::Log(bytes) = note {
            log = Some(bytes);
            return;
        }
        tell(note);
    };
    let extent = stage.extent();
    let states = store.checkpoints(&job.trajectory);
    let saving = extent.as_ref().map(|extent| Saving {
        checkpoints: states.clone().of(job.name.clone()),
        epochs: extent.epochs,
        keep: extent.keep.clone(),
        every: job.save_every,
    });
    let key = job.recipe.key();
    let (mark, place_of_log) = (mark(job, store), store.log_place(&key));
    let epochs = extent.as_ref().map_or(0, |extent| extent.epochs);
    let folder = match &scratch {
        Some(_) => store.work_folder(&job.trajectory, epochs, &job.name).map_err(failed)?,
        None => None,
    };
    let mut cx = Context::new(device.clone(), job.threads, &job.root, cancel, &mut listener).saving(saving);
    if let Some(scratch) = &scratch {
        cx = cx.at(Workplace {
            instance: &job.name,
            scratch: scratch.path(),
            folder: folder.as_ref(),
            mark: &mark,
            devices: &job.devices,
            log: &place_of_log,
        });
    }
    let run = catch_unwind(AssertUnwindSafe(|| stage.run(&inputs, &mut cx)));
    let seconds = cx.seconds();
    drop(cx);
    if let Some(log) = log {
        // A log that cannot be written must not cost the result.
        let _ = store.keep_log(&key, &log);
    }
    untouched(store, &job.recipe.inputs, &lent)?;
    if let Some(folder) = folder.as_ref().filter(|folder| !folder.is_used()) {
        let _ = folder.delete();
    }
    let outputs = match run {
        Ok(Ok(outputs)) => outputs,
        Ok(Err(StageError::Cancelled)) => return Err(Failure::Cancelled),
        Ok(Err(error)) => return Err(Failure::Failed(error.to_string())),
        Err(panic) => return Err(Failure::Failed(format!("its code panicked: {}", words(panic.as_ref())))),
    };
    drop(inputs);
    declared(kind, &outputs)?;
    finite(&outputs)?;
    // Checked before anything is written, since the key names the content that the files had when they were hashed.
    match changed(stage.as_ref(), &job.witnesses, &job.root) {
        Ok(None) => {}
        Ok(Some(file)) => return Err(Failure::Changed(file)),
        Err(error) => return Err(Failure::Failed(error.to_string())),
    }

    let artifacts = outputs.ports().iter().map(|(port, artifact)| Ok((port.clone(), store.write(artifact)?)));
    let files = outputs.files().iter().map(|(port, file)| Ok((port.clone(), store.write_file(file)?)));
    let outputs = artifacts.chain(files).collect::<Result<_, StoreError>>().map_err(failed)?;
    let provenance = Provenance {
        strata: env!("CARGO_PKG_VERSION").to_owned(),
        instance: job.name.clone(),
        finished: OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
        device: job.devices.first().unwrap_or(&DeviceId::Cpu).to_string(),
        instructions: Some(instructions().to_owned()),
        threads: job.threads,
        rows: job.rows,
    };
    let manifest = Manifest { recipe: job.recipe.clone(), outputs, metrics, series, warnings, seconds, provenance };
    store.commit(&manifest).map_err(failed)?;
    let extends = extent.as_ref().is_some_and(|extent| extent.extends);
    if extent.is_some() && !extends {
        // Nothing can continue from these states. If they cannot be deleted, that costs only space.
        let _ = states.clear();
    }
    if let Some(folder) = folder.filter(|_| !extends) {
        let _ = folder.delete();
    }
    Ok(manifest)
}

fn failed(error: StoreError) -> Failure {
    Failure::Failed(error.to_string())
}

/// Loads the artifacts at the input ports. An error names the port.
pub(super) fn load(store: &Store, inputs: &BTreeMap<String, ArtifactHash>) -> Result<Inputs, (String, StoreError)> {
    let read = |(port, hash): (&String, &ArtifactHash)| match store.read(hash) {
        Ok(artifact) => Ok((port.clone(), Arc::new(artifact))),
        Err(error) => Err((port.clone(), error)),
    };
    inputs.iter().map(read).collect()
}

/// Lends the objects at the input ports as files. An error names the port.
fn lend(
    store: &Store,
    inputs: &BTreeMap<String, ArtifactHash>,
    scratch: &Path,
) -> Result<BTreeMap<String, Lent>, (String, StoreError)> {
    let lend = |(port, hash): (&String, &ArtifactHash)| match store.lend(hash, scratch) {
        Ok(lent) => Ok((port.clone(), lent)),
        Err(error) => Err((port.clone(), error)),
    };
    inputs.iter().map(lend).collect()
}

/// Checks that a program did not write to its inputs. Those that it wrote to are deleted, so that they are made again.
fn untouched(
    store: &Store,
    inputs: &BTreeMap<String, ArtifactHash>,
    lent: &BTreeMap<String, Lent>,
) -> Result<(), Failure> {
    let touched: Vec<&String> = lent.iter().filter(|(_, lent)| !lent.is_intact()).map(|(port, _)| port).collect();
    if touched.is_empty() {
        return Ok(());
    }
    for hash in touched.iter().filter_map(|port| inputs.get(*port)) {
        store.discard(hash).map_err(failed)?;
    }
    let names = touched.iter().map(|port| format!("`{port}`")).collect::<Vec<_>>().join(", ");
    Err(Failure::Failed(format!(
        "the program changed its input {names}, so its outputs are not kept; the input is made again by the next run, and \
         the program must write only to its outputs"
    )))
}

/// Returns the text by which the processes of a job are recognised.
fn mark(job: &JobSpec, store: &Store) -> String {
    let place = store.root().map_or_else(
        || store.place(),
        |root| std::path::absolute(root).unwrap_or_else(|_| root.to_owned()).display().to_string(),
    );
    StageKey::of(format!("{place}\n{}", job.trajectory).as_bytes()).hex()
}

/// Classifies an error at an input port: a damaged or missing input can be made again, and any other error fails the
/// job.
fn damage((port, error): (String, StoreError)) -> Failure {
    match &error {
        StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {}
        StoreError::Corrupt { .. } => {}
        _ => return failed(error),
    }
    Failure::Damaged { port, message: error.to_string() }
}

/// Checks that the outputs are those that the kind declares. A missing one would be noticed much later otherwise.
fn declared(kind: &StageKind, outputs: &Outputs) -> Result<(), Failure> {
    let made = |name: &str| outputs.names().any(|made| made == name);
    let missing = kind.outputs.iter().find(|port| !port.optional && !made(port.name));
    let unknown = outputs.names().find(|port| kind.output(port).is_none());
    match (missing, unknown) {
        (Some(port), _) => {
            Err(Failure::Failed(format!("kind `{}` did not make its output `{}`", kind.name, port.name)))
        }
        (_, Some(port)) => Err(Failure::Failed(format!("kind `{}` made an undeclared output `{port}`", kind.name))),
        _ => Ok(()),
    }
}

/// Checks that every number in the outputs is finite, since anything computed from one that is not would be wrong.
fn finite(outputs: &Outputs) -> Result<(), Failure> {
    for (port, artifact) in outputs.ports() {
        if let Some(found) = artifact.not_finite().map_err(|error| Failure::Failed(error.to_string()))? {
            let NotFinite { tensor, value, row } = found;
            let message = format!(
                "its output `{port}` is not finite, so it is not kept: `{tensor}` holds {value} in row {row}; a training \
                 that diverged does that, and so do inputs that are too large"
            );
            return Err(Failure::Failed(message));
        }
    }
    Ok(())
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
