//! Run records: what every run was asked, what happened, and what became of it.
//!
//! ```text
//! runs-v1/20261128-182422-k3f/
//!   lock           locked by the process of the run while it lives
//!   run.json       what it was asked: the text of the file, the arguments, the instances
//!   events.jsonl   what happened: the lines of `--events`
//!   end.json       what became of it and of each instance
//! ```
//!
//! `run.json` and `end.json` are renamed into place, so a reader sees them whole or not at all. A run without `end.json`
//! is running while its lock is held, and else lost. Records are read by whoever looks at a run; no key depends on them,
//! and one that cannot be read is passed over.
//!
//! Reading order: `id`, `record` (what is in the files), `recording` (how they are written), this file (how they are
//! read).

mod id;
mod record;
mod recording;

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, de::DeserializeOwned};
use time::OffsetDateTime;

use self::record::FORMAT;
pub use self::{
    id::{NoRunId, RunId},
    record::{Changes, Git, IncludedText, PassedOver, Run, RunEnd, RunInstance, RunOutcome, RunRecord, RunStatus},
    recording::Recording,
};
use super::{Store, StoreError, error::io_error, lock::machine, names};

const RUN: &str = "run.json";
const EVENTS: &str = "events.jsonl";
const END: &str = "end.json";
const LOCK: &str = "lock";

/// The runs of a cache, and the records that cannot be used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Runs {
    /// The runs, newest first.
    pub runs: Vec<Run>,
    /// The records that are damaged, not whole, or of a later version.
    pub passed_over: Vec<PassedOver>,
}

/// The part of a record that every format has.
#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
}

/// What an event says of a finished instance.
#[derive(Deserialize)]
struct FinishedEvent {
    event: String,
    instance: String,
    #[serde(flatten)]
    outcome: RunOutcome,
}

impl RunRecord {
    /// Makes the record of a run of this process that starts now. What it was asked is still to be filled in.
    #[must_use]
    pub fn here(id: RunId) -> Self {
        let now = OffsetDateTime::now_utc();
        let (year, month, day) = now.to_calendar_date();
        let (hour, minute, second, milli) = now.to_hms_milli();
        let started =
            format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z", u8::from(month));
        Self {
            format: FORMAT,
            id,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pipeline: String::new(),
            file: String::new(),
            root: String::new(),
            text: String::new(),
            included: Vec::new(),
            arguments: Vec::new(),
            changes: Changes::default(),
            targets: Vec::new(),
            until: Vec::new(),
            started,
            host: machine(),
            pid: std::process::id(),
            git: None,
            instances: Vec::new(),
        }
    }
}

impl RunEnd {
    /// Makes the end of a run, with no outcomes yet.
    #[must_use]
    pub fn new(status: RunStatus, seconds: f64) -> Self {
        let (counts, outcomes) = (BTreeMap::new(), BTreeMap::new());
        Self { format: FORMAT, status, seconds, counts, outcomes, message: None }
    }
}

impl Store {
    /// Reads all records, newest first. A cache of a version that wrote none has no runs.
    ///
    /// # Errors
    /// If the folder of the records cannot be listed.
    pub fn runs(&self) -> Result<Runs, StoreError> {
        let mut all = Runs::default();
        for id in self.run_ids()? {
            match self.read_run(&id) {
                Ok(Some((run, complaint))) => {
                    all.passed_over.extend(complaint);
                    all.runs.push(run);
                }
                Ok(None) => {}
                Err(complaint) => all.passed_over.push(complaint),
            }
        }
        Ok(all)
    }

    /// Returns the latest run for which `is_it` holds; `complain` receives the records that are passed over on the way.
    ///
    /// # Errors
    /// If the folder of the records cannot be listed.
    pub fn last_run(
        &self,
        is_it: impl Fn(&Run) -> bool,
        complain: &mut dyn FnMut(PassedOver),
    ) -> Result<Option<Run>, StoreError> {
        for id in self.run_ids()? {
            match self.read_run(&id) {
                Ok(Some((run, _))) if is_it(&run) => return Ok(Some(run)),
                Ok(_) => {}
                Err(complaint) => complain(complaint),
            }
        }
        Ok(None)
    }

    /// Reads the record of one run; `None` if there is none.
    ///
    /// # Errors
    /// If the record cannot be used.
    pub fn run(&self, id: &RunId) -> Result<Option<Run>, PassedOver> {
        Ok(self.read_run(id)?.map(|(run, _)| run))
    }

    /// Lists the runs that have a folder, newest first.
    ///
    /// # Errors
    /// If the folder of the records cannot be listed.
    pub fn run_ids(&self) -> Result<Vec<RunId>, StoreError> {
        let Some(folder) = self.root().map(|root| root.join(names::RUNS)) else { return Ok(Vec::new()) };
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(io_error("list", &folder))?,
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(io_error("list", &folder))?.file_name();
            ids.extend(name.to_str().and_then(|name| name.parse::<RunId>().ok()));
        }
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ids)
    }

    /// Returns the events of a run from an offset on, as lines of JSON; only whole lines.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn run_events(&self, id: &RunId, from: u64) -> Result<Vec<u8>, StoreError> {
        let Some(path) = self.run_folder(id).map(|folder| folder.join(EVENTS)) else { return Ok(Vec::new()) };
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(from))?;
            file.read_to_end(&mut bytes)
        });
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(io_error("read", &path))?,
        };
        bytes.truncate(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1));
        Ok(bytes)
    }

    /// Returns what became of each instance of a run so far: from its end, or, if it has none or the run itself failed, from
    /// its events.
    ///
    /// # Errors
    /// If the events cannot be read.
    pub fn run_outcomes(&self, run: &Run) -> Result<BTreeMap<String, RunOutcome>, StoreError> {
        if let Some(end) = run.end.as_ref().filter(|end| end.message.is_none()) {
            return Ok(end.outcomes.clone());
        }
        let events = self.run_events(&run.record.id, 0)?;
        let finished = events.split(|&byte| byte == b'\n').filter_map(|line| {
            let event: FinishedEvent = serde_json::from_slice(line).ok()?;
            (event.event == "stage_finished").then_some((event.instance, event.outcome))
        });
        Ok(finished.collect())
    }

    /// Lists the runs that started longer ago than `age` and are not under way, the oldest first, with the bytes of their
    /// records.
    ///
    /// # Errors
    /// If a folder cannot be listed.
    pub fn old_runs(&self, age: Duration) -> Result<Vec<(RunId, u64)>, StoreError> {
        let limit = RunId::before(age);
        let mut old = Vec::new();
        for id in self.run_ids()?.into_iter().rev().take_while(|id| *id.as_ref() < *limit) {
            let Some(folder) = self.run_folder(&id) else { continue };
            if is_held(&folder) {
                continue;
            }
            let bytes = self.blobs.list(&format!("{}/{id}", names::RUNS))?;
            let size = |name: &String| self.blobs.head(name).ok().flatten().map_or(0, |head| head.bytes);
            old.push((id, bytes.iter().map(size).sum()));
        }
        Ok(old)
    }

    /// Deletes the record of a run.
    ///
    /// # Errors
    /// If it cannot be deleted.
    pub fn forget_run(&self, id: &RunId) -> Result<(), StoreError> {
        self.blobs.delete_all(&format!("{}/{id}", names::RUNS))
    }

    fn run_folder(&self, id: &RunId) -> Option<PathBuf> {
        Some(self.root()?.join(names::RUNS).join(id.as_ref()))
    }

    /// Reads a record, and what is wrong with its end. `None` if there is no record, or its run has just begun.
    fn read_run(&self, id: &RunId) -> Result<Option<(Run, Option<PassedOver>)>, PassedOver> {
        let Some(folder) = self.run_folder(id) else { return Ok(None) };
        let complain = |why: String| PassedOver { id: id.clone(), why };
        let Some(record) = read::<RunRecord>(&folder.join(RUN)).map_err(complain)? else {
            // The events come after the lock, so a run that has events and no lock is over.
            let began = folder.join(EVENTS).exists() && !is_held(&folder);
            let why = || format!("it has no {RUN}: its run was killed as it began");
            return if began { Err(complain(why())) } else { Ok(None) };
        };
        if record.id != *id {
            return Err(complain(format!("its {RUN} is that of run {}", record.id)));
        }
        // In this order: the end is written before the lock is dropped.
        let held = is_held(&folder);
        let (end, complaint) = match read::<RunEnd>(&folder.join(END)) {
            Ok(end) => (end, None),
            Err(why) => (None, Some(complain(format!("{why}; the run counts as lost")))),
        };
        let status = match &end {
            Some(end) => end.status,
            None if held => RunStatus::Running,
            None => RunStatus::Lost,
        };
        Ok(Some((Run { record, end, status }, complaint)))
    }
}

/// Returns whether the process of a run lives. Where nobody can tell, it does.
fn is_held(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)).map(|lock| lock.try_lock_shared()) {
        Ok(Ok(())) => false,
        Ok(Err(TryLockError::WouldBlock | TryLockError::Error(_))) => true,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Reads a file of a record; `None` if there is none. Says what is wrong with one that cannot be used.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| format!("failed to read its {name}: {error}"))?,
    };
    match serde_json::from_slice::<AnyFormat>(&bytes) {
        Ok(AnyFormat { format }) if format > FORMAT => {
            return Err(format!("its {name} has format {format}, and this version of strata reads format {FORMAT}"));
        }
        _ => {}
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| format!("its {name} is damaged: {error}"))
}

#[cfg(test)]
mod tests;
