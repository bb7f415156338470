//! Hashes of source files, remembered by what the file system says of them, so that a run without changes reads none.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, io_error};
use crate::digest::SourceHash;

/// A file changed this shortly before it was hashed might change again within the clock's grain, unseen.
const GRAIN: i64 = 1_000_000_000;

/// What the file system says of a file: size, times of change in ns, inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stat(u64, i64, i64, u64);

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    stat: Stat,
    hash: SourceHash,
}

/// Remembered hashes of the source files below one folder.
#[derive(Debug, Default)]
pub struct Memo {
    path: PathBuf,
    entries: BTreeMap<PathBuf, Entry>,
}

impl Store {
    /// The memo of files below `base`. One that cannot be read counts as empty.
    #[must_use]
    pub fn memo(&self, base: &Path) -> Memo {
        let id = blake3::hash(base.as_os_str().as_encoded_bytes()).to_hex();
        let path = self.root.join("memo-v1").join(format!("{}.json", &id[..32]));
        let entries = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Memo { path, entries }
    }

    /// The digest of `files` (their content, and their paths relative to `base`). With `remember`, new hashes are
    /// kept for the next time.
    ///
    /// # Errors
    /// If a file cannot be read; the error names it. A memo that cannot be written is no error.
    pub fn hash_sources(&self, base: &Path, files: &[PathBuf], remember: bool) -> Result<SourceHash, StoreError> {
        let mut memo = self.memo(base);
        let known = |file: &PathBuf| {
            let stat = stat(file).map_err(io_error("read", file))?;
            let entry = memo.entries.get(file).filter(|entry| entry.stat == stat);
            Ok((stat, entry.map(|entry| entry.hash)))
        };
        let known = files.iter().map(known).collect::<Result<Vec<_>, StoreError>>()?;
        let hash = |(file, (stat, hash)): (&PathBuf, (Stat, Option<SourceHash>))| match hash {
            Some(hash) => Ok((hash, None)),
            None => content(file).map_err(io_error("read", file)).map(|hash| (hash, Some(stat))),
        };
        // Threads are only started for files that must be read.
        let hashed: Vec<(SourceHash, Option<Stat>)> = if known.iter().all(|(_, hash)| hash.is_some()) {
            files.iter().zip(known).map(hash).collect::<Result<_, StoreError>>()?
        } else {
            files.par_iter().zip(known).map(hash).collect::<Result<_, StoreError>>()?
        };

        let mut digest = blake3::Hasher::new();
        let mut changed = false;
        for (file, (hash, fresh)) in files.iter().zip(hashed) {
            let name = file.strip_prefix(base).unwrap_or(file).as_os_str().as_encoded_bytes();
            digest.update(&(name.len() as u64).to_le_bytes()).update(name).update(hash.hex().as_bytes());
            if let Some(stat) = fresh.filter(Stat::is_settled) {
                memo.entries.insert(file.clone(), Entry { stat, hash });
                changed = true;
            }
        }
        if changed && remember {
            let known: std::collections::BTreeSet<_> = files.iter().collect();
            memo.entries.retain(|file, _| known.contains(file));
            // Lost memos cost time, not results.
            let json = serde_json::to_vec(&memo.entries).unwrap_or_default();
            let _ = self.write_atomically(&memo.path, &json);
        }
        Ok(digest.finalize().into())
    }
}

impl Stat {
    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i64);
        now - self.1.max(self.2) > GRAIN
    }
}

fn stat(file: &Path) -> io::Result<Stat> {
    let m = fs::metadata(file)?;
    let ns = |s: i64, ns: i64| s * 1_000_000_000 + ns;
    Ok(Stat(m.len(), ns(m.mtime(), m.mtime_nsec()), ns(m.ctime(), m.ctime_nsec()), m.ino()))
}

fn content(file: &Path) -> io::Result<SourceHash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_mmap_rayon(file)?;
    Ok(hasher.finalize().into())
}
