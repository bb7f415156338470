//! Lists the folders and files below a folder of images, sorted, and collects everything that prevents reading them.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::format::{self, Kind};
use crate::ml::{
    Error, Result,
    data::{Faults, shown},
};

/// The state of a folder in the file system: device, inode, and the times of its last changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    identity: (u64, u64),
    pub changed: [(i64, i64); 2],
}

impl State {
    pub(super) fn of(found: &Metadata) -> Self {
        let changed = [(found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec())];
        Self { identity: (found.dev(), found.ino()), changed }
    }
}

/// A walk through folders, and its findings.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Every listed folder, with its state before it was listed.
    pub folders: Vec<(PathBuf, State)>,
    /// The number of skipped files by the ending of their names.
    pub left_out: BTreeMap<String, usize>,
    /// How many of these are hidden or were left by the operating system.
    pub litter: usize,
    loops: Vec<String>,
    special: Vec<String>,
    unreadable: Vec<String>,
    broken_links: Vec<(String, String)>,
    unnamed: Vec<(String, String)>,
}

/// The content of one folder.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub folders: Vec<PathBuf>,
    pub images: Vec<PathBuf>,
}

impl Walk {
    /// The folders and the images directly in `folder`, each sorted. `above` are the folders that contain it.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub(super) fn list(&mut self, folder: &Path, above: &mut Vec<State>) -> Result<Content> {
        let io = |source| Error::Io { path: folder.to_owned(), source };
        let mut content = Content::default();
        if !self.enter(folder, above)? {
            return Ok(content);
        }
        for entry in fs::read_dir(folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                self.leave_out(&path);
                continue;
            }
            let mut kind = entry.file_type().map_err(io)?;
            if kind.is_symlink() {
                match fs::metadata(&path) {
                    Ok(target) => kind = target.file_type(),
                    Err(_) if Kind::of(&format::ending(&path)) == Kind::Other => {
                        self.leave_out(&path);
                        continue;
                    }
                    Err(error) => {
                        self.broken_links.push((shown(&path), format!("a link that cannot be followed: {error}")));
                        continue;
                    }
                }
            }
            if kind.is_dir() {
                content.folders.push(path);
            } else {
                let is_file = kind.is_file();
                self.file(path, is_file, &mut content.images);
            }
        }
        content.folders.sort_unstable();
        content.images.sort_unstable();
        Ok(content)
    }

    /// Adds a folder to those that contain the next one; false if it is among them already.
    ///
    /// # Errors
    /// If the state of the folder cannot be read.
    pub(super) fn enter(&mut self, folder: &Path, above: &mut Vec<State>) -> Result<bool> {
        let found = fs::metadata(folder).map_err(|source| Error::Io { path: folder.to_owned(), source })?;
        let state = State::of(&found);
        if above.iter().any(|other| other.identity == state.identity) {
            self.loops.push(shown(folder));
            return Ok(false);
        }
        above.push(state);
        self.folders.push((folder.to_owned(), state));
        Ok(true)
    }

    /// All images below `folder`, sorted by their paths, name by name.
    ///
    /// # Errors
    /// If a folder cannot be listed.
    pub(super) fn images(&mut self, folder: &Path, above: &mut Vec<State>) -> Result<Vec<PathBuf>> {
        let depth = above.len();
        let Content { folders, mut images } = self.list(folder, above)?;
        let is_flat = folders.is_empty();
        for inside in folders {
            images.extend(self.images(&inside, above)?);
        }
        above.truncate(depth);
        if !is_flat {
            images.sort_unstable();
        }
        Ok(images)
    }

    fn file(&mut self, path: PathBuf, is_file: bool, images: &mut Vec<PathBuf>) {
        let kind = if format::is_litter(&path) { Kind::Other } else { Kind::of(&format::ending(&path)) };
        match kind {
            Kind::Image if is_file => images.push(path),
            Kind::Image | Kind::Unreadable if !is_file => self.special.push(shown(&path)),
            Kind::Unreadable => self.unreadable.push(shown(&path)),
            Kind::Unknown if is_file => match format::sniff(&path) {
                Some(name) => self.unnamed.push((shown(&path), format!("holds a {name} image"))),
                None => self.leave_out(&path),
            },
            _ => self.leave_out(&path),
        }
    }

    fn leave_out(&mut self, path: &Path) {
        let litter = format::is_litter(path);
        self.litter += usize::from(litter);
        let ending = match format::ending(path) {
            _ if litter => "hidden".to_owned(),
            ending if ending.is_empty() => "no ending".to_owned(),
            ending => format!(".{ending}"),
        };
        *self.left_out.entry(ending).or_default() += 1;
    }

    /// Adds the faults of a whole dataset.
    pub(super) fn report(&mut self, faults: &mut Faults) {
        for list in [&mut self.loops, &mut self.special, &mut self.unreadable] {
            list.sort_unstable();
        }
        self.unnamed.sort_unstable();
        let looped = ("a link that leads back to a folder above it", "links lead back to a folder above them");
        faults.shared(&self.loops, looped.0, looped.1, "remove the link");
        let special = ("not a file but a pipe, a socket or a device", "names of images are pipes, sockets or devices");
        faults.shared(&self.special, special.0, special.1, "remove it, or put a file there");
        self.broken_links.sort_unstable();
        faults.each(&self.broken_links, "links cannot be followed", "mend the link, or remove it");
        let unreadable = ("an image in a format that cannot be read", "images are in formats that cannot be read");
        faults.shared(&self.unreadable, unreadable.0, unreadable.1, READABLE);
        let many = "files hold images, but their names have no ending of an image";
        let one = "but its name has no ending of an image";
        if let [(_, holds)] = self.unnamed.as_mut_slice() {
            holds.push_str(&format!(", {one}"));
        }
        faults.each(&self.unnamed, many, "rename it to end in .jpg, .png or the like, or move it out of the folder");
    }
}

/// The remedy for images in other formats.
const READABLE: &str = "convert it to PNG or JPEG, or move it out of the folder; JPEG, PNG, WebP, BMP, TIFF, GIF, PPM, PGM \
                        and PBM can be read";
