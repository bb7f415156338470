//! Writes the files that users ask for. A new file is written next to its target and renamed, so the old file stays
//! intact until the new one is complete, even if the disk fills up or the process is killed.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tempfile::{Builder, NamedTempFile};

use crate::digest::ArtifactHash;

/// Why a file that a user asked for is not written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("failed to {action} {}: {reason}", path.display())]
    Refused {
        /// The verb of the operation: read or write.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error message.
        reason: String,
    },
    /// A file with other content exists.
    #[error("{} is there already with other content; --force replaces it", .0.display())]
    Occupied(PathBuf),
}

/// Writes a file, replacing one that exists.
///
/// # Errors
/// If the system refuses.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let done = match fs::metadata(path) {
        // A terminal or a pipe has no content to lose.
        Ok(there) if !there.is_file() => {
            fs::File::options().write(true).open(path).and_then(|mut to| to.write_all(bytes))
        }
        // A symbolic link is followed: its target is replaced.
        Ok(there) => fs::canonicalize(path).and_then(|path| {
            let new = beside(&path, bytes)?;
            // The new file keeps the permissions of the old one where that is allowed.
            let _ = new.as_file().set_permissions(there.permissions());
            new.persist(path).map(drop).map_err(|error| error.error)
        }),
        // A dangling link has no content to lose.
        Err(_) if path.is_symlink() => fs::write(path, bytes),
        Err(_) => beside(path, bytes).and_then(|new| new.persist(path).map(drop).map_err(|error| error.error)),
    };
    done.map_err(|error| refused(path, &error))
}

/// Writes a new file. Returns false and does nothing if something exists at `path`.
///
/// # Errors
/// If the system refuses.
pub fn create(path: &Path, bytes: &[u8]) -> Result<bool, FileError> {
    let done = beside(path, bytes).and_then(|new| new.persist_noclobber(path).map(drop).map_err(|error| error.error));
    match done {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        done => done.map(|()| true).map_err(|error| refused(path, &error)),
    }
}

/// Makes `path` a hard link to the file `of`, replacing a file that exists.
///
/// # Errors
/// If the system refuses.
pub fn link(of: &Path, path: &Path) -> Result<(), FileError> {
    let place = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    if place(path).is_some() && place(path) == place(of) {
        return Ok(());
    }
    let new = Builder::new().make_in(folder(path), |beside| fs::hard_link(of, beside));
    let done = new.and_then(|new| new.persist(path).map_err(|error| error.error));
    done.map_err(|error| refused(path, &error))
}

/// Returns the hash of the file at `path`, or `None` if there is no file.
///
/// # Errors
/// If the system refuses.
pub fn content(path: &Path) -> Result<Option<ArtifactHash>, FileError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(ArtifactHash::of(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::Refused { action: "read", path: path.to_owned(), reason: error.to_string() }),
    }
}

/// Creates a folder and its parents.
///
/// # Errors
/// If the system refuses.
pub fn make_folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(|error| refused(path, &error))
}

/// Writes a complete temporary file into the folder of `path`.
fn beside(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    // Temporary files are private by default; this one gets the permissions that the umask allows.
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

fn refused(path: &Path, error: &io::Error) -> FileError {
    // The message of tempfile names the temporary file, which means nothing to the user.
    let reason =
        error.raw_os_error().map_or_else(|| error.to_string(), |code| io::Error::from_raw_os_error(code).to_string());
    FileError::Refused { action: "write", path: path.to_owned(), reason }
}
