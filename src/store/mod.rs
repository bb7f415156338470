//! Facts on disk. Knows no TOML and no graph.
//!
//! ```text
//! cache/
//!   CACHEDIR.TAG                        backup programs leave such folders out
//!   objects/ab/ab12….safetensors        an artifact; its name is the blake3 of its bytes
//!   objects/ab/ab12….evicted            in its place: it was evicted, and is made again when its bytes are needed
//!   manifests-v1/cd/cd34….json          the record of a finished stage; its name is the stage's key
//!   history-v2/NAME-ef56….json          the last key of each instance of one pipeline file, for `why`
//!   memo-v1/7890….json                  hashes of source files, by size, times and inode
//!   checkpoints-v1/ab/ab12…/            saved states of a trajectory: what can go on, or further
//!   locks-v1/ab12….json                 who is at work, with a heartbeat
//!   pins-v1/cd34…                       work (by its key) or saved states (by their trajectory) that upkeep leaves alone
//!   tmp/                                files being written; anything here may be deleted when nothing runs
//! ```
//!
//! A file is written to `tmp/`, flushed to the disk, and renamed. The manifest is renamed last: it is the commit
//! point, and all that it names is there. Deleting the whole folder is always safe and costs only time.

mod artifact;
mod checkpoint;
mod error;
mod finished;
mod history;
mod json;
mod lock;
mod manifest;
mod objects;
mod recipe;
mod sources;
mod upkeep;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

pub use artifact::{Artifact, ArtifactError, NotFinite};
pub use checkpoint::{Checkpoints, Position, SECONDS, SavedState};
pub use error::StoreError;
pub use finished::{Damage, Lookup};
pub use history::History;
pub use json::{
    canonical::canonical,
    number::{Real, real, reals},
};
pub use lock::{Attempt, BEAT, Holder, Lock};
pub use manifest::{Manifest, Output, Provenance, Series};
pub use recipe::Recipe;
pub use sources::{memo::Memo, witness::Witness};
pub use upkeep::{
    gc::{Collection, Thing, Victim},
    verify::Verification,
};

use error::io_error;
use json::record;

/// The folder of a cache.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The cache at `root`, which need not exist yet: reading makes nothing, the first commit makes the folders.
    #[must_use]
    pub fn open(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether there is a cache: a folder that holds what a cache holds, or nothing yet.
    ///
    /// # Errors
    /// If the disk does not say.
    pub fn is_there(&self) -> Result<bool, StoreError> {
        match fs::metadata(&self.root) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(io_error("read", &self.root)(error)),
        }
        let hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let inside = list(&self.root)?;
        let ours = ["CACHEDIR.TAG", "objects", "manifests-v1", "checkpoints-v1", "locks-v1", "tmp"];
        Ok(inside.iter().all(hidden) || inside.iter().any(|path| ours.iter().any(|name| path.ends_with(name))))
    }

    /// Makes sure, before hours of work, that results can be written.
    ///
    /// # Errors
    /// If the folders cannot be made, or no file can be made in them.
    pub fn ensure_writable(&self) -> Result<(), StoreError> {
        self.tag()?;
        let tmp = self.root.join("tmp");
        create_folders(&tmp)?;
        temporary(&tmp).map_err(io_error("create a file in", &tmp))?;
        Ok(())
    }

    fn files(&self, folder: &str) -> Result<Vec<PathBuf>, StoreError> {
        let folder = self.root.join(folder);
        let mut files = Vec::new();
        for shard in list(&folder)? {
            files.extend(list(&shard)?);
        }
        files.sort();
        Ok(files)
    }

    fn write_atomically(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let folder = path.parent().unwrap_or(&self.root);
        let tmp = self.root.join("tmp");
        self.tag()?;
        for folder in [&tmp, folder] {
            create_folders(folder)?;
        }
        let mut file = temporary(&tmp).map_err(io_error("create a file in", &tmp))?;
        file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(io_error("write", path))?;
        file.persist(path).map_err(|error| io_error("write", path)(error.error))?;
        // Without this the rename itself may be lost with the power.
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("flush", folder))
    }

    fn tag(&self) -> Result<(), StoreError> {
        let path = self.root.join("CACHEDIR.TAG");
        // An empty one is what a write that failed leaves.
        if fs::metadata(&path).is_ok_and(|found| found.len() > 0) {
            return Ok(());
        }
        create_folders(&self.root)?;
        let text = "Signature: 8a477f597d28d172789f06886806bc55\n# Made by strata; see https://bford.info/cachedir/\n";
        fs::write(&path, text).map_err(io_error("write", &path))
    }
}

/// A new file, as readable as the umask says: unlike other temporary files, these become files that people share.
fn temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o666)).tempfile_in(folder)
}

/// Whether a file is there. A disk that does not say is an error: what is whole must not count as lost.
fn is_there(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(io_error("read", path))
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

/// Deletes a file. One that is not there is fine.
fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("delete", path)(error)),
        _ => Ok(()),
    }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("list", folder)(error)),
    };
    entries.map(|entry| entry.map(|e| e.path()).map_err(io_error("list", folder))).collect()
}

fn to_json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("records have string keys and finite or null numbers")
}
