//! Locks: one holder for a key at a time, over all processes and machines that share a cache.
//!
//! A lock is a blob that only one process can create. Its holder writes it anew every [`BEAT`], with its progress. A
//! lock that has not been written for [`STALE`] has lost its holder, and whoever wants it takes it away. Ages are
//! measured by the store's own clock, so machines with different clocks agree. `holder.rs` knows whether a process of
//! this machine is still there; this file does not know how.
//!
//! ```text
//!            create                      beat, every 2 s
//! no lock ----------> held by a token ------------------> held by the same token
//!    ^                       |
//!    |  dropped              |  its process is gone, or it was not written for 30 s
//!    |<----------------------+
//!    |                       v
//!    '---- deleted -------- lost     by one process only, and only while the lock has the token that was seen
//! ```

mod holder;

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

pub use holder::Holder;
pub(super) use holder::machine;

use super::{Store, StoreError, blobs::Put, json::record::to_json, names};
use crate::digest::StageKey;

/// How often a holder shows that it lives.
pub const BEAT: Duration = Duration::from_secs(2);
/// After how long without a beat a lock has lost its holder.
pub(super) const STALE: Duration = Duration::from_secs(30);

/// A held lock. Dropping it releases it.
#[derive(Debug)]
pub struct Lock {
    name: String,
    store: Store,
    holder: Holder,
}

/// The outcome of trying to lock.
#[derive(Debug)]
pub enum Attempt {
    /// This process holds the lock.
    Held(Lock),
    /// Another process holds it.
    Busy(Holder),
}

impl Store {
    /// Tries to take the lock on `key`.
    ///
    /// # Errors
    /// If the lock cannot be written or read.
    pub fn try_lock(&self, key: &StageKey) -> Result<Attempt, StoreError> {
        let name = names::lock(key);
        let holder = Holder::here();
        loop {
            // A look costs less than an attempt to make a file, above all over a network.
            if let Some(other) = self.read_lock(&name)? {
                if !self.is_lost(&name, &other) {
                    return Ok(Attempt::Busy(other));
                }
                self.take_away(&name, &other)?;
            }
            if self.blobs.put(&name, &to_json(&holder), Put::Create)? {
                return Ok(Attempt::Held(Lock { name, store: self.clone(), holder }));
            }
        }
    }

    /// Registers this process with garbage collection by locking a name of its own.
    ///
    /// # Errors
    /// If the lock cannot be written.
    pub fn announce(&self) -> Result<Option<Lock>, StoreError> {
        let name = StageKey::of(Holder::here().token.as_bytes());
        let Attempt::Held(mut lock) = self.try_lock(&name)? else { return Ok(None) };
        let head = self.blobs.head(&lock.name).ok().flatten();
        lock.holder.began = seconds(head.map_or_else(SystemTime::now, |head| head.modified));
        Ok(Some(lock))
    }

    /// Returns the holders of all locks that are not lost, on whatever machine they are.
    ///
    /// # Errors
    /// If the locks cannot be read.
    pub fn holders(&self) -> Result<Vec<Holder>, StoreError> {
        let mut holders = Vec::new();
        for name in self.blobs.list(names::LOCKS)? {
            holders.extend(self.living(&name)?);
        }
        Ok(holders)
    }

    /// Returns the process that works on `key`, if there is one.
    ///
    /// # Errors
    /// If the lock cannot be read.
    pub fn holder(&self, key: &StageKey) -> Result<Option<Holder>, StoreError> {
        self.living(&names::lock(key))
    }

    fn living(&self, name: &str) -> Result<Option<Holder>, StoreError> {
        Ok(self.read_lock(name)?.filter(|holder| !self.is_lost(name, holder)))
    }

    /// Lists the locks that nobody holds any more: their process is known to be gone, or they have had no beat for
    /// `age`.
    pub(super) fn lost_locks(&self, age: Duration) -> Result<Vec<String>, StoreError> {
        let mut lost = Vec::new();
        for name in self.blobs.list(names::LOCKS)? {
            if self.last_holder(&name, age)?.is_some() {
                lost.push(name);
            }
        }
        Ok(lost)
    }

    /// Deletes a lost lock, unless someone has taken it since.
    pub(super) fn clear_lost(&self, name: &str, age: Duration) -> Result<(), StoreError> {
        match self.last_holder(name, age)? {
            Some(holder) => self.take_away(name, &holder),
            None => Ok(()),
        }
    }

    /// Returns the last holder of a lock, if the lock is lost.
    fn last_holder(&self, name: &str, age: Duration) -> Result<Option<Holder>, StoreError> {
        let Some(holder) = self.read_lock(name)? else { return Ok(None) };
        let beat = self.blobs.head(name).ok().flatten().map(|head| head.modified);
        let silent = beat.and_then(|beat| SystemTime::now().duration_since(beat).ok()).is_some_and(|beat| beat > age);
        let lost = holder.is_gone() || (silent && self.is_lost(name, &holder));
        Ok(lost.then_some(holder))
    }

    /// Reads who holds a lock; `None` if there is no lock.
    fn read_lock(&self, name: &str) -> Result<Option<Holder>, StoreError> {
        Ok(self.blobs.get(name)?.map(|bytes| Holder::of(&bytes)))
    }

    /// Returns whether a lock has lost its holder.
    fn is_lost(&self, name: &str, holder: &Holder) -> bool {
        if holder.is_gone() {
            return true;
        }
        // Where nothing can be written, nobody works, and any clock will do.
        let now = self.blobs.now().unwrap_or_else(|_| SystemTime::now());
        let Ok(Some(head)) = self.blobs.head(name) else { return false };
        match now.duration_since(head.modified) {
            Ok(age) => age > STALE,
            Err(ahead) => {
                // The clock was set back. A living holder writes its lock soon. The lock of a dead one would look fresh
                // until the clock is past its time again, so its time is set to now, and its age counts from here.
                if ahead.duration() > BEAT {
                    self.blobs.touch(name, now);
                }
                false
            }
        }
    }

    /// Deletes a lost lock, unless another process has taken it since.
    fn take_away(&self, name: &str, lost: &Holder) -> Result<(), StoreError> {
        self.blobs.delete_if(name, &|now| Holder::of(now).token == lost.token).map(drop)
    }
}

impl Lock {
    /// Shows that the holder lives, and its progress. Returns false if the lock was taken away meanwhile, as when the
    /// machine slept.
    ///
    /// # Errors
    /// If the lock cannot be read or written.
    pub fn beat(&mut self, progress: &str, needs: &BTreeSet<StageKey>) -> Result<bool, StoreError> {
        progress.clone_into(&mut self.holder.progress);
        needs.clone_into(&mut self.holder.needs);
        self.store.blobs.put(&self.name, &to_json(&self.holder), Put::If(&|now| self.is_ours(now)))
    }

    fn is_ours(&self, lock: &[u8]) -> bool {
        Holder::of(lock).token == self.holder.token
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.store.blobs.delete_if(&self.name, &|now| self.is_ours(now));
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::fs;

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
        fs::write(&path, to_json(&lost)).expect("written");
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
        fs::write(&path, to_json(&other)).expect("written");
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
        for content in [b"torn".to_vec(), Vec::new(), to_json(&elsewhere)] {
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
