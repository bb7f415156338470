//! Folders for programs: for temporary files, and those in which they keep the state of work that is not finished, or
//! that more epochs can continue. Programs write what they like there, so these are no blobs: they are folders of this
//! machine, or a store has none.
//!
//! The folder of a trajectory is `work-v1/ab/ab12…/EPOCHS/`, where EPOCHS is the length of the work that wrote to it last
//! (0 if the work has no length). Beside it, `EPOCHS.json` says at which epoch its content was consistent, and
//! `EPOCHS.events` holds what the program reported: metrics and curves up to a state belong to it. Work with more epochs
//! takes the folder over, with the events up to that epoch. Work with fewer never sees it: a program that was killed may be
//! further than it said.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::{Position, SavedState, Store, StoreError, error::io_error, names};
use crate::digest::StageKey;

/// What is known of the content of a folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkRecord {
    /// The epoch at which it is consistent; 0 if the program did not say.
    pub epoch: u64,
    /// Seconds of work up to there.
    pub seconds: f64,
    /// The instance that wrote it (`PIPELINE/INSTANCE`).
    pub instance: String,
    /// Bytes of its events that were reported up to there.
    #[serde(default)]
    pub events: u64,
}

/// The folder of a trajectory, for work of a certain length.
#[derive(Clone, Debug)]
pub struct WorkFolder {
    path: PathBuf,
    /// What earlier work left in it.
    pub found: WorkRecord,
}

impl Store {
    /// Makes a folder for temporary files of work on a trajectory, on the file system of the cache if it is a folder of
    /// this machine. It is deleted when the value is dropped.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn scratch(&self, trajectory: &StageKey) -> Result<TempDir, StoreError> {
        let parent = self.root().map_or_else(std::env::temp_dir, |root| root.join(names::SCRATCH));
        let made = fs::create_dir_all(&parent)
            .and_then(|()| tempfile::Builder::new().prefix(&format!("{trajectory}-")).tempdir_in(&parent));
        made.map_err(io_error("create a folder in", &parent))
    }

    /// Lists the names of the folders for temporary files, each with the trajectory of its work and its bytes.
    pub(super) fn scratches(&self) -> Result<Vec<(String, Option<StageKey>, u64)>, StoreError> {
        let Some(root) = self.root() else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for folder in folders(&root.join(names::SCRATCH))? {
            let Some(name) = last(&folder) else { continue };
            let trajectory = name.split_once('-').and_then(|(trajectory, _)| trajectory.parse().ok());
            found.push((format!("{}/{name}", names::SCRATCH), trajectory, size(&folder)?));
        }
        Ok(found)
    }

    /// Returns the folder for work of `epochs` epochs on a trajectory by `instance`, with the furthest state of the
    /// trajectory that such work may continue. `None` if the cache is not a folder of this machine.
    ///
    /// # Errors
    /// If the folder cannot be made or looked at.
    pub fn work_folder(
        &self,
        trajectory: &StageKey,
        epochs: u64,
        instance: &str,
    ) -> Result<Option<WorkFolder>, StoreError> {
        let Some(root) = self.root() else { return Ok(None) };
        let folder = root.join(names::work(trajectory));
        let path = folder.join(epochs.to_string());
        let own = record(&path).epoch;
        let others = usable(&folder, epochs)?.into_iter().filter(|(epoch, other)| *other != path && *epoch > own);
        if let Some((_, other)) = others.max() {
            remove(&path)?;
            cut(&events_of(&other), record(&other).events)?;
            // The record moves last: without it nothing is claimed of the folder.
            for of in [PathBuf::clone, |folder: &PathBuf| events_of(folder), |folder: &PathBuf| record_of(folder)] {
                let (from, to) = (of(&other), of(&path));
                match fs::rename(&from, &to) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(io_error("rename", &from)(error));
                    }
                    _ => {}
                }
            }
        }
        fs::create_dir_all(&path).map_err(io_error("create", &path))?;
        let made = WorkFolder { found: record(&path), path };
        if !record_of(&made.path).exists() {
            made.saved(&WorkRecord { instance: instance.to_owned(), ..WorkRecord::default() })?;
        }
        Ok(Some(made))
    }

    /// Returns the epoch that work of `epochs` epochs would continue from, if a program said that there is one.
    ///
    /// # Errors
    /// If a folder cannot be listed.
    pub fn work_position(&self, trajectory: &StageKey, epochs: u64) -> Result<Option<u64>, StoreError> {
        let Some(root) = self.root() else { return Ok(None) };
        Ok(usable(&root.join(names::work(trajectory)), epochs)?.into_iter().map(|(epoch, _)| epoch).max())
    }

    /// Deletes all folders of a trajectory.
    ///
    /// # Errors
    /// If something cannot be deleted.
    pub(super) fn clear_work(&self, trajectory: &StageKey) -> Result<(), StoreError> {
        self.blobs.delete_all(&names::work(trajectory))
    }

    /// Deletes the folder that is named `name` in the cache, and the record beside it.
    pub(super) fn delete_folder(&self, name: &str) -> Result<(), StoreError> {
        self.root().map_or(Ok(()), |root| remove(&root.join(name)))
    }

    /// Describes every folder that holds anything. The name of such a state is that of its folder.
    pub(super) fn work_states(&self) -> Result<Vec<SavedState>, StoreError> {
        let Some(root) = self.root() else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for shard in folders(&root.join(names::WORK))? {
            for folder in folders(&shard)? {
                let Some(trajectory) = last(&folder).and_then(|name| name.parse().ok()) else { continue };
                for kept in numbered(&folder)? {
                    let name = format!("{}/{}", names::work(&trajectory), last(&kept).unwrap_or_default());
                    let WorkRecord { epoch, seconds, instance, .. } = record(&kept);
                    let (at, bytes, instance) = (Position { epoch, step: 0 }, size(&kept)?, Some(instance));
                    found.push(SavedState { trajectory, at, name, bytes, seconds, instance });
                }
            }
        }
        Ok(found)
    }
}

impl WorkFolder {
    /// Returns the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the file beside it for what the program reports, which is kept as long as the folder.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        events_of(&self.path)
    }

    /// Returns whether earlier work left anything in it.
    #[must_use]
    pub fn is_used(&self) -> bool {
        fs::read_dir(&self.path).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Records at which epoch its content is consistent.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn saved(&self, record: &WorkRecord) -> Result<(), StoreError> {
        let (path, bytes) = (record_of(&self.path), super::json::record::to_json(record));
        let half = path.with_extension("half");
        fs::write(&half, bytes).and_then(|()| fs::rename(&half, &path)).map_err(io_error("write", &path))
    }

    /// Deletes the folder, if nothing can continue from it.
    ///
    /// # Errors
    /// If it cannot be deleted.
    pub fn delete(&self) -> Result<(), StoreError> {
        remove(&self.path)?;
        // It was the only one, as a rule.
        let _ = self.path.parent().map(fs::remove_dir);
        Ok(())
    }
}

fn record_of(folder: &Path) -> PathBuf {
    folder.with_extension("json")
}

fn events_of(folder: &Path) -> PathBuf {
    folder.with_extension("events")
}

/// Shortens a file to its first bytes, if it is there and longer.
fn cut(file: &Path, bytes: u64) -> Result<(), StoreError> {
    let shortened = fs::File::options().write(true).open(file).and_then(|open| match open.metadata()?.len() > bytes {
        true => open.set_len(bytes),
        false => Ok(()),
    });
    match shortened {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("shorten", file)(error)),
        _ => Ok(()),
    }
}

/// A record that cannot be read claims nothing.
fn record(folder: &Path) -> WorkRecord {
    fs::read(record_of(folder)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn remove(folder: &Path) -> Result<(), StoreError> {
    for gone in [fs::remove_file(record_of(folder)), fs::remove_file(events_of(folder)), fs::remove_dir_all(folder)] {
        match gone {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error("delete", folder)(error)),
            _ => {}
        }
    }
    Ok(())
}

fn last(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// The folders in a folder that are named by a number.
fn numbered(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut all = folders(folder)?;
    all.retain(|path| last(path).is_some_and(|name| name.parse::<u64>().is_ok()));
    Ok(all)
}

/// The folders that work of `epochs` epochs may continue from, with the epoch of each.
fn usable(folder: &Path, epochs: u64) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let mut all = numbered(folder)?;
    all.retain(|path| last(path).and_then(|name| name.parse().ok()).is_some_and(|length: u64| length <= epochs));
    Ok(all.into_iter().map(|path| (record(&path).epoch, path)).filter(|(epoch, _)| *epoch > 0).collect())
}

/// The folders in a folder; none if there is no such folder.
fn folders(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io_error("list", folder)(error)),
    }
}

/// The bytes of all files below a folder.
fn size(folder: &Path) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).map_err(io_error("list", folder))?.flatten() {
        match entry.metadata() {
            Ok(found) if found.is_dir() => bytes += size(&entry.path())?,
            Ok(found) => bytes += found.len(),
            Err(_) => {}
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_epochs_take_the_folder_over_and_fewer_do_not_see_it() -> Result<(), StoreError> {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let (store, work) = (Store::open(cache.path()), StageKey::of(b"x"));
        let open = |epochs| Ok::<_, StoreError>(store.work_folder(&work, epochs, "p/a")?.expect("a local cache"));
        let five = open(5)?;
        assert!(!five.is_used() && five.found.epoch == 0);
        fs::write(five.path().join("state"), b"5").expect("written");
        fs::write(five.events(), b"up to 5, and more").expect("written");
        assert!(open(5)?.is_used(), "what a killed program left is given again");
        assert_eq!(store.work_position(&work, 9)?, None, "it did not say that it is consistent");
        assert!(!open(9)?.is_used());
        five.saved(&WorkRecord { epoch: 5, events: 7, ..WorkRecord::default() })?;
        assert_eq!((store.work_position(&work, 9)?, store.work_position(&work, 4)?), (Some(5), None));
        assert!(!open(4)?.is_used());
        let nine = open(9)?;
        assert!(nine.is_used() && nine.found.epoch == 5);
        assert_eq!(fs::read(nine.events()).expect("moved"), b"up to 5", "what came after the state is not its own");
        assert!(!open(5)?.is_used(), "it was taken over");
        let kept = || Ok::<_, StoreError>(store.saved_states()?.into_iter().map(|kept| (kept.at.epoch, kept.bytes)));
        assert_eq!(kept()?.collect::<Vec<_>>(), [(0, 0), (0, 0), (5, 1)]);
        nine.delete()?;
        assert_eq!(kept()?.collect::<Vec<_>>(), [(0, 0), (0, 0)]);
        store.clear_states(&work)?;
        assert_eq!(kept()?.count(), 0);
        Ok(())
    }
}
