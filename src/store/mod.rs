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
mod history;
mod json;
mod lock;
mod manifest;
mod sources;
mod upkeep;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

pub use artifact::{Artifact, ArtifactError, NotFinite};
pub use checkpoint::{Checkpoints, Position, SECONDS, SavedState};
pub use history::History;
pub use json::{
    canonical::canonical,
    number::{Real, real, reals},
};
pub use lock::{Attempt, BEAT, Holder, Lock};
pub use manifest::{Manifest, Output, Provenance, Recipe, Series};
pub use sources::memo::{Memo, Witness};
pub use upkeep::{
    gc::{Collection, Thing, Victim},
    verify::Verification,
};

use json::record;

use crate::digest::{ArtifactHash, StageKey};

/// The folder of a cache.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// What can go wrong with a cache. Messages are lowercase sentences that name the path.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "write", "read", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An object or manifest does not hold what its name says.
    #[error("{} is corrupt: {message}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// An artifact could not be turned into bytes.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

/// The state of what a manifest promises.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// No manifest under this key.
    Absent,
    /// The manifest, with all its objects in place.
    Found(Box<Manifest>),
    /// The manifest is there, but the object of a port is missing or has another size.
    Damaged {
        /// The port whose object is not as it was.
        port: String,
        /// What is wrong with it.
        damage: Damage,
    },
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It is not there.
    Missing,
    /// It is there, but not as it was written.
    Corrupt,
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io { action, path: path.to_owned(), source }
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

    /// The file that holds (or would hold) an artifact.
    #[must_use]
    pub fn object_path(&self, hash: &ArtifactHash) -> PathBuf {
        self.root.join("objects").join(hash.shard()).join(format!("{hash}.safetensors"))
    }

    /// The file whose presence says that an object was evicted, not lost.
    fn eviction_mark(&self, hash: &ArtifactHash) -> PathBuf {
        self.object_path(hash).with_extension("evicted")
    }

    /// Whether the bytes of an artifact were given up on purpose.
    ///
    /// # Errors
    /// If the disk does not say.
    pub fn is_evicted(&self, hash: &ArtifactHash) -> Result<bool, StoreError> {
        Ok(!self.has(hash)? && is_there(&self.eviction_mark(hash))?)
    }

    /// Whether the bytes of an artifact are there.
    ///
    /// # Errors
    /// If the disk does not say.
    pub fn has(&self, hash: &ArtifactHash) -> Result<bool, StoreError> {
        is_there(&self.object_path(hash))
    }

    /// Whether the bytes of all outputs are there.
    ///
    /// # Errors
    /// If the disk does not say.
    pub fn has_all(&self, manifest: &Manifest) -> Result<bool, StoreError> {
        for output in manifest.outputs.values() {
            if !self.has(&output.hash)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn manifest_path(&self, key: &StageKey) -> PathBuf {
        self.root.join("manifests-v1").join(key.shard()).join(format!("{key}.json"))
    }

    /// What is known under `key`. Reads one manifest and the sizes of its objects, no tensor.
    ///
    /// # Errors
    /// If the manifest is there but cannot be read, or the disk does not say what became of an object. A manifest that
    /// is damaged counts as absent: the work is redone.
    pub fn lookup(&self, key: &StageKey) -> Result<Lookup, StoreError> {
        let Some(manifest) = self.manifest(key)? else { return Ok(Lookup::Absent) };
        for (port, output) in &manifest.outputs {
            let path = self.object_path(&output.hash);
            let damage = match fs::metadata(&path) {
                Ok(found) if found.len() == output.bytes => continue,
                Ok(_) => Damage::Corrupt,
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error("read", &path)(error)),
                // What was evicted is known by its hash, and made again only when its bytes are needed.
                Err(_) if is_there(&self.eviction_mark(&output.hash))? => continue,
                Err(_) => Damage::Missing,
            };
            return Ok(Lookup::Damaged { port: port.clone(), damage });
        }
        Ok(Lookup::Found(Box::new(manifest)))
    }

    /// The manifest under `key`, whatever became of its objects.
    ///
    /// # Errors
    /// If it is there but cannot be read.
    pub fn manifest(&self, key: &StageKey) -> Result<Option<Manifest>, StoreError> {
        let path = self.manifest_path(key);
        record::open(&path).map_err(io_error("read", &path))
    }

    /// All manifests, in the order of their keys.
    ///
    /// # Errors
    /// If a folder or file cannot be read.
    pub fn manifests(&self) -> Result<Vec<(StageKey, Manifest)>, StoreError> {
        let mut found = Vec::new();
        for path in self.files("manifests-v1")? {
            let key = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            if let Some(key) = key
                && let Some(manifest) = self.manifest(&key)?
            {
                found.push((key, manifest));
            }
        }
        found.sort_by_key(|(key, _)| *key);
        Ok(found)
    }

    /// Every object: its path and its size in bytes.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn objects(&self) -> Result<Vec<(PathBuf, u64)>, StoreError> {
        let sized = |path: PathBuf| {
            let size = fs::metadata(&path).map_err(io_error("read", &path))?.len();
            Ok((path, size))
        };
        let objects = self.files("objects")?.into_iter();
        objects.filter(|path| path.extension().is_some_and(|kind| kind == "safetensors")).map(sized).collect()
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

    /// Reads an artifact and checks that it is what its name says.
    ///
    /// # Errors
    /// If the file cannot be read, or its bytes have another hash.
    pub fn read(&self, hash: &ArtifactHash) -> Result<Artifact, StoreError> {
        Ok(Artifact::from_bytes(&self.read_bytes(hash)?)?)
    }

    /// The bytes of an artifact, checked to be what their name says.
    ///
    /// # Errors
    /// If the file cannot be read, or its bytes have another hash.
    pub fn read_bytes(&self, hash: &ArtifactHash) -> Result<Vec<u8>, StoreError> {
        let path = self.object_path(hash);
        let bytes = fs::read(&path).map_err(io_error("read", &path))?;
        if artifact::hash(&bytes) != *hash {
            let message = format!("its {} bytes have another hash than its name", bytes.len());
            return Err(StoreError::Corrupt { path, message });
        }
        Ok(bytes)
    }

    /// Writes an artifact, unless one with these bytes is there.
    ///
    /// # Errors
    /// If the disk refuses. Nothing half-written is ever visible under an object's name.
    pub fn write(&self, artifact: &Artifact) -> Result<Output, StoreError> {
        let bytes = artifact.to_bytes()?;
        let hash = artifact::hash(&bytes);
        let path = self.object_path(&hash);
        let size = bytes.len() as u64;
        // The size alone is no proof, so an object of the right size is replaced too unless its hash is right.
        let intact = fs::read(&path).is_ok_and(|old| artifact::hash(&old) == hash);
        if !intact {
            self.write_atomically(&path, &bytes)?;
        }
        remove(&self.eviction_mark(&hash))?;
        Ok(Output { hash, bytes: size })
    }

    /// Writes the manifest: from now on the work under its key is done.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn commit(&self, manifest: &Manifest) -> Result<StageKey, StoreError> {
        let key = manifest.recipe.key();
        let path = self.manifest_path(&key);
        self.write_atomically(&path, &record::seal(&path, manifest))?;
        Ok(key)
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

    /// Deletes the manifest under a key, and the objects that no other manifest names.
    ///
    /// # Errors
    /// If the cache cannot be read or the disk refuses.
    pub fn forget(&self, key: &StageKey) -> Result<(), StoreError> {
        let Some(manifest) = self.manifest(key)? else { return Ok(()) };
        // The manifest goes first: objects without one are only waste, a manifest without objects is damage.
        remove(&self.manifest_path(key))?;
        let others: Vec<Manifest> = self.manifests()?.into_iter().map(|(_, other)| other).collect();
        for output in manifest.outputs.values() {
            let shared = others.iter().any(|other| other.outputs.values().any(|other| other.hash == output.hash));
            if !shared {
                self.discard(&output.hash)?;
            }
        }
        Ok(())
    }

    /// Deletes the object of a hash, so that whatever made it is seen as unfinished. A missing one is fine.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn discard(&self, hash: &ArtifactHash) -> Result<(), StoreError> {
        remove(&self.object_path(hash))?;
        remove(&self.eviction_mark(hash))
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
