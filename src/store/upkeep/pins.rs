//! Work that upkeep must leave alone.

use std::{collections::BTreeSet, fs, io, path::PathBuf};

use super::super::{Store, StoreError, io_error, list};
use crate::digest::StageKey;

impl Store {
    fn pin_path(&self, key: &StageKey) -> PathBuf {
        self.root.join("pins-v1").join(key.hex())
    }

    /// Keeps the results under `key`, or the saved states of the trajectory `key`, whatever upkeep is asked for.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn pin(&self, key: &StageKey) -> Result<(), StoreError> {
        self.write_atomically(&self.pin_path(key), b"")
    }

    /// Lets upkeep have the results or states under `key` again. False if they were not pinned.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn unpin(&self, key: &StageKey) -> Result<bool, StoreError> {
        let path = self.pin_path(key);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io_error("delete", &path)(error)),
        }
    }

    /// The keys that are pinned.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn pins(&self) -> Result<BTreeSet<StageKey>, StoreError> {
        let files = list(&self.root.join("pins-v1"))?;
        Ok(files.iter().filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect())
    }
}
