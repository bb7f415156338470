//! Named bytes, and the few operations on them that the whole room depends on. Knows nothing of what the bytes mean.
//!
//! [`Local`] keeps them as files. A bucket can stand in its place: the operations are those that object stores have.
//! What a local folder can do beyond them is asked for by [`Blobs::local_root`] and never assumed.

mod local;
#[cfg(test)]
mod memory;

use std::{fmt::Debug, path::Path, time::SystemTime};

pub use local::Local;
pub(super) use local::is_cache;
#[cfg(test)]
pub(super) use memory::Memory;

use crate::store::{StoreError, error::io_error};

/// A place for blobs. A name is a relative path with `/` between its segments: `manifests-v1/ab/abcd….json`.
///
/// Readers see a blob whole or not at all, whatever happens to its writer. Errors name the operation and the place.
pub trait Blobs: Debug + Send + Sync {
    /// Returns the bytes of a blob, or `None` if there is no such blob.
    ///
    /// # Errors
    /// If the blob may be there and cannot be read.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes a blob. Returns false, and changes nothing, if the condition in `put` does not hold.
    ///
    /// A replaced blob survives a power failure once this has returned. Blobs that are written under a condition
    /// coordinate running processes and need not survive one.
    ///
    /// # Errors
    /// If the blob cannot be written. What was there before is then still there.
    fn put(&self, name: &str, bytes: &[u8], put: Put<'_>) -> Result<bool, StoreError>;

    /// Writes a blob with the content of a file, as [`Put::Replace`] does. The file may be moved away.
    ///
    /// # Errors
    /// If the file cannot be read, or the blob cannot be written.
    fn put_file(&self, name: &str, file: &Path) -> Result<(), StoreError> {
        let bytes = std::fs::read(file).map_err(io_error("read", file))?;
        self.put(name, &bytes, Put::Replace).map(drop)
    }

    /// Returns the size and time of a blob, or `None` if there is no such blob.
    ///
    /// # Errors
    /// If the store does not answer: what is whole must not count as lost.
    fn head(&self, name: &str) -> Result<Option<Head>, StoreError>;

    /// Returns the names of all blobs below a folder, at any depth, in order. A folder is the first segments of a name.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    fn list(&self, folder: &str) -> Result<Vec<String>, StoreError>;

    /// Deletes a blob. Returns false if there was none.
    ///
    /// # Errors
    /// If the blob cannot be deleted.
    fn delete(&self, name: &str) -> Result<bool, StoreError>;

    /// Deletes a blob whose bytes pass the test, and returns whether it did. Of several callers only one gets true.
    ///
    /// # Errors
    /// If the blob cannot be read or deleted.
    fn delete_if(&self, name: &str, test: Condition<'_>) -> Result<bool, StoreError>;

    /// Writes something, removes it again, and returns the time by the clock that [`Head::modified`] is taken from.
    ///
    /// # Errors
    /// If nothing can be written.
    fn probe(&self) -> Result<SystemTime, StoreError>;

    /// Returns the time by the same clock, as exactly as locks need it: a second early or late does not matter.
    ///
    /// # Errors
    /// Those of [`Blobs::probe`].
    fn now(&self) -> Result<SystemTime, StoreError> {
        self.probe()
    }

    /// Returns whether there is a blob, whatever this machine remembers: on file systems that are shared over a network,
    /// a machine that did not find a name may go on not finding it for a minute after another machine made it.
    ///
    /// # Errors
    /// If the store does not answer.
    fn is_there(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self.head(name)?.is_some())
    }

    /// Returns where a blob is (or would be), for people: a path or a URL. The empty name stands for the whole store.
    fn place(&self, name: &str) -> String;

    /// Returns the first bytes of a blob, at most `most` of them.
    ///
    /// # Errors
    /// Those of [`Blobs::get`].
    fn get_start(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let mut bytes = self.get(name)?;
        if let Some(bytes) = &mut bytes {
            bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        }
        Ok(bytes)
    }

    /// Returns whether a folder certainly holds no blob. It may answer false where only empty folders are left.
    ///
    /// # Errors
    /// Those of [`Blobs::list`].
    fn is_empty(&self, folder: &str) -> Result<bool, StoreError> {
        Ok(self.list(folder)?.is_empty())
    }

    /// Deletes every blob below a folder.
    ///
    /// # Errors
    /// If the folder cannot be listed, or a blob cannot be deleted.
    fn delete_all(&self, folder: &str) -> Result<(), StoreError> {
        for name in self.list(folder)? {
            self.delete(&name)?;
        }
        Ok(())
    }

    /// Sets the time of a blob to `now`, if it can. Needed only where a clock that was set back leaves times in the
    /// future, so a store that keeps its own time may leave this out.
    fn touch(&self, _name: &str, _now: SystemTime) {}

    /// Returns the folder whose files are the blobs, if there is one. Then a blob can be linked to, and has a path
    /// that other programs can open.
    fn local_root(&self) -> Option<&Path> {
        None
    }
}

/// A condition on the present bytes of a blob.
pub type Condition<'a> = &'a dyn Fn(&[u8]) -> bool;

/// When [`Blobs::put`] writes.
#[derive(Clone, Copy)]
pub enum Put<'a> {
    /// If there is no blob of that name. Of several processes only one succeeds.
    Create,
    /// Always.
    Replace,
    /// If there is a blob of that name and its bytes pass the test. A store without such conditions tests just before
    /// it writes; locks are made so that a writer that comes between costs double work, never a wrong result.
    If(Condition<'a>),
}

/// What is known of a blob without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its size.
    pub bytes: u64,
    /// When it was last written, by the store's own clock.
    pub modified: SystemTime,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What every implementation must do.
    fn contract(blobs: &dyn Blobs) -> Result<(), StoreError> {
        let is = |wanted: &'static [u8]| move |now: &[u8]| now == wanted;
        assert_eq!(
            (blobs.get("a/b/c.json")?, blobs.head("a/b/c.json")?, blobs.delete("a/b/c.json")?),
            (None, None, false)
        );
        assert!(blobs.list("a")?.is_empty() && blobs.is_empty("a")?);
        blobs.delete_all("a")?;

        assert!(blobs.put("a/b/c.json", b"one", Put::Create)?);
        assert!(!blobs.put("a/b/c.json", b"two", Put::Create)?, "it is there");
        assert_eq!(blobs.get("a/b/c.json")?.as_deref(), Some(&b"one"[..]));
        assert!(blobs.put("a/b/c.json", b"three", Put::Replace)? && blobs.put("a/d", b"", Put::Replace)?);
        let head = blobs.head("a/b/c.json")?.expect("it is there");
        let now = blobs.probe()?;
        let apart = now.duration_since(head.modified).unwrap_or_else(|early| early.duration());
        assert!(head.bytes == 5 && apart < Duration::from_secs(60), "{head:?}, {now:?}");

        assert!(!blobs.put("a/b/c.json", b"x", Put::If(&is(b"one")))? && !blobs.put("a/e", b"x", Put::If(&|_| true))?);
        assert!(blobs.put("a/b/c.json", b"four", Put::If(&is(b"three")))?);
        assert!(!blobs.delete_if("a/b/c.json", &is(b"one"))? && !blobs.delete_if("a/e", &|_| true)?);
        assert_eq!(blobs.get("a/b/c.json")?.as_deref(), Some(&b"four"[..]));
        assert_eq!(blobs.get_start("a/b/c.json", 2)?.as_deref(), Some(&b"fo"[..]));
        assert_eq!(blobs.get_start("a/b/c.json", 1 << 40)?.as_deref(), Some(&b"four"[..]));
        assert_eq!(blobs.get_start("a/e", 2)?, None);

        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(&file, b"from a file").expect("written");
        blobs.put_file("a/f", file.path())?;
        assert_eq!(blobs.get("a/f")?.as_deref(), Some(&b"from a file"[..]));
        assert!(blobs.delete("a/f")?);

        assert!(blobs.is_there("a/d")? && !blobs.is_there("a/e")? && !blobs.is_there("none/e")?);
        assert_eq!(blobs.get("a/e")?, None, "a look leaves nothing");
        let apart =
            |one: SystemTime, other: SystemTime| one.duration_since(other).unwrap_or_else(|early| early.duration());
        assert!(apart(blobs.now()?, blobs.probe()?) < Duration::from_secs(1));

        blobs.put("ab", b"", Put::Replace)?;
        assert_eq!(blobs.list("a")?, ["a/b/c.json", "a/d"], "in order, and not what lies beside the folder");
        assert_eq!(blobs.list("a/b")?, ["a/b/c.json"]);
        assert!(!blobs.is_empty("a")?);
        assert!(blobs.delete_if("a/b/c.json", &is(b"four"))? && blobs.head("a/b/c.json")?.is_none());
        blobs.delete_all("a")?;
        assert_eq!((blobs.list("a")?, blobs.get("ab")?), (Vec::new(), Some(Vec::new())));
        Ok(())
    }

    #[test]
    fn a_folder_and_memory_keep_the_contract() -> Result<(), StoreError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        contract(&Local::new(folder.path().join("cache")))?;
        contract(&Memory::default())
    }

    #[test]
    fn one_of_many_creates_and_one_of_many_deletes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (local, memory) = (Local::new(folder.path()), Memory::default());
        let all: [&dyn Blobs; 2] = [&local, &memory];
        for blobs in all {
            let winners = |act: &(dyn Fn() -> bool + Sync)| {
                std::thread::scope(|scope| {
                    let threads: Vec<_> = (0..8).map(|_| scope.spawn(act)).collect();
                    threads.into_iter().map(|thread| thread.join().expect("no panic")).filter(|won| *won).count()
                })
            };
            assert_eq!(winners(&|| blobs.put("x", b"1", Put::Create).expect("written")), 1);
            assert_eq!(winners(&|| blobs.delete_if("x", &|now| now == b"1").expect("deleted")), 1);
            assert!(blobs.head("x").expect("an answer").is_none());
        }
    }
}
