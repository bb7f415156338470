//! A run that is being recorded.
//!
//! Nothing here is flushed to the disk itself: a record that the power takes with it costs an explanation, not a result,
//! and a run that has nothing to do must stay fast.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    END, EVENTS, LOCK, RUN,
    id::RunId,
    record::{RunEnd, RunRecord},
};
use crate::store::{Store, StoreError, error::io_error, names};

/// The record of a run that is under way. Its lock is held until the value is dropped; a record without an end is then
/// that of a lost run.
#[derive(Debug)]
pub struct Recording {
    folder: PathBuf,
    events: BufWriter<File>,
    /// Held while the run is under way.
    _lock: File,
}

impl Store {
    /// Makes the id of a new run and the folder of its record. There is none in a cache that is not a local folder.
    ///
    /// The id is good even if the folder cannot be made.
    pub fn new_run(&self) -> (RunId, Result<Option<Recording>, StoreError>) {
        let Some(root) = self.root() else { return (RunId::now(), Ok(None)) };
        let runs = root.join(names::RUNS);
        loop {
            let id = RunId::now();
            let folder = runs.join(id.as_ref());
            let made = match fs::create_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => self
                    .ensure_writable()
                    .and_then(|()| fs::create_dir_all(&folder).map_err(io_error("create", &folder))),
                made => made.map_err(io_error("create", &folder)),
            };
            return (id, made.and_then(|()| Recording::open(folder)).map(Some));
        }
    }
}

impl Recording {
    fn open(folder: PathBuf) -> Result<Self, StoreError> {
        let create = |name: &str| {
            let path = folder.join(name);
            File::create_new(&path).map_err(io_error("create", &path))
        };
        let lock = create(LOCK)?;
        // Readers hold it for a moment at a time. Where a file system knows no locks, readers cannot tell that the run is
        // lost, and count it as running.
        let _ = lock.lock();
        let events = BufWriter::new(create(EVENTS)?);
        Ok(Self { folder, events, _lock: lock })
    }

    /// Writes what the run was asked, in place of what was written before.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(&self, record: &RunRecord) -> Result<(), StoreError> {
        self.put(RUN, record)
    }

    /// Adds a line to the events. It may stay in memory until [`Recording::flush`].
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn line(&mut self, line: &[u8]) -> Result<(), StoreError> {
        self.events.write_all(line).map_err(io_error("write", &self.folder.join(EVENTS)))
    }

    /// Hands the events to the system, which keeps them if the process ends.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        self.events.flush().map_err(io_error("write", &self.folder.join(EVENTS)))
    }

    /// Writes what became of the run.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end(mut self, end: &RunEnd) -> Result<(), StoreError> {
        self.flush()?;
        self.put(END, end)
    }

    /// Removes the record of a run that never began.
    pub fn discard(self) {
        let _ = fs::remove_dir_all(&self.folder);
    }

    /// Writes a file that is whole from the moment it has its name.
    fn put(&self, name: &str, value: &impl Serialize) -> Result<(), StoreError> {
        let path = self.folder.join(name);
        let part = self.folder.join(format!("{name}.part"));
        let bytes = serde_json::to_vec(value).map_err(io::Error::from).map_err(io_error("write", &path))?;
        write_whole(&part, &path, &bytes).map_err(io_error("write", &path))
    }
}

fn write_whole(part: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(part, bytes)?;
    fs::rename(part, path)
}
