//! Files that dead processes left behind and nothing will ever use. They are deleted even while there is room.

use std::{collections::BTreeSet, time::Duration};

use super::gc::{OLD, Victim, VictimKind};
use crate::{
    digest::{ArtifactHash, StageKey},
    store::{Store, StoreError, names},
};

/// Logs of work that failed are kept for this long.
const FORGOTTEN: Duration = Duration::from_secs(30 * 24 * 3600);

impl Store {
    /// Lists unfinished files, objects without a manifest and logs of failed work, if they are old enough, and locks whose
    /// holder is gone. `named` has the objects of all manifests, `works` their keys.
    pub(super) fn leftovers(
        &self,
        named: &BTreeSet<ArtifactHash>,
        works: &BTreeSet<StageKey>,
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
        for (name, trajectory, bytes) in self.scratches()? {
            let is_used = trajectory.map(|trajectory| self.holder(&trajectory)).transpose()?.flatten().is_some();
            if !is_used && age(&name) > OLD {
                let what = "temporary files of a program that is gone".to_owned();
                found.push(Victim { name, bytes, seconds: 0.0, what, kind: VictimKind::Folder });
            }
        }
        for name in self.blobs.list(names::LOGS)?.into_iter().filter(|name| age(name) > FORGOTTEN) {
            if names::id(&name).is_none_or(|key| !works.contains(&key)) {
                found.push(self.waste(name, "the log of work that was never finished", VictimKind::File));
            }
        }
        Ok(found)
    }

    fn waste(&self, name: String, what: &str, kind: VictimKind) -> Victim {
        let bytes = self.size(&name);
        Victim { name, bytes, seconds: 0.0, what: what.to_owned(), kind }
    }
}
