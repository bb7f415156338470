//! Objects: the artifacts and files that stages made, named by the hash of their bytes.
//!
//! An evicted object leaves a mark, an empty blob beside its place, so that it does not count as damage.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{
    Artifact, Manifest, Output, Store, StoreError, artifact,
    blobs::{Head, Put},
    error::io_error,
    names,
    sources::witness,
};
use crate::digest::ArtifactHash;

/// An object as a file for a program, which must not write to it.
#[derive(Debug)]
pub struct Lent {
    /// The file.
    pub path: PathBuf,
    hash: ArtifactHash,
    stat: Option<witness::Stat>,
}

impl Lent {
    /// Returns whether the file still has the content that it was lent with.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        let untouched = self.stat.is_some_and(|stat| witness::stat(&self.path).is_ok_and(|now| now == stat));
        untouched || witness::content(&self.path).is_ok_and(|now: ArtifactHash| now == self.hash)
    }
}

impl Store {
    /// Checks an object and returns it as a file: its own, or a copy in the folder `scratch` if the store has no files.
    ///
    /// # Errors
    /// If the object cannot be read, or its bytes have another hash.
    pub fn lend(&self, hash: &ArtifactHash, scratch: &Path) -> Result<Lent, StoreError> {
        let Some(path) = self.object_path(hash)? else {
            let path = scratch.join(hash.hex());
            std::fs::write(&path, self.read_bytes(hash)?).map_err(io_error("write", &path))?;
            return Ok(Lent { path, hash: *hash, stat: None });
        };
        let path = std::path::absolute(&path).map_err(io_error("find", &path))?;
        // Another user's object may not be changed, and then it need not be.
        if let Ok(found) = std::fs::metadata(&path).map(|found| found.permissions())
            && !found.readonly()
        {
            let _ = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444));
        }
        let stat = witness::stat(&path).map_err(io_error("read", &path))?;
        if witness::content::<ArtifactHash>(&path).map_err(io_error("read", &path))? != *hash {
            let message = "its bytes have another hash than its name".to_owned();
            return Err(StoreError::Corrupt { place: path.display().to_string(), message });
        }
        // A file that is this young can change without a change of its times.
        Ok(Lent { hash: *hash, stat: stat.is_settled().then_some(stat), path })
    }

    /// Returns the file that holds an object, or `None` if it is not there or objects are not files of this machine.
    ///
    /// # Errors
    /// If the store does not say.
    pub fn object_path(&self, hash: &ArtifactHash) -> Result<Option<PathBuf>, StoreError> {
        let found = self.locate(hash)?;
        Ok(self.root().zip(found).map(|(root, (name, _))| root.join(name)))
    }

    /// Finds an object: its name, its size and its time.
    pub(super) fn locate(&self, hash: &ArtifactHash) -> Result<Option<(String, Head)>, StoreError> {
        for name in [names::object(hash), names::file(hash)] {
            if let Some(head) = self.blobs.head(&name)? {
                return Ok(Some((name, head)));
            }
        }
        Ok(None)
    }

    /// Returns whether the bytes of an object are there.
    ///
    /// # Errors
    /// If the store does not say.
    pub fn has(&self, hash: &ArtifactHash) -> Result<bool, StoreError> {
        Ok(self.locate(hash)?.is_some())
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
        for name in self.blobs.list(names::OBJECTS)?.into_iter().filter(|name| names::is_object(name)) {
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

    /// Reads the bytes of an object and checks that they have the hash `hash`.
    ///
    /// # Errors
    /// If the object cannot be read, or its bytes have another hash.
    pub fn read_bytes(&self, hash: &ArtifactHash) -> Result<Vec<u8>, StoreError> {
        let name = self.locate(hash)?.map_or_else(|| names::object(hash), |(name, _)| name);
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

    /// Keeps a file as it is, unless one with its content is there. The file may be moved away.
    ///
    /// # Errors
    /// If the file cannot be read, or the object cannot be written.
    pub fn write_file(&self, file: &Path) -> Result<Output, StoreError> {
        let read = || Ok((witness::content(file)?, std::fs::metadata(file)?.len()));
        let (hash, bytes): (ArtifactHash, u64) = read().map_err(io_error("read", file))?;
        let name = names::file(&hash);
        // As with artifacts, the right size of the object that is there is no proof.
        let old = self.root().map(|root| root.join(&name)).filter(|old| old.exists());
        if !old.is_some_and(|old| witness::content(&old).is_ok_and(|old: ArtifactHash| old == hash)) {
            self.blobs.put_file(&name, file)?;
        }
        self.blobs.delete(&names::eviction_mark(&hash))?;
        Ok(Output { hash, bytes })
    }

    /// Deletes an object, so that the work that made it counts as unfinished. A missing object is fine.
    ///
    /// # Errors
    /// If the object cannot be deleted.
    pub fn discard(&self, hash: &ArtifactHash) -> Result<(), StoreError> {
        self.blobs.delete(&names::object(hash))?;
        self.blobs.delete(&names::file(hash))?;
        self.blobs.delete(&names::eviction_mark(hash))?;
        Ok(())
    }
}

/// Says that an object does not hold the bytes that its name promises.
pub(super) fn other_hash(bytes: &[u8]) -> String {
    format!("its {} bytes have another hash than its name", bytes.len())
}
