//! Files that dead processes left behind and nothing will ever use. They are deleted whatever room there is.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    super::{Store, StoreError},
    gc::{Thing, Victim, walk},
};
use crate::digest::ArtifactHash;

/// A younger file may still be being written.
pub(super) const OLD: Duration = Duration::from_secs(3600);

impl Store {
    /// Unfinished files and objects without a manifest, if they are old enough, and locks whose holder is gone.
    pub(super) fn leftovers(
        &self,
        named: &BTreeSet<ArtifactHash>,
        age: &dyn Fn(&Path) -> Duration,
    ) -> Result<Vec<Victim>, StoreError> {
        let mut found = Vec::new();
        for path in walk(&self.root.join("tmp"))?.into_iter().filter(|path| age(path) > OLD) {
            found.push(waste(path, "an unfinished file", Thing::File));
        }
        for (path, _) in self.objects()?.into_iter().filter(|(path, _)| age(path) > OLD) {
            let hash = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            if hash.is_none_or(|hash| !named.contains(&hash)) {
                found.push(waste(path, "an object that no result names", Thing::File));
            }
        }
        for path in self.lost_locks(OLD)? {
            found.push(waste(path, "the lock of a process that is gone", Thing::Lock));
        }
        Ok(found)
    }
}

fn waste(path: PathBuf, what: &str, thing: Thing) -> Victim {
    let bytes = fs::metadata(&path).map_or(0, |found| found.len());
    Victim { path, bytes, seconds: 0.0, what: what.to_owned(), thing }
}
