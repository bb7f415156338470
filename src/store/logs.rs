//! What programs printed while they did their work.

use super::{Store, StoreError, blobs::Put, names};
use crate::digest::StageKey;

impl Store {
    /// Keeps what a program printed while it did the work under a key, in place of what an earlier try printed. Nothing
    /// is kept if it printed nothing.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep_log(&self, key: &StageKey, bytes: &[u8]) -> Result<(), StoreError> {
        let name = names::log(key);
        self.blobs.delete(&name)?;
        if !bytes.is_empty() {
            self.blobs.put(&name, bytes, Put::Create)?;
        }
        Ok(())
    }

    /// Returns what a program printed while it did the work under a key, if anything is kept.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn log(&self, key: &StageKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.blobs.get(&names::log(key))
    }

    /// Returns whether something is kept of what a program printed while it did the work under a key.
    ///
    /// # Errors
    /// If the store does not say.
    pub fn has_log(&self, key: &StageKey) -> Result<bool, StoreError> {
        Ok(self.blobs.head(&names::log(key))?.is_some())
    }

    /// Returns where the log of the work under a key is (or would be), for people.
    #[must_use]
    pub fn log_place(&self, key: &StageKey) -> String {
        self.blobs.place(&names::log(key))
    }
}
