//! Is everything what its name says?

use std::{fs, path::PathBuf};

use rayon::prelude::*;

use super::super::{Damage, Lookup, Store, StoreError, artifact};
use crate::{
    digest::{ArtifactHash, StageKey},
    threads,
};

/// What a look at every object found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Objects that are what their names say.
    pub sound: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files below `objects/` that are not, with what is wrong.
    pub corrupt: Vec<(PathBuf, String)>,
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
    /// Hashes every object anew and looks for the objects of every manifest. With `repair`, corrupt files are deleted,
    /// so that the next run that needs them makes them again.
    ///
    /// # Errors
    /// If the cache cannot be read, or a corrupt file cannot be deleted.
    pub fn verify(&self, repair: bool) -> Result<Verification, StoreError> {
        let objects = self.objects()?;
        let check = || objects.par_iter().map(|(path, bytes)| (path, *bytes, fault(path))).collect();
        let checked: Vec<_> = threads::shared(check);
        let mut found = Verification::default();
        for (path, bytes, fault) in checked {
            match fault {
                None => {
                    found.sound += 1;
                    found.bytes += bytes;
                }
                Some(message) => {
                    if repair {
                        fs::remove_file(path).map_err(super::super::io_error("delete", path))?;
                    }
                    found.corrupt.push((path.clone(), message));
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
}

/// What is wrong with the object in a file, if anything is.
fn fault(path: &std::path::Path) -> Option<String> {
    let name = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse::<ArtifactHash>().ok());
    let Some(name) = name else { return Some("its name is not a hash".to_owned()) };
    match fs::read(path) {
        Ok(bytes) if artifact::hash(&bytes) == name => None,
        Ok(bytes) => Some(format!("its {} bytes have another hash than its name", bytes.len())),
        Err(error) => Some(error.to_string()),
    }
}
