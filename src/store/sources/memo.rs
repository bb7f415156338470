//! Memos: hashes of source files, remembered with their size, times and inode, so that a run reads only changed files.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::witness::{Stat, Witness, content, stat};
use crate::{
    digest::SourceHash,
    store::{Store, StoreError, blobs::Put, error::io_error, json::record, names},
    threads,
};

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    stat: Stat,
    hash: SourceHash,
}

/// Remembered hashes of the source files below one folder.
#[derive(Debug, Default)]
pub struct Memo {
    name: String,
    entries: BTreeMap<PathBuf, Entry>,
}

impl Store {
    /// Reads the memo of the files below `base`. A memo that cannot be read counts as empty.
    #[must_use]
    pub fn memo(&self, base: &Path) -> Memo {
        let name = names::memo(base);
        let entries = record::open(&*self.blobs, &name).ok().flatten().unwrap_or_default();
        Memo { name, entries }
    }

    /// Returns the digest of `files` (their content, and their paths relative to `base`), and a witness of their state
    /// just before they were read. With `remember`, new hashes are kept for the next time.
    ///
    /// # Errors
    /// If a file cannot be read; the error names it. A memo that cannot be written is not an error.
    pub fn hash_sources(
        &self,
        base: &Path,
        files: &[PathBuf],
        remember: bool,
    ) -> Result<(SourceHash, Witness), StoreError> {
        let mut memo = self.memo(base);
        let known = |file: &PathBuf| {
            let stat = stat(file).map_err(io_error("read", file))?;
            let entry = memo.entries.get(file).filter(|entry| entry.stat == stat);
            Ok((stat, entry.map(|entry| entry.hash)))
        };
        let known = files.iter().map(known).collect::<Result<Vec<_>, StoreError>>()?;
        let hash = |(file, (stat, known)): (&PathBuf, (Stat, Option<SourceHash>))| match known {
            Some(hash) => Ok(Hashed { stat, hash, fresh: false, settled: true }),
            None => {
                // The clock is read before the file: a change after this moment has a later time.
                let settled = stat.is_settled();
                let hash = content(file).map_err(io_error("read", file))?;
                Ok(Hashed { stat, hash, fresh: true, settled })
            }
        };
        // Threads are started only for files that must be read.
        let hashed: Vec<Hashed> = if known.iter().all(|(_, hash)| hash.is_some()) {
            files.iter().zip(known).map(hash).collect::<Result<_, StoreError>>()?
        } else {
            threads::shared(|| files.par_iter().zip(known).map(hash).collect::<Result<_, StoreError>>())?
        };

        let mut digest = blake3::Hasher::new();
        let mut changed = false;
        let mut witness = Witness::default();
        for (file, Hashed { stat, hash, fresh, settled }) in files.iter().zip(hashed) {
            let name = file.strip_prefix(base).unwrap_or(file).as_os_str().as_encoded_bytes();
            digest.update(&(name.len() as u64).to_le_bytes()).update(name).update(hash.hex().as_bytes());
            witness.files.push((file.clone(), stat, (!settled).then_some(hash)));
            if fresh && settled {
                memo.entries.insert(file.clone(), Entry { stat, hash });
                changed = true;
            }
        }
        if changed && remember {
            let known: std::collections::BTreeSet<_> = files.iter().collect();
            memo.entries.retain(|file, _| known.contains(file));
            // Without a memo the files are hashed again; no result depends on it.
            let _ = self.blobs.put(&memo.name, &record::seal(&memo.name, &memo.entries), Put::Replace);
        }
        Ok((digest.finalize().into(), witness))
    }
}

/// A file with its hash.
struct Hashed {
    stat: Stat,
    hash: SourceHash,
    /// Its hash was not remembered.
    fresh: bool,
    /// It had not changed for so long that any later change shows in its times.
    settled: bool,
}
