//! Files that dead processes left behind and nothing will ever use. They are deleted even while there is room.

use std::{collections::BTreeSet, time::Duration};

use super::gc::{OLD, Victim, VictimKind};
use crate::{
    digest::ArtifactHash,
    store::{Store, StoreError, names},
};

impl Store {
    /// Lists unfinished files and objects without a manifest, if they are old enough, and locks whose holder is gone.
    pub(super) fn leftovers(
        &self,
        named: &BTreeSet<ArtifactHash>,
        age: &dyn Fn(&str) -> Duration,
    ) -> Result<Vec<Victim>, StoreError> {
        let mut found = Vec::new();
        for name in self.blobs.list(names::TMP)?.into_iter().filter(|name| age(name) > OLD) {
            found.push(self.waste(name, "an unfinished file", VictimKind::File));
        }
        for (name, _) in self.objects()?.into_iter().filter(|(name, _)| age(name) > OLD) {
            if names::id(&name).is_none_or(|hash| !named.contains(&hash)) {
                found.push(self.waste(name, "an object that no result names", VictimKind::File));
            }
        }
        for name in self.lost_locks(OLD)? {
            found.push(self.waste(name, "the lock of a process that is gone", VictimKind::Lock));
        }
        Ok(found)
    }

    fn waste(&self, name: String, what: &str, kind: VictimKind) -> Victim {
        let bytes = self.size(&name);
        Victim { name, bytes, seconds: 0.0, what: what.to_owned(), kind }
    }
}
