//! Finished work: what is known under a key.

use std::{fs, io, path::PathBuf};

use super::{Manifest, Store, StoreError, io_error, is_there, record, remove};
use crate::digest::StageKey;

/// The state of what a manifest promises.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// No manifest under this key.
    Absent,
    /// The manifest, with all its objects in place.
    Found(Box<Manifest>),
    /// The manifest is there, but the object of a port is missing or has another size.
    Damaged {
        /// The port whose object is not as it was.
        port: String,
        /// What is wrong with it.
        damage: Damage,
    },
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It is not there.
    Missing,
    /// It is there, but not as it was written.
    Corrupt,
}

impl Store {
    pub(super) fn manifest_path(&self, key: &StageKey) -> PathBuf {
        self.root.join("manifests-v1").join(key.shard()).join(format!("{key}.json"))
    }

    /// What is known under `key`. Reads one manifest and the sizes of its objects, no tensor.
    ///
    /// # Errors
    /// If the manifest is there but cannot be read, or the disk does not say what became of an object. A manifest that
    /// is damaged counts as absent: the work is redone.
    pub fn lookup(&self, key: &StageKey) -> Result<Lookup, StoreError> {
        let Some(manifest) = self.manifest(key)? else { return Ok(Lookup::Absent) };
        for (port, output) in &manifest.outputs {
            let path = self.object_path(&output.hash);
            let damage = match fs::metadata(&path) {
                Ok(found) if found.len() == output.bytes => continue,
                Ok(_) => Damage::Corrupt,
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error("read", &path)(error)),
                // What was evicted is known by its hash, and made again only when its bytes are needed.
                Err(_) if is_there(&self.eviction_mark(&output.hash))? => continue,
                Err(_) => Damage::Missing,
            };
            return Ok(Lookup::Damaged { port: port.clone(), damage });
        }
        Ok(Lookup::Found(Box::new(manifest)))
    }

    /// The manifest under `key`, whatever became of its objects.
    ///
    /// # Errors
    /// If it is there but cannot be read.
    pub fn manifest(&self, key: &StageKey) -> Result<Option<Manifest>, StoreError> {
        let path = self.manifest_path(key);
        record::open(&path).map_err(io_error("read", &path))
    }

    /// All manifests, in the order of their keys.
    ///
    /// # Errors
    /// If a folder or file cannot be read.
    pub fn manifests(&self) -> Result<Vec<(StageKey, Manifest)>, StoreError> {
        let mut found = Vec::new();
        for path in self.files("manifests-v1")? {
            let key = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            if let Some(key) = key
                && let Some(manifest) = self.manifest(&key)?
            {
                found.push((key, manifest));
            }
        }
        found.sort_by_key(|(key, _)| *key);
        Ok(found)
    }

    /// Writes the manifest: from now on the work under its key is done.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn commit(&self, manifest: &Manifest) -> Result<StageKey, StoreError> {
        let key = manifest.recipe.key();
        let path = self.manifest_path(&key);
        self.write_atomically(&path, &record::seal(&path, manifest))?;
        Ok(key)
    }

    /// Deletes the manifest under a key, and the objects that no other manifest names.
    ///
    /// # Errors
    /// If the cache cannot be read or the disk refuses.
    pub fn forget(&self, key: &StageKey) -> Result<(), StoreError> {
        let Some(manifest) = self.manifest(key)? else { return Ok(()) };
        // The manifest goes first: objects without one are only waste, a manifest without objects is damage.
        remove(&self.manifest_path(key))?;
        let others: Vec<Manifest> = self.manifests()?.into_iter().map(|(_, other)| other).collect();
        for output in manifest.outputs.values() {
            let shared = others.iter().any(|other| other.outputs.values().any(|other| other.hash == output.hash));
            if !shared {
                self.discard(&output.hash)?;
            }
        }
        Ok(())
    }
}
