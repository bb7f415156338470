//! Checks that every object has the hash in its name, and that every manifest has its objects.

use rayon::prelude::*;

use crate::{
    digest::{ArtifactHash, StageKey},
    store::{Damage, Lookup, Store, StoreError, artifact, names, objects::other_hash},
    threads,
};

/// What the check of every object found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Number of objects that have the hash in their names.
    pub sound: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Where the other objects are, and what is wrong with each.
    pub corrupt: Vec<(String, String)>,
    /// Finished work with an object that is missing without having been evicted: key, port.
    pub missing: Vec<(StageKey, String)>,
}

impl Verification {
    /// True if nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.corrupt.is_empty() && self.missing.is_empty()
    }
}

impl Store {
    /// Hashes every object anew and looks for the objects of every manifest. With `repair`, corrupt objects are
    /// deleted, so that the next run that needs them makes them again.
    ///
    /// # Errors
    /// If the cache cannot be read, or a corrupt object cannot be deleted.
    pub fn verify(&self, repair: bool) -> Result<Verification, StoreError> {
        let objects = self.objects()?;
        let check = || objects.par_iter().map(|(name, bytes)| (name, *bytes, self.fault(name))).collect();
        let checked: Vec<_> = threads::shared(check);
        let mut found = Verification::default();
        for (name, bytes, fault) in checked {
            match fault {
                None => {
                    found.sound += 1;
                    found.bytes += bytes;
                }
                Some(message) => {
                    if repair {
                        self.blobs.delete(name)?;
                    }
                    found.corrupt.push((self.blobs.place(name), message));
                }
            }
        }
        for (key, _) in self.manifests()? {
            if let Lookup::Damaged { port, damage: Damage::Missing } = self.lookup(&key)? {
                found.missing.push((key, port));
            }
        }
        Ok(found)
    }

    /// Returns what is wrong with an object, if anything is.
    fn fault(&self, name: &str) -> Option<String> {
        let Some(hash) = names::id::<ArtifactHash>(name) else { return Some("its name is not a hash".to_owned()) };
        match self.blobs.get(name) {
            Ok(Some(bytes)) if artifact::hash(&bytes) == hash => None,
            Ok(Some(bytes)) => Some(other_hash(&bytes)),
            Ok(None) => Some("it was deleted meanwhile".to_owned()),
            // The place is named beside the message.
            Err(StoreError::Io { source, .. }) => Some(source.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }
}
