//! Blobs as the files of a folder. A blob is written to `tmp/` and gets its name when it is whole.

use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use tempfile::NamedTempFile;

use super::{Blobs, Condition, Head, Put};
use crate::store::{StoreError, error::io_error, names};

/// A folder, on one machine or on a file system that several share. It need not exist: the first write makes it.
#[derive(Debug)]
pub struct Local {
    root: PathBuf,
    /// The time of the file system when it was last asked, by the clock of this process.
    clock: Mutex<Option<(Instant, SystemTime)>>,
}

/// How long the clock of this process is trusted to run like that of the file system. Asking makes a file.
const TRUSTED: Duration = Duration::from_secs(60);

/// Whether `root` is a cache: a folder that holds what a cache holds, or nothing yet.
///
/// # Errors
/// If the disk does not say.
pub(crate) fn is_cache(root: &Path) -> Result<bool, StoreError> {
    match existing(fs::metadata(root)).map_err(io_error("read", root))? {
        Some(found) if found.is_dir() => {}
        _ => return Ok(false),
    }
    let hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let inside = entries(root)?.into_iter().map(|entry| entry.path()).collect::<Vec<_>>();
    let ours = [TAG, names::OBJECTS, names::MANIFESTS, names::STATES, names::LOCKS, names::RUNS, names::TMP];
    Ok(inside.iter().all(hidden) || inside.iter().any(|path| ours.iter().any(|name| path.ends_with(name))))
}

/// The file that tells backup programs to leave the folder out.
const TAG: &str = "CACHEDIR.TAG";
const TAG_TEXT: &str =
    "Signature: 8a477f597d28d172789f06886806bc55\n# Made by strata; see https://bford.info/cachedir/\n";

impl Local {
    /// The blobs in the folder `root`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), clock: Mutex::new(None) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Writes a file and its name in its folder to the disk itself: file, rename, folder, in this order.
    fn write_flushed(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        self.tag()?;
        let folder = path.parent().unwrap_or(&self.root);
        create_folders(folder)?;
        let mut file = self.temporary()?;
        file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(io_error("write", path))?;
        file.persist(path).map_err(|error| io_error("write", path)(error.error))?;
        // Without this the rename itself may be lost with the power.
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("flush", folder))
    }

    /// A file in `tmp/` with the bytes that are to stand at `path`.
    fn written(&self, path: &Path, bytes: &[u8]) -> Result<NamedTempFile, StoreError> {
        let mut file = self.temporary()?;
        file.write_all(bytes).map_err(io_error("write", path))?;
        Ok(file)
    }

    /// A new file in `tmp/`, as readable as the umask says: unlike other temporary files, these become files that
    /// people share.
    fn temporary(&self) -> Result<NamedTempFile, StoreError> {
        let tmp = self.path(names::TMP);
        create_folders(&tmp)?;
        let mut builder = tempfile::Builder::new();
        let made = builder.permissions(fs::Permissions::from_mode(0o666)).tempfile_in(&tmp);
        made.map_err(io_error("create a file in", &tmp))
    }

    fn tag(&self) -> Result<(), StoreError> {
        let path = self.path(TAG);
        // A write that failed leaves an empty one.
        if fs::metadata(&path).is_ok_and(|found| found.len() > 0) {
            return Ok(());
        }
        create_folders(&self.root)?;
        fs::write(&path, TAG_TEXT).map_err(io_error("write", &path))
    }

    /// Adds the names of all files below a folder.
    fn walk(&self, folder: &str, names: &mut Vec<String>) -> Result<(), StoreError> {
        let path = self.path(folder);
        for entry in entries(&path)? {
            // Names that are not Unicode are not ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let name = format!("{folder}/{name}");
            let kind = entry.file_type().map_err(io_error("list", &path))?;
            if kind.is_dir() || (kind.is_symlink() && entry.path().is_dir()) {
                self.walk(&name, names)?;
            } else {
                names.push(name);
            }
        }
        Ok(())
    }
}

impl Blobs for Local {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(name);
        existing(fs::read(&path)).map_err(io_error("read", &path))
    }

    fn put(&self, name: &str, bytes: &[u8], put: Put<'_>) -> Result<bool, StoreError> {
        let path = self.path(name);
        match put {
            Put::Replace => self.write_flushed(&path, bytes).map(|()| true),
            Put::Create => {
                create_folders(path.parent().unwrap_or(&self.root))?;
                // The content must be there the moment the name is, so the whole file is given the name.
                match self.written(&path, bytes)?.persist_noclobber(&path) {
                    Ok(_) => Ok(true),
                    Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                    Err(error) => Err(io_error("write", &path)(error.error)),
                }
            }
            Put::If(test) => {
                if !self.get(name)?.is_some_and(|now| test(&now)) {
                    return Ok(false);
                }
                let file = self.written(&path, bytes)?;
                file.persist(&path).map_err(|error| io_error("write", &path)(error.error))?;
                Ok(true)
            }
        }
    }

    fn put_file(&self, name: &str, file: &Path) -> Result<(), StoreError> {
        self.tag()?;
        let path = self.path(name);
        let folder = path.parent().unwrap_or(&self.root);
        create_folders(folder)?;
        let flushed = fs::File::open(file).and_then(|file| file.sync_all());
        flushed.map_err(io_error("flush", file))?;
        // A link, of either sort, may be to a file that someone changes later.
        let found = fs::symlink_metadata(file).map_err(io_error("read", file))?;
        let moved = if found.is_file() && found.nlink() == 1 {
            fs::rename(file, &path)
        } else {
            Err(io::ErrorKind::CrossesDevices.into())
        };
        match moved {
            // It is such a link, or on another file system.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let mut copy = self.temporary()?;
                let mut from = fs::File::open(file).map_err(io_error("read", file))?;
                io::copy(&mut from, &mut copy)
                    .and_then(|_| copy.as_file().sync_all())
                    .map_err(io_error("write", &path))?;
                copy.persist(&path).map_err(|error| io_error("write", &path)(error.error))?;
            }
            moved => moved.map_err(io_error("write", &path))?,
        }
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("flush", folder))
    }

    fn head(&self, name: &str) -> Result<Option<Head>, StoreError> {
        let path = self.path(name);
        let head = fs::metadata(&path).and_then(|found| Ok(Head { bytes: found.len(), modified: found.modified()? }));
        existing(head).map_err(io_error("read", &path))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        self.walk(folder, &mut names)?;
        names.sort();
        Ok(names)
    }

    fn delete(&self, name: &str) -> Result<bool, StoreError> {
        let path = self.path(name);
        existing(fs::remove_file(&path)).map(|gone| gone.is_some()).map_err(io_error("delete", &path))
    }

    /// The file is moved aside first, which only one of several can do; the others find it gone. A file that someone
    /// else put there between the test and the move is given back.
    fn delete_if(&self, name: &str, test: Condition<'_>) -> Result<bool, StoreError> {
        let path = self.path(name);
        let Some(seen) = self.get(name)?.filter(|seen| test(seen)) else { return Ok(false) };
        let aside = self.path(names::TMP).join(format!("lost-{}", blake3::hash(&seen)));
        if existing(fs::rename(&path, &aside)).map_err(io_error("rename", &path))?.is_none() {
            return Ok(false);
        }
        let moved = existing(fs::read(&aside)).map_err(io_error("read", &aside))?;
        let another = moved.is_some_and(|moved| !test(&moved));
        if another {
            let _ = fs::hard_link(&aside, &path);
        }
        let _ = fs::remove_file(&aside);
        Ok(!another)
    }

    /// A new file tells the time of the file system, which machines that share it agree on.
    fn probe(&self) -> Result<SystemTime, StoreError> {
        self.tag()?;
        let file = self.temporary()?;
        let time = file.as_file().metadata().and_then(|found| found.modified());
        time.map_err(io_error("read", file.path()))
    }

    fn now(&self) -> Result<SystemTime, StoreError> {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, time)) = *clock
            && asked.elapsed() < TRUSTED
        {
            return Ok(time + asked.elapsed());
        }
        let time = self.probe()?;
        *clock = Some((Instant::now(), time));
        Ok(time)
    }

    /// Making a file is the one operation that asks the server: a stat, an open to read and a listing believe what this
    /// machine remembers. After it, they see the file too.
    fn is_there(&self, name: &str) -> Result<bool, StoreError> {
        let path = self.path(name);
        let make = || fs::File::options().write(true).create_new(true).open(&path);
        let mut made = make();
        if made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            create_folders(path.parent().unwrap_or(&self.root))?;
            made = make();
        }
        match made {
            // It is taken away again, unless another has put a file in its place since.
            Ok(file) if file.metadata().is_ok_and(|found| found.nlink() == 1) => {
                existing(fs::remove_file(&path)).map(|_| false).map_err(io_error("delete", &path))
            }
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(true),
            Err(error) => Err(io_error("create", &path)(error)),
        }
    }

    fn place(&self, name: &str) -> String {
        let path = if name.is_empty() { self.root.clone() } else { self.path(name) };
        path.display().to_string()
    }

    fn get_start(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(name);
        let mut bytes = Vec::new();
        let read = fs::File::open(&path).and_then(|file| file.take(most).read_to_end(&mut bytes));
        Ok(existing(read).map_err(io_error("read", &path))?.map(|_| bytes))
    }

    /// Looks at the first level only.
    fn is_empty(&self, folder: &str) -> Result<bool, StoreError> {
        Ok(entries(&self.path(folder))?.is_empty())
    }

    fn delete_all(&self, folder: &str) -> Result<(), StoreError> {
        let path = self.path(folder);
        existing(fs::remove_dir_all(&path)).map(drop).map_err(io_error("delete", &path))
    }

    fn touch(&self, name: &str, now: SystemTime) {
        let file = fs::File::options().write(true).open(self.path(name));
        let _ = file.and_then(|file| file.set_modified(now));
    }

    fn local_root(&self) -> Option<&Path> {
        Some(&self.root)
    }
}

/// `None` if the file or folder of an operation is not there.
fn existing<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        done => done.map(Some),
    }
}

/// Makes a folder and those above it, as far as they are not there.
fn create_folders(folder: &Path) -> Result<(), StoreError> {
    match fs::create_dir_all(folder) {
        // It also says so of a folder at which it could not look, and then the reason is what hindered the look.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match fs::metadata(folder) {
            Ok(found) if found.is_dir() => Ok(()),
            Ok(_) => Err(io_error("create", folder)(error)),
            Err(hindrance) => Err(io_error("create", folder)(hindrance)),
        },
        made => made.map_err(io_error("create", folder)),
    }
}

/// What is in a folder: nothing if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, StoreError> {
    let list = existing(fs::read_dir(folder)).map_err(io_error("list", folder))?;
    list.into_iter().flatten().map(|entry| entry.map_err(io_error("list", folder))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_put_there_is_given_back() -> Result<(), StoreError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let blobs = Local::new(folder.path());
        blobs.put("x", b"old", Put::Create)?;
        // The test passes for the first look; then someone else comes before the move.
        let looks = std::cell::Cell::new(0);
        let test = |now: &[u8]| {
            if looks.replace(looks.get() + 1) == 0 {
                fs::write(folder.path().join("x"), b"new").expect("written");
            }
            now == b"old"
        };
        assert!(!blobs.delete_if("x", &test)?);
        assert_eq!(blobs.get("x")?.as_deref(), Some(&b"new"[..]));
        assert!(blobs.list(names::TMP)?.is_empty());
        Ok(())
    }
}
