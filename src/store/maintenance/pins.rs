//! Pins: work that garbage collection must leave alone.

use std::collections::BTreeSet;

use crate::{
    digest::StageKey,
    store::{Store, StoreError, blobs::Put, names},
};

impl Store {
    /// Keeps the results under `key`, or the saved states of the trajectory `key`, from garbage collection.
    ///
    /// # Errors
    /// If the pin cannot be written.
    pub fn pin(&self, key: &StageKey) -> Result<(), StoreError> {
        self.blobs.put(&names::pin(key), b"", Put::Replace).map(drop)
    }

    /// Takes the pin off again. Returns false if there was none.
    ///
    /// # Errors
    /// If the pin cannot be deleted.
    pub fn unpin(&self, key: &StageKey) -> Result<bool, StoreError> {
        self.blobs.delete(&names::pin(key))
    }

    /// Returns the keys that are pinned.
    ///
    /// # Errors
    /// If the pins cannot be listed.
    pub fn pins(&self) -> Result<BTreeSet<StageKey>, StoreError> {
        let pins = self.blobs.list(names::PINS)?;
        Ok(pins.iter().filter_map(|name| names::last(name).parse().ok()).collect())
    }
}
