//! Hashes of source files, remembered by what the file system says of them, so that a run without changes reads none; and
//! the proof that files did not change while a stage read them.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::super::{Store, StoreError, io_error, json::record};
use crate::{digest::SourceHash, threads};

/// A file changed this shortly before it was hashed might change again within the clock's grain, unseen.
const GRAIN: i64 = 1_000_000_000;
/// Bytes of a file that are read and hashed at a time.
const BLOCK: u64 = 8 << 20;

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
        let entries = record::open(&path).ok().flatten().unwrap_or_default();
        Memo { path, entries }
    }

    /// The digest of `files` (their content, and their paths relative to `base`), and what the file system said of them
    /// before they were read. With `remember`, new hashes are kept for the next time.
    ///
    /// # Errors
    /// If a file cannot be read; the error names it. A memo that cannot be written is no error.
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
                // Asked before it is read: a change after this moment has a later time.
                let settled = stat.is_settled();
                let hash = content(file).map_err(io_error("read", file))?;
                Ok(Hashed { stat, hash, fresh: true, settled })
            }
        };
        // Threads are only started for files that must be read.
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
            // Lost memos cost time, not results.
            let _ = self.write_atomically(&memo.path, &record::seal(&memo.path, &memo.entries));
        }
        Ok((digest.finalize().into(), witness))
    }
}

/// A file that was hashed.
struct Hashed {
    stat: Stat,
    hash: SourceHash,
    /// Its hash was not remembered.
    fresh: bool,
    /// It had not changed for a while before it was read.
    settled: bool,
}

/// What the file system said of source files just before they were hashed. Files that still look the same later did not
/// change in between, whoever read them meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// Each file with its stat; and with its hash where it was so young that a change might not show in its times.
    files: Vec<(PathBuf, Stat, Option<SourceHash>)>,
}

impl Witness {
    /// The first file that is not as it was: another one now stands at its place in the list, it cannot be read, or the file
    /// system or its content says that it changed.
    #[must_use]
    pub fn changed(&self, now: &[PathBuf]) -> Option<PathBuf> {
        let same = |(file, seen, young): &&(PathBuf, Stat, Option<SourceHash>)| {
            let content = || young.is_none_or(|hash| content(file).is_ok_and(|now| now == hash));
            stat(file).is_ok_and(|now| now == *seen) && content()
        };
        let other =
            self.files.iter().zip(now).find(|((file, ..), now)| file != *now).map(|((file, ..), _)| file.clone());
        let more = || self.files.get(now.len()).map(|(file, ..)| file).or_else(|| now.get(self.files.len())).cloned();
        other.or_else(more).or_else(|| self.files.iter().find(|file| !same(file)).map(|(file, ..)| file.clone()))
    }
}

impl Stat {
    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i64);
        now.saturating_sub(self.1.max(self.2)) > GRAIN
    }
}

fn stat(file: &Path) -> io::Result<Stat> {
    let m = fs::metadata(file)?;
    // Times beyond the year 2262 are possible, and all one here.
    let ns = |s: i64, ns: i64| s.saturating_mul(1_000_000_000).saturating_add(ns);
    Ok(Stat(m.len(), ns(m.mtime(), m.mtime_nsec()), ns(m.ctime(), m.ctime_nsec()), m.ino()))
}

fn content(file: &Path) -> io::Result<SourceHash> {
    // Not mapped into memory: a file that is cut or fails meanwhile would end the process instead of being an error.
    let mut file = fs::File::open(file)?;
    let length = file.metadata()?.len().min(BLOCK);
    let mut block = vec![0; usize::try_from(length).unwrap_or_default().max(1)];
    let mut hasher = blake3::Hasher::new();
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(hasher.finalize().into());
        }
        hasher.update_rayon(&block[..read]);
    }
}
