//! One holder for a key at a time, over processes and machines that share a cache.
//!
//! A lock is a file that only one can create. Its holder writes it anew every [`BEAT`], with its progress; a lock whose
//! file has not changed for [`STALE`] has lost its holder and is taken away. Ages are read from the file system's own
//! clock, so machines with different clocks agree. A holder on this machine that is gone is seen at once.

mod holder;

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

pub use holder::Holder;

use super::{Store, StoreError, create_folders, io_error, list};
use crate::digest::StageKey;

/// How often a holder shows that it lives.
pub const BEAT: Duration = Duration::from_secs(2);
/// After how long without a beat a lock has lost its holder.
pub const STALE: Duration = Duration::from_secs(30);

/// A held lock. Dropping it lets go.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    store: Store,
    holder: Holder,
}

/// The outcome of trying to lock.
#[derive(Debug)]
pub enum Attempt {
    /// It is ours.
    Held(Lock),
    /// Someone else has it.
    Busy(Holder),
}

impl Store {
    /// Tries to become the one who works on `key`.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn try_lock(&self, key: &StageKey) -> Result<Attempt, StoreError> {
        let path = self.root.join("locks-v1").join(format!("{key}.json"));
        let folder = path.parent().unwrap_or(&self.root);
        create_folders(folder)?;
        let holder = Holder::here();
        loop {
            // The content must be there the moment the name is, so it is linked, not created and then written.
            let tmp = self.written(&holder)?;
            match tmp.persist_noclobber(&path) {
                Ok(_) => return Ok(Attempt::Held(Lock { path, store: self.clone(), holder })),
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io_error("write", &path)(error.error)),
            }
            let Some(other) = read(&path)? else { continue };
            if !self.is_lost(&path, &other)? {
                return Ok(Attempt::Busy(other));
            }
            self.take_away(&path, &other)?;
        }
    }

    /// Tells upkeep that a run goes on. The lock is on nothing but a name of its own.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn announce(&self) -> Result<Option<Lock>, StoreError> {
        let name = StageKey::of(Holder::here().token.as_bytes());
        let Attempt::Held(mut lock) = self.try_lock(&name)? else { return Ok(None) };
        lock.holder.began = modified(&lock.path).unwrap_or_else(now_secs);
        Ok(Some(lock))
    }

    /// Those at work, wherever they are: all holders of locks that live.
    ///
    /// # Errors
    /// If the locks cannot be read.
    pub fn holders(&self) -> Result<Vec<Holder>, StoreError> {
        let mut holders = Vec::new();
        for path in list(&self.root.join("locks-v1"))? {
            if let Some(holder) = read(&path)?
                && !self.is_lost(&path, &holder)?
            {
                holders.push(holder);
            }
        }
        Ok(holders)
    }

    /// Who works on `key`, if anybody does.
    ///
    /// # Errors
    /// If the lock cannot be read.
    pub fn holder(&self, key: &StageKey) -> Result<Option<Holder>, StoreError> {
        let path = self.root.join("locks-v1").join(format!("{key}.json"));
        let Some(holder) = read(&path)? else { return Ok(None) };
        Ok(if self.is_lost(&path, &holder)? { None } else { Some(holder) })
    }

    /// The lock files that nobody holds any more: their process is known to be gone, or they have had no beat for `age`.
    pub(in crate::store) fn lost_locks(&self, age: Duration) -> Result<Vec<PathBuf>, StoreError> {
        let mut lost = Vec::new();
        for path in list(&self.root.join("locks-v1"))? {
            if self.lost(&path, age)?.is_some() {
                lost.push(path);
            }
        }
        Ok(lost)
    }

    /// Deletes a lost lock, unless someone has taken it since.
    pub(in crate::store) fn clear_lost(&self, path: &Path, age: Duration) -> Result<(), StoreError> {
        match self.lost(path, age)? {
            Some(holder) => self.take_away(path, &holder),
            None => Ok(()),
        }
    }

    /// The last holder of a lock, if the lock is lost.
    fn lost(&self, path: &Path, age: Duration) -> Result<Option<Holder>, StoreError> {
        let Some(holder) = read(path)? else { return Ok(None) };
        let beat = fs::metadata(path).and_then(|found| found.modified()).ok();
        let silent = beat.and_then(|beat| SystemTime::now().duration_since(beat).ok()).is_some_and(|beat| beat > age);
        let lost = holder.is_gone() || (silent && self.is_lost(path, &holder)?);
        Ok(lost.then_some(holder))
    }

    fn written(&self, holder: &Holder) -> Result<tempfile::NamedTempFile, StoreError> {
        let tmp = self.root.join("tmp");
        create_folders(&tmp)?;
        let file = super::temporary(&tmp).map_err(io_error("create a file in", &tmp))?;
        fs::write(file.path(), super::to_json(holder)).map_err(io_error("write", file.path()))?;
        Ok(file)
    }

    /// Whether nobody holds the lock at `path` any more.
    fn is_lost(&self, path: &Path, holder: &Holder) -> Result<bool, StoreError> {
        if holder.is_gone() {
            return Ok(true);
        }
        let modified = |path: &Path| fs::metadata(path).and_then(|m| m.modified());
        // A new file tells the time of the file system. Where none can be made, nobody works, and any clock will do.
        let probe = self.written(holder).ok();
        let now = probe.and_then(|probe| modified(probe.path()).ok()).unwrap_or_else(SystemTime::now);
        let Ok(beat) = modified(path) else { return Ok(false) };
        Ok(match now.duration_since(beat) {
            Ok(age) => age > STALE,
            Err(ahead) => {
                // The clock was set back. A living holder writes its lock soon; a dead one's would look fresh for as
                // long as the clock needs to get there again, so its time is set to now, and it grows old from here.
                if ahead.duration() > BEAT {
                    let file = fs::File::options().write(true).open(path);
                    let _ = file.and_then(|file| file.set_modified(now));
                }
                false
            }
        })
    }

    /// Moves a lost lock out of the way. Only one of several can: the others find it gone.
    fn take_away(&self, path: &Path, lost: &Holder) -> Result<(), StoreError> {
        // The token is what a file said, so no part of a path.
        let name = StageKey::of(lost.token.as_bytes());
        let aside = self.root.join("tmp").join(format!("lost-{name}"));
        match fs::rename(path, &aside) {
            Ok(()) => {
                // Between the look and the move someone else may have done the same and locked: give that back.
                if read(&aside)?.is_some_and(|moved| moved.token != lost.token) {
                    let _ = fs::hard_link(&aside, path);
                }
                let _ = fs::remove_file(&aside);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io_error("rename", path)(error)),
        }
    }
}

impl Lock {
    /// Shows that the holder lives, and how far it is. False if the lock was taken away meanwhile (the machine slept).
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn beat(&mut self, progress: &str, needs: &BTreeSet<StageKey>) -> Result<bool, StoreError> {
        if read(&self.path)?.is_none_or(|now| now.token != self.holder.token) {
            return Ok(false);
        }
        progress.clone_into(&mut self.holder.progress);
        needs.clone_into(&mut self.holder.needs);
        let tmp = self.store.written(&self.holder)?;
        tmp.persist(&self.path).map_err(|error| io_error("write", &self.path)(error.error))?;
        Ok(true)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if read(&self.path).is_ok_and(|now| now.is_some_and(|now| now.token == self.holder.token)) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// When a file was last changed, in seconds of the file system's clock.
fn modified(path: &Path) -> Option<u64> {
    let time = fs::metadata(path).and_then(|found| found.modified()).ok()?;
    time.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

fn now_secs() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The holder that a lock names; `None` if there is no lock.
fn read(path: &Path) -> Result<Option<Holder>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).unwrap_or_else(|_| Holder::unknown()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path());
        (folder, store)
    }

    #[test]
    fn one_holder_at_a_time() -> Result<(), StoreError> {
        let (_folder, store) = store();
        let key = StageKey::of(b"work");
        let Attempt::Held(mut lock) = store.try_lock(&key)? else { panic!("nobody else is there") };
        assert!(lock.beat("epoch 2/3", &BTreeSet::new())?);
        match store.try_lock(&key)? {
            Attempt::Busy(holder) => {
                assert_eq!((holder.pid, holder.progress.as_str()), (std::process::id(), "epoch 2/3"))
            }
            Attempt::Held(_) => panic!("two holders"),
        }
        drop(lock);
        assert!(store.holder(&key)?.is_none());
        assert!(matches!(store.try_lock(&key)?, Attempt::Held(_)));
        Ok(())
    }

    #[test]
    fn a_lock_whose_process_is_gone_is_taken_over() -> Result<(), StoreError> {
        let (folder, store) = store();
        let key = StageKey::of(b"work");
        let path = folder.path().join("locks-v1").join(format!("{key}.json"));
        fs::create_dir_all(folder.path().join("locks-v1")).expect("made");
        let lost = Holder { started: 1, ..Holder::here() };
        fs::write(&path, super::super::to_json(&lost)).expect("written");
        assert!(store.holder(&key)?.is_none());
        assert!(matches!(store.try_lock(&key)?, Attempt::Held(_)));
        Ok(())
    }

    #[test]
    fn a_lock_of_another_machine_is_taken_over_when_its_beat_stops() -> Result<(), StoreError> {
        let (folder, store) = store();
        let key = StageKey::of(b"work");
        let path = folder.path().join("locks-v1").join(format!("{key}.json"));
        fs::create_dir_all(folder.path().join("locks-v1")).expect("made");
        let other = Holder { host: "elsewhere".to_owned(), ..Holder::here() };
        fs::write(&path, super::super::to_json(&other)).expect("written");
        assert!(matches!(store.try_lock(&key)?, Attempt::Busy(_)));
        let file = fs::File::options().write(true).open(&path).expect("opened");
        file.set_modified(SystemTime::now() - STALE - Duration::from_secs(1)).expect("set");
        assert!(matches!(store.try_lock(&key)?, Attempt::Held(_)));
        Ok(())
    }

    #[test]
    fn a_lock_that_cannot_be_read_or_lies_in_the_future_is_taken_over_in_time() -> Result<(), StoreError> {
        let (folder, store) = store();
        let key = StageKey::of(b"work");
        let path = folder.path().join("locks-v1").join(format!("{key}.json"));
        fs::create_dir_all(folder.path().join("locks-v1")).expect("made");
        let elsewhere = Holder { host: "elsewhere".to_owned(), token: "../a/b".to_owned(), ..Holder::here() };
        for content in [b"torn".to_vec(), Vec::new(), super::super::to_json(&elsewhere)] {
            fs::write(&path, content).expect("written");
            let age = |change: &dyn Fn(SystemTime) -> SystemTime| {
                let file = fs::File::options().write(true).open(&path).expect("opened");
                file.set_modified(change(SystemTime::now())).expect("set");
            };
            age(&|now| now + Duration::from_secs(3600));
            assert!(matches!(store.try_lock(&key)?, Attempt::Busy(_)));
            let beat = fs::metadata(&path).and_then(|found| found.modified()).expect("a time");
            assert!(beat <= SystemTime::now() + BEAT, "its time is set to now");
            age(&|now| now - STALE - Duration::from_secs(1));
            assert!(matches!(store.try_lock(&key)?, Attempt::Held(_)));
        }
        Ok(())
    }
}
