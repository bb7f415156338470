//! The files of MNIST: a header of big-endian numbers, then bytes (LeCun et al. 1998), plain or packed by gzip.

use std::{fs, io::Read, path::Path};

use super::block::{Bytes, Packing, broken_at, io_at};
use crate::ml::{Result, data::Fault};

/// The most labels that a file may have: a few packed bytes could claim any number.
const MOST: u64 = 1 << 28;

/// The remedy for a file that is not as it should be.
const AGAIN: &str = "download it anew; a file of images begins with the bytes 0 0 8 3, a file of labels with 0 0 8 1";

/// A file of bytes, by its header.
pub(super) struct Idx {
    pub packing: Packing,
    /// The numbers of images or labels, rows and columns.
    pub dims: Vec<usize>,
}

impl Idx {
    /// Bytes of the header.
    pub(super) fn header(&self) -> u64 {
        4 + 4 * self.dims.len() as u64
    }

    /// Reads the header of a file with `rank` dimensions, and compares it with the size of a plain file.
    pub(super) fn of(path: &Path, rank: u8) -> Result<Self> {
        let mut start = [0; 2];
        let packed = Bytes::open(path, Packing::Plain)?.read_exact(&mut start).is_ok() && start == [0x1f, 0x8b];
        let packing = if packed { Packing::Gzip } else { Packing::Plain };
        let mut file = Bytes::open(path, packing)?;
        let mut word = || -> Result<[u8; 4]> {
            let mut word = [0; 4];
            file.read_exact(&mut word).map_err(broken_at(path))?;
            Ok(word)
        };
        let magic = word()?;
        if magic != [0, 0, 8, rank] {
            let what = if rank == 3 { "images" } else { "labels" };
            let message =
                format!("no idx file of {what}: it begins with the bytes {}", magic.map(|b| b.to_string()).join(" "));
            return Err(Fault::at(path, message, AGAIN).into());
        }
        let dims = (0..rank).map(|_| Ok(u32::from_be_bytes(word()?) as usize)).collect::<Result<Vec<_>>>()?;
        let idx = Self { packing, dims };
        let body = idx.dims.iter().fold(1_u64, |bytes, &dim| bytes.saturating_mul(dim as u64));
        let (found, wanted) = (fs::metadata(path).map_err(io_at(path))?.len(), idx.header().saturating_add(body));
        if !packed && found != wanted {
            let word = if found < wanted { "truncated" } else { "too long" };
            let dims: Vec<String> = idx.dims.iter().map(usize::to_string).collect();
            let message = format!("{word}: {found} bytes, but {} by its header take {wanted}", dims.join(" x "));
            return Err(Fault::at(path, message, AGAIN).into());
        }
        if body == 0 {
            return Err(Fault::at(path, "empty: its header names no image", AGAIN).into());
        }
        Ok(idx)
    }

    /// The labels of a file of labels.
    pub(super) fn labels(&self, path: &Path) -> Result<Vec<u32>> {
        let count = self.dims[0] as u64;
        if count > MOST {
            return Err(Fault::at(path, format!("claims {count} labels"), AGAIN).into());
        }
        let mut file = Bytes::open(path, self.packing)?;
        file.skip(self.header()).map_err(broken_at(path))?;
        let mut labels = Vec::new();
        file.take(count).read_to_end(&mut labels).map_err(broken_at(path))?;
        if labels.len() as u64 != count {
            return Err(Fault::at(path, format!("truncated: {} of {count} labels", labels.len()), AGAIN).into());
        }
        Ok(labels.into_iter().map(u32::from).collect())
    }
}
