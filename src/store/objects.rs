//! The artifacts that stages made, by the hash of their bytes.

use std::{fs, path::PathBuf};

use super::{Artifact, Manifest, Output, Store, StoreError, artifact, io_error, is_there, remove};
use crate::digest::ArtifactHash;

impl Store {
    /// The file that holds (or would hold) an artifact.
    #[must_use]
    pub fn object_path(&self, hash: &ArtifactHash) -> PathBuf {
        self.root.join("objects").join(hash.shard()).join(format!("{hash}.safetensors"))
    }

    /// The file whose presence says that an object was evicted, not lost.
    pub(super) fn eviction_mark(&self, hash: &ArtifactHash) -> PathBuf {
        self.object_path(hash).with_extension("evicted")
    }

    /// Whether the bytes of an artifact were given up on purpose.
    ///
    /// # Errors
    /// If the disk does not say.
    pub fn is_evicted(&self, hash: &ArtifactHash) -> Result<bool, StoreError> {
        Ok(!self.has(hash)? && is_there(&self.eviction_mark(hash))?)
    }

    /// Whether the bytes of an artifact are there.
    ///
    /// # Errors
    /// If the disk does not say.
    pub fn has(&self, hash: &ArtifactHash) -> Result<bool, StoreError> {
        is_there(&self.object_path(hash))
    }

    /// Whether the bytes of all outputs are there.
    ///
    /// # Errors
    /// If the disk does not say.
    pub fn has_all(&self, manifest: &Manifest) -> Result<bool, StoreError> {
        for output in manifest.outputs.values() {
            if !self.has(&output.hash)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Every object: its path and its size in bytes.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn objects(&self) -> Result<Vec<(PathBuf, u64)>, StoreError> {
        let sized = |path: PathBuf| {
            let size = fs::metadata(&path).map_err(io_error("read", &path))?.len();
            Ok((path, size))
        };
        let objects = self.files("objects")?.into_iter();
        objects.filter(|path| path.extension().is_some_and(|kind| kind == "safetensors")).map(sized).collect()
    }

    /// Reads an artifact and checks that it is what its name says.
    ///
    /// # Errors
    /// If the file cannot be read, or its bytes have another hash.
    pub fn read(&self, hash: &ArtifactHash) -> Result<Artifact, StoreError> {
        Ok(Artifact::from_bytes(&self.read_bytes(hash)?)?)
    }

    /// The bytes of an artifact, checked to be what their name says.
    ///
    /// # Errors
    /// If the file cannot be read, or its bytes have another hash.
    pub fn read_bytes(&self, hash: &ArtifactHash) -> Result<Vec<u8>, StoreError> {
        let path = self.object_path(hash);
        let bytes = fs::read(&path).map_err(io_error("read", &path))?;
        if artifact::hash(&bytes) != *hash {
            let message = format!("its {} bytes have another hash than its name", bytes.len());
            return Err(StoreError::Corrupt { path, message });
        }
        Ok(bytes)
    }

    /// Writes an artifact, unless one with these bytes is there.
    ///
    /// # Errors
    /// If the disk refuses. Nothing half-written is ever visible under an object's name.
    pub fn write(&self, artifact: &Artifact) -> Result<Output, StoreError> {
        let bytes = artifact.to_bytes()?;
        let hash = artifact::hash(&bytes);
        let path = self.object_path(&hash);
        let size = bytes.len() as u64;
        // The size alone is no proof, so an object of the right size is replaced too unless its hash is right.
        let intact = fs::read(&path).is_ok_and(|old| artifact::hash(&old) == hash);
        if !intact {
            self.write_atomically(&path, &bytes)?;
        }
        remove(&self.eviction_mark(&hash))?;
        Ok(Output { hash, bytes: size })
    }

    /// Deletes the object of a hash, so that whatever made it is seen as unfinished. A missing one is fine.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn discard(&self, hash: &ArtifactHash) -> Result<(), StoreError> {
        remove(&self.object_path(hash))?;
        remove(&self.eviction_mark(hash))
    }
}
