//! Files that users ask for. What lies at a place is whole at any moment: a new file is written beside it and renamed, so
//! a full disk or a kill leaves the old one as it was.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tempfile::{Builder, NamedTempFile};

use super::Failure;
use crate::digest::ArtifactHash;

/// Puts a file with these bytes at `path`, in place of one that is there.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let done = match fs::metadata(path) {
        // A terminal or a pipe holds nothing that could be lost.
        Ok(there) if !there.is_file() => {
            fs::File::options().write(true).open(path).and_then(|mut to| to.write_all(bytes))
        }
        // A link stays, and what it leads to is replaced.
        Ok(there) => fs::canonicalize(path).and_then(|path| {
            let new = beside(&path, bytes)?;
            // The owner may be another, who must still let others do what they could.
            let _ = new.as_file().set_permissions(there.permissions());
            new.persist(path).map(drop).map_err(|error| error.error)
        }),
        // A link that leads nowhere.
        Err(_) if path.is_symlink() => fs::write(path, bytes),
        Err(_) => beside(path, bytes).and_then(|new| new.persist(path).map(drop).map_err(|error| error.error)),
    };
    done.map_err(|error| refused(path, &error))
}

/// Puts a file with these bytes at `path`, unless something is there: then nothing is done, and the answer is false.
pub fn create(path: &Path, bytes: &[u8]) -> Result<bool, Failure> {
    let done = beside(path, bytes).and_then(|new| new.persist_noclobber(path).map(drop).map_err(|error| error.error));
    match done {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        done => done.map(|()| true).map_err(|error| refused(path, &error)),
    }
}

/// Puts another name of the file `of` at `path`, in place of what is there.
pub fn link(of: &Path, path: &Path) -> Result<(), Failure> {
    let place = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    if place(path).is_some() && place(path) == place(of) {
        return Ok(());
    }
    let new = Builder::new().make_in(folder(path), |beside| fs::hard_link(of, beside));
    let done = new.and_then(|new| new.persist(path).map_err(|error| error.error));
    done.map_err(|error| refused(path, &error))
}

/// What the file at `path` holds; nothing if there is none.
pub fn content(path: &Path) -> Result<Option<ArtifactHash>, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(ArtifactHash::of(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::Failed(format!("failed to read {}: {error}", path.display()))),
    }
}

/// Makes a folder and those above it.
pub fn make_folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|error| refused(path, &error))
}

/// A whole file, on the disk, in the folder of `path`.
fn beside(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    // Temporary files are private; these become files that are as readable as the umask says.
    let readable = fs::Permissions::from_mode(0o666);
    let mut new = Builder::new().prefix(".strata-").permissions(readable).tempfile_in(folder(path))?;
    new.write_all(bytes)?;
    new.as_file().sync_all()?;
    Ok(new)
}

fn folder(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

fn refused(path: &Path, error: &io::Error) -> Failure {
    // An error of a temporary file names that file, which nobody asked for.
    let reason =
        error.raw_os_error().map_or_else(|| error.to_string(), |code| io::Error::from_raw_os_error(code).to_string());
    Failure::Failed(format!("failed to write {}: {reason}", path.display()))
}
