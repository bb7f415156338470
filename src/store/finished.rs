//! Finished work. Its manifest is the commit point: what a manifest names was written before it.

use super::{Manifest, Store, StoreError, blobs::Put, json::record, names};
use crate::digest::StageKey;

/// What is known of the work under a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// No manifest under this key.
    Absent,
    /// The manifest, with all its objects in place.
    Found(Box<Manifest>),
    /// The manifest is there, but the object of a port is missing or has another size.
    Damaged {
        /// The port whose object is damaged.
        port: String,
        /// What is wrong with it.
        damage: Damage,
    },
}

/// How an object is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It is not there.
    Missing,
    /// It is there, but not as it was written.
    Corrupt,
}

impl Store {
    /// Looks up the work under `key`. Reads one manifest and the sizes of its objects, no tensor.
    ///
    /// # Errors
    /// If the manifest is there but cannot be read, or the store does not say whether an object is there. A damaged
    /// manifest counts as absent, so the work is done again.
    pub fn lookup(&self, key: &StageKey) -> Result<Lookup, StoreError> {
        let Some(manifest) = self.manifest(key)? else { return Ok(Lookup::Absent) };
        for (port, output) in &manifest.outputs {
            let damage = match self.locate(&output.hash)? {
                Some((_, head)) if head.bytes == output.bytes => continue,
                Some(_) => Damage::Corrupt,
                // The manifest has the hash of an evicted object, which is made again only when its bytes are needed.
                None if self.has_mark(&output.hash)? => continue,
                None => Damage::Missing,
            };
            return Ok(Lookup::Damaged { port: port.clone(), damage });
        }
        Ok(Lookup::Found(Box::new(manifest)))
    }

    /// Returns whether there is a manifest under `key`, past what this machine may remember of a shared file system. Asked
    /// by the holder of its lock before it starts, so that no work is done twice.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn is_finished(&self, key: &StageKey) -> Result<bool, StoreError> {
        self.blobs.is_there(&names::manifest(key))
    }

    /// Reads the manifest under `key`, whether its objects are there or not.
    ///
    /// # Errors
    /// If it is there but cannot be read.
    pub fn manifest(&self, key: &StageKey) -> Result<Option<Manifest>, StoreError> {
        record::open(&*self.blobs, &names::manifest(key))
    }

    /// Reads all manifests, in the order of their keys.
    ///
    /// # Errors
    /// If a folder or file cannot be read.
    pub fn manifests(&self) -> Result<Vec<(StageKey, Manifest)>, StoreError> {
        let mut found = Vec::new();
        for name in self.blobs.list(names::MANIFESTS)? {
            if let Some(key) = names::id(&name)
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
    /// If the manifest cannot be written.
    pub fn commit(&self, manifest: &Manifest) -> Result<StageKey, StoreError> {
        let key = manifest.recipe.key();
        let name = names::manifest(&key);
        self.blobs.put(&name, &record::seal(&name, manifest), Put::Replace)?;
        Ok(key)
    }

    /// Deletes the manifest under a key, and the objects that no other manifest names.
    ///
    /// # Errors
    /// If the cache cannot be read or something cannot be deleted.
    pub fn forget(&self, key: &StageKey) -> Result<(), StoreError> {
        let Some(manifest) = self.manifest(key)? else { return Ok(()) };
        // The manifest goes first: objects without one only take up room, a manifest without objects is damage.
        self.blobs.delete(&names::manifest(key))?;
        let others: Vec<Manifest> = self.manifests()?.into_iter().map(|(_, other)| other).collect();
        for output in manifest.outputs.values() {
            let shared = others.iter().any(|other| other.outputs.values().any(|other| other.hash == output.hash));
            if !shared {
                self.discard(&output.hash)?;
            }
        }
        self.blobs.delete(&names::log(key)).map(drop)
    }
}
