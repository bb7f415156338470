//! Witnesses: proof that source files did not change while a stage read them.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::digest::SourceHash;

/// Nanoseconds after which a change of a file certainly shows in its times. A file that was changed later than this
/// before it was hashed could change again unnoticed.
const GRAIN: i64 = 1_000_000_000;
/// Bytes of a file that are read and hashed at a time.
const BLOCK: u64 = 8 << 20;

/// The state of a file: size, modification and change time in ns, inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Stat(u64, i64, i64, u64);

/// The state of source files just before they were hashed. If it is the same later, the files did not change in
/// between, and whoever read them meanwhile read the content that was hashed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// Each file with its state, and with its hash if it was so young that a change might not show in its times.
    pub(super) files: Vec<(PathBuf, Stat, Option<SourceHash>)>,
}

impl Witness {
    /// Returns the first file that changed, given the list of files now: it is not at its place in the list, it cannot
    /// be read, or its state or content is different.
    #[must_use]
    pub fn changed(&self, now: &[PathBuf]) -> Option<PathBuf> {
        let same = |(file, seen, young): &&(PathBuf, Stat, Option<SourceHash>)| {
            let content = || young.is_none_or(|hash| content(file).is_ok_and(|now: SourceHash| now == hash));
            stat(file).is_ok_and(|now| now == *seen) && content()
        };
        let other =
            self.files.iter().zip(now).find(|((file, ..), now)| file != *now).map(|((file, ..), _)| file.clone());
        let more = || self.files.get(now.len()).map(|(file, ..)| file).or_else(|| now.get(self.files.len())).cloned();
        other.or_else(more).or_else(|| self.files.iter().find(|file| !same(file)).map(|(file, ..)| file.clone()))
    }
}

impl Stat {
    pub(in crate::store) fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i64);
        now.saturating_sub(self.1.max(self.2)) > GRAIN
    }
}

pub(in crate::store) fn stat(file: &Path) -> io::Result<Stat> {
    let m = fs::metadata(file)?;
    // Times after the year 2262 are possible; here they are all the same.
    let ns = |s: i64, ns: i64| s.saturating_mul(1_000_000_000).saturating_add(ns);
    Ok(Stat(m.len(), ns(m.mtime(), m.mtime_nsec()), ns(m.ctime(), m.ctime_nsec()), m.ino()))
}

/// Returns the hash of a file's content, read in blocks.
pub(in crate::store) fn content<H: From<blake3::Hash>>(file: &Path) -> io::Result<H> {
    // Not mapped into memory: if the file were truncated meanwhile, that would end the process instead of being an
    // error.
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
