//! Zip archives: those of NumPy (`.npz`), and those of PyTorch, which `pth` reads.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use flate2::bufread::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use super::{
    damaged, io_at, npy,
    stored::{Place, Stored},
};
use crate::ml::{Result, data::Fault};

/// The list of an archive's files.
pub(super) struct Archive {
    pub path: PathBuf,
    /// Where each file is.
    pub entries: BTreeMap<String, Place>,
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let no_zip = |error: zip::result::ZipError| damaged(path, format!("truncated, or no zip archive: {error}"));
        let file = File::open(path).map_err(io_at(path))?;
        let length = file.metadata().map_err(io_at(path))?.len();
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(no_zip)?;
        let mut entries = BTreeMap::new();
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).map_err(no_zip)?;
            let name = entry.name().map_err(no_zip)?.into_owned();
            let packed = match entry.compression() {
                CompressionMethod::STORE => false,
                CompressionMethod::DEFLATE => true,
                other => {
                    let remedy = "write it with numpy.savez, numpy.savez_compressed or torch.save";
                    return Err(Fault::at(path, format!("`{name}` is packed by {other}"), remedy).into());
                }
            };
            let start = entry.data_start().unwrap_or(length);
            if start.saturating_add(entry.compressed_size()) > length {
                return Err(damaged(path, format!("truncated: it ends before `{name}` does")));
            }
            let bytes = if packed { entry.size() } else { entry.compressed_size() };
            entries.insert(name, Place { start, packed, skip: 0, bytes, crc: Some(entry.crc32()) });
        }
        Ok(Self { path: path.to_owned(), entries })
    }

    /// The pickle of an archive of PyTorch, which is in a folder of any name.
    pub(super) fn pickle(&self) -> Option<String> {
        let is_one = |name: &&String| name.strip_suffix("data.pkl").is_some_and(|folder| folder.ends_with('/'));
        self.entries.keys().find(is_one).cloned()
    }

    /// The arrays of an `.npz`.
    pub(super) fn arrays(&self) -> Result<BTreeMap<String, Stored>> {
        let mut arrays = BTreeMap::new();
        for (file, &place) in &self.entries {
            let Some(name) = file.strip_suffix(".npy") else { continue };
            let array = npy::array(&mut self.stream(place)?, place);
            let array = array.map_err(|message| damaged(&self.path, format!("`{name}`: {message}")))?;
            array.check(&self.path, name)?;
            arrays.insert(name.to_owned(), array);
        }
        if arrays.is_empty() {
            let message = "a zip archive without arrays of NumPy, and without PyTorch's `data.pkl`";
            return Err(Fault::at(&self.path, message, "set `path` to an .npz or .pth file").into());
        }
        Ok(arrays)
    }

    /// The content of a file of the archive.
    fn stream(&self, place: Place) -> Result<Box<dyn Read>> {
        let mut file = BufReader::new(File::open(&self.path).map_err(io_at(&self.path))?);
        file.seek(SeekFrom::Start(place.start)).map_err(io_at(&self.path))?;
        Ok(if place.packed {
            Box::new(DeflateDecoder::new(file).take(place.bytes))
        } else {
            Box::new(file.take(place.bytes))
        })
    }

    /// Reads a file of the archive, of at most so many bytes.
    pub(super) fn read(&self, name: &str, most: u64) -> Result<Vec<u8>> {
        let Some(&place) = self.entries.get(name) else {
            return Err(damaged(&self.path, format!("it has no `{name}`")));
        };
        if place.bytes > most {
            let message = format!("`{name}` has {} bytes; at most {most} are read", place.bytes);
            return Err(damaged(&self.path, message));
        }
        let mut bytes = Vec::new();
        self.stream(place)?
            .read_to_end(&mut bytes)
            .map_err(|error| damaged(&self.path, format!("damaged: `{name}` cannot be unpacked: {error}")))?;
        Ok(bytes)
    }
}
