//! Objects: the artifacts that stages made, named by the hash of their bytes.
//!
//! An evicted object leaves a mark, an empty blob beside its place, so that it does not count as damage.

use std::{io, path::PathBuf};

use super::{Artifact, Manifest, Output, Store, StoreError, artifact, blobs::Put, names};
use crate::digest::ArtifactHash;

impl Store {
    /// Returns the file that holds (or would hold) an artifact, or `None` if objects are not files of this machine.
    #[must_use]
    pub fn object_path(&self, hash: &ArtifactHash) -> Option<PathBuf> {
        Some(self.root()?.join(names::object(hash)))
    }

    /// Returns whether the bytes of an artifact are there.
    ///
    /// # Errors
    /// If the store does not say.
    pub fn has(&self, hash: &ArtifactHash) -> Result<bool, StoreError> {
        Ok(self.blobs.head(&names::object(hash))?.is_some())
    }

    /// Returns whether the bytes of all outputs are there.
    ///
    /// # Errors
    /// If the store does not say.
    pub fn has_all(&self, manifest: &Manifest) -> Result<bool, StoreError> {
        for output in manifest.outputs.values() {
            if !self.has(&output.hash)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns whether an artifact was evicted, that is deleted on purpose.
    ///
    /// # Errors
    /// If the store does not say.
    pub fn is_evicted(&self, hash: &ArtifactHash) -> Result<bool, StoreError> {
        Ok(!self.has(hash)? && self.has_mark(hash)?)
    }

    pub(super) fn has_mark(&self, hash: &ArtifactHash) -> Result<bool, StoreError> {
        Ok(self.blobs.head(&names::eviction_mark(hash))?.is_some())
    }

    /// Lists every object: its name and its size in bytes.
    ///
    /// # Errors
    /// If a folder cannot be listed.
    pub fn objects(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let mut objects = Vec::new();
        for name in self.blobs.list(names::OBJECTS)?.into_iter().filter(|name| name.ends_with(".safetensors")) {
            // It may have been deleted meanwhile.
            if let Some(head) = self.blobs.head(&name)? {
                objects.push((name, head.bytes));
            }
        }
        Ok(objects)
    }

    /// Reads an artifact and checks that its bytes have the hash `hash`.
    ///
    /// # Errors
    /// If the object cannot be read, or its bytes have another hash.
    pub fn read(&self, hash: &ArtifactHash) -> Result<Artifact, StoreError> {
        Ok(Artifact::from_bytes(&self.read_bytes(hash)?)?)
    }

    /// Reads the bytes of an artifact and checks that they have the hash `hash`.
    ///
    /// # Errors
    /// If the object cannot be read, or its bytes have another hash.
    pub fn read_bytes(&self, hash: &ArtifactHash) -> Result<Vec<u8>, StoreError> {
        let name = names::object(hash);
        let place = || self.blobs.place(&name);
        let Some(bytes) = self.blobs.get(&name)? else {
            let source = io::Error::from_raw_os_error(libc::ENOENT);
            return Err(StoreError::Io { action: "read", place: place(), source });
        };
        if artifact::hash(&bytes) != *hash {
            return Err(StoreError::Corrupt { place: place(), message: other_hash(&bytes) });
        }
        Ok(bytes)
    }

    /// Writes an artifact, unless one with these bytes is there.
    ///
    /// # Errors
    /// If the object cannot be written. Nothing half-written is ever visible under an object's name.
    pub fn write(&self, artifact: &Artifact) -> Result<Output, StoreError> {
        let bytes = artifact.to_bytes()?;
        let hash = artifact::hash(&bytes);
        let name = names::object(&hash);
        let size = bytes.len() as u64;
        // The right size is no proof, so the object that is there is kept only if its hash is right.
        let intact = self.blobs.get(&name).is_ok_and(|old| old.is_some_and(|old| artifact::hash(&old) == hash));
        if !intact {
            self.blobs.put(&name, &bytes, Put::Replace)?;
        }
        self.blobs.delete(&names::eviction_mark(&hash))?;
        Ok(Output { hash, bytes: size })
    }

    /// Deletes an object, so that the work that made it counts as unfinished. A missing object is fine.
    ///
    /// # Errors
    /// If the object cannot be deleted.
    pub fn discard(&self, hash: &ArtifactHash) -> Result<(), StoreError> {
        self.blobs.delete(&names::object(hash))?;
        self.blobs.delete(&names::eviction_mark(hash))?;
        Ok(())
    }
}

/// Says that an object does not hold the bytes that its name promises.
pub(super) fn other_hash(bytes: &[u8]) -> String {
    format!("its {} bytes have another hash than its name", bytes.len())
}
