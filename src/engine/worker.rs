//! One execution of one instance: load, compute, commit. Talks to nobody but through `tell` and its result.

use std::{
    any::Any,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use candle_core::Device;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Instance,
    recipe::{Witnesses, changed},
};
use crate::{
    digest::{ArtifactHash, StageKey},
    stage::{Context, Inputs, Note, Outputs, Saving, StageError},
    store::{Manifest, NotFinite, Provenance, Recipe, Series, Store, StoreError},
};

/// What a worker is given.
pub(super) struct Job<'a> {
    pub instance: &'a Instance<'a>,
    pub recipe: Recipe,
    pub witnesses: Arc<Witnesses>,
    pub trajectory: StageKey,
    pub pipeline: &'a str,
    pub root: &'a Path,
    pub store: &'a Store,
    pub device: Device,
    pub threads: usize,
    /// Rows that come in, as far as they are known before anything runs.
    pub rows: Option<u64>,
    pub save_every: Duration,
    pub cancel: &'a AtomicBool,
}

/// Why there is no result.
pub(super) enum Failure {
    /// The stage, or the writing of what it made, failed.
    Failed(String),
    /// It was asked to stop.
    Cancelled,
    /// What lies at this input port is not what its hash says; its maker must run again.
    Damaged { port: String, message: String },
    /// This source file changed since it was hashed: what was made of it has no right key.
    Changed(PathBuf),
}

/// Runs the instance and commits what it made.
pub(super) fn execute(job: &Job<'_>, tell: &mut dyn FnMut(Note)) -> Result<Manifest, Failure> {
    let inputs = load(job.store, &job.recipe.inputs).map_err(damage)?;
    let mut metrics = BTreeMap::new();
    let mut series: BTreeMap<String, Series> = BTreeMap::new();
    let mut warnings = Vec::new();
    let mut listener = |note: Note| {
        match &note {
            Note::Metric { name, value } => drop(metrics.insert(name.clone(), *value)),
            Note::Point { series: name, epoch, value } => {
                series.entry(name.clone()).or_default().push((*epoch, *value));
            }
            Note::Warning(message) => warnings.push(message.clone()),
            _ => {}
        }
        tell(note);
    };
    let saving = job.instance.work.extent().map(|extent| Saving {
        checkpoints: job.store.checkpoints(&job.trajectory).of(format!("{}/{}", job.pipeline, job.instance.name)),
        epochs: extent.epochs,
        keep: extent.keep,
        every: job.save_every,
    });
    let mut cx = Context::new(job.device.clone(), job.threads, job.root, job.cancel, &mut listener).saving(saving);
    let run = catch_unwind(AssertUnwindSafe(|| job.instance.work.run(&inputs, &mut cx)));
    let outputs = match run {
        Ok(Ok(outputs)) => outputs,
        Ok(Err(StageError::Cancelled)) => return Err(Failure::Cancelled),
        Ok(Err(error)) => return Err(Failure::Failed(error.to_string())),
        Err(panic) => return Err(Failure::Failed(format!("its code panicked: {}", words(panic.as_ref())))),
    };
    let seconds = cx.seconds();
    drop(inputs);
    declared(job.instance, &outputs)?;
    finite(&outputs)?;
    // Before anything is written under a key that names what the files held when they were hashed.
    match changed(job.instance, &job.witnesses, job.root) {
        Ok(None) => {}
        Ok(Some(file)) => return Err(Failure::Changed(file)),
        Err(error) => return Err(Failure::Failed(error.to_string())),
    }

    let written = outputs.ports().iter().map(|(port, artifact)| Ok((port.clone(), job.store.write(artifact)?)));
    let outputs = written.collect::<Result<_, StoreError>>().map_err(failed)?;
    let provenance = Provenance {
        strata: env!("CARGO_PKG_VERSION").to_owned(),
        instance: format!("{}/{}", job.pipeline, job.instance.name),
        finished: OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
        device: if job.device.is_cpu() { "cpu".to_owned() } else { format!("{:?}", job.device.location()) },
        threads: job.threads,
        instructions: None,
        rows: job.rows,
    };
    let manifest = Manifest { recipe: job.recipe.clone(), outputs, metrics, series, warnings, seconds, provenance };
    job.store.commit(&manifest).map_err(failed)?;
    if job.instance.work.extent().is_some_and(|extent| !extent.extends()) {
        // Nothing can go on from these states. Failing to delete them costs space only.
        let _ = job.store.checkpoints(&job.trajectory).clear();
    }
    Ok(manifest)
}

fn failed(error: StoreError) -> Failure {
    Failure::Failed(error.to_string())
}

/// The artifacts at the input ports; an error names the port.
pub(super) fn load(store: &Store, inputs: &BTreeMap<String, ArtifactHash>) -> Result<Inputs, (String, StoreError)> {
    let read = |(port, hash): (&String, &ArtifactHash)| match store.read(hash) {
        Ok(artifact) => Ok((port.clone(), Arc::new(artifact))),
        Err(error) => Err((port.clone(), error)),
    };
    inputs.iter().map(read).collect()
}

/// What a bad input means: damage can be mended by its maker, anything else cannot.
fn damage((port, error): (String, StoreError)) -> Failure {
    match &error {
        StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {}
        StoreError::Corrupt { .. } => {}
        _ => return failed(error),
    }
    Failure::Damaged { port, message: error.to_string() }
}

/// The outputs must be those that the kind declares: what is missing here would only be missed much later.
fn declared(instance: &Instance<'_>, outputs: &Outputs) -> Result<(), Failure> {
    let kind = &instance.kind;
    let missing = kind.outputs.iter().find(|port| !port.optional && !outputs.ports().contains_key(port.name));
    let unknown = outputs.ports().keys().find(|port| kind.output(port).is_none());
    match (missing, unknown) {
        (Some(port), _) => {
            Err(Failure::Failed(format!("kind `{}` did not make its output `{}`", kind.name, port.name)))
        }
        (_, Some(port)) => Err(Failure::Failed(format!("kind `{}` made an undeclared output `{port}`", kind.name))),
        _ => Ok(()),
    }
}

/// No output may hold a number that is not finite: whatever is computed from it would be wrong.
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
