//! MATLAB files of version 5 (MAT-File Format, R2019b): finds arrays of numbers, and reads none but the small ones.
//!
//! The arrays of one file are read in its order; an array may be a zlib stream of its own.

use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use flate2::bufread::ZlibDecoder;

use super::block::{AGAIN, Packing, broken_at, io_at};
use crate::ml::{Result, data::Fault};

/// An array in a file.
#[derive(Clone, Debug)]
pub(super) struct Array {
    pub name: String,
    pub dims: Vec<usize>,
    pub packing: Packing,
    /// The first byte of its numbers, in what is unpacked.
    pub at: u64,
    /// The bytes of its numbers.
    pub bytes: u64,
    /// The type of its numbers, as the format numbers them.
    pub numbers: u32,
    big: bool,
}

/// Bytes as the format's type of numbers.
pub(super) const UINT8: u32 = 2;
const COMPRESSED: u32 = 15;
const MATRIX: u32 = 14;
/// Bytes of the header of a file.
const HEADER: u64 = 128;
/// The most numbers that a small array may have.
const MOST: u64 = 1 << 28;

/// The arrays of a file.
///
/// # Errors
/// If it is not a MATLAB file of version 5, or is cut within an array's header.
pub(super) fn arrays(path: &Path) -> Result<Vec<Array>> {
    let mut file = BufReader::new(File::open(path).map_err(io_at(path))?);
    let length = file.get_ref().metadata().map_err(io_at(path))?.len();
    let mut header = [0; HEADER as usize];
    let whole = file.read_exact(&mut header).is_ok();
    let big = header[126..] == *b"MI";
    if !whole || !(big || header[126..] == *b"IM") || !header.starts_with(b"MATLAB 5.0") {
        let message = match header.starts_with(b"MATLAB 7.3") || header.starts_with(b"\x89HDF") {
            true => "a MATLAB file of version 7.3, which is HDF5",
            false => "no MATLAB file of version 5",
        };
        return Err(Fault::at(path, message, "download it anew, or save it with `-v7` in MATLAB").into());
    }
    let mut found = Vec::new();
    let mut at = HEADER;
    while at + 8 <= length {
        file.seek(SeekFrom::Start(at)).map_err(io_at(path))?;
        let (kind, bytes, _) = Tag { file: &mut file, big }.read().map_err(broken_at(path))?;
        if at + 8 + u64::from(bytes) > length {
            let message = format!("truncated: an array of {bytes} bytes starts at byte {at} of {length}");
            return Err(Fault::at(path, message, AGAIN).into());
        }
        let start = at + 8;
        let array = match kind {
            COMPRESSED => {
                let mut unpacked = ZlibDecoder::new(&mut file);
                let mut tag = Tag { file: &mut unpacked, big };
                tag.read()
                    .and_then(|(kind, ..)| if kind == MATRIX { matrix(&mut tag) } else { Ok(None) })
                    .map(|array| array.map(|array| Array { packing: Packing::Zlib(start), at: array.at + 8, ..array }))
            }
            MATRIX => matrix(&mut Tag { file: &mut file, big })
                .map(|array| array.map(|array| Array { at: array.at + start, ..array })),
            _ => Ok(None),
        };
        found.extend(array.map_err(broken_at(path))?);
        at = start + u64::from(bytes);
    }
    Ok(found)
}

/// Reads the tags of data elements.
struct Tag<R> {
    file: R,
    big: bool,
}

impl<R: Read> Tag<R> {
    fn word(&mut self) -> std::io::Result<u32> {
        let mut word = [0; 4];
        self.file.read_exact(&mut word)?;
        Ok(if self.big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    }

    /// The type and the number of bytes; and the bytes themselves if the element is a small one.
    fn read(&mut self) -> std::io::Result<(u32, u32, Option<[u8; 4]>)> {
        let first = self.word()?;
        if first >> 16 == 0 {
            return Ok((first, self.word()?, None));
        }
        let mut small = [0; 4];
        self.file.read_exact(&mut small)?;
        Ok((first & 0xffff, (first >> 16).min(4), Some(small)))
    }

    /// The content of an element of at most a KiB, and the bytes that it takes with its tag.
    fn content(&mut self) -> std::io::Result<Option<(Vec<u8>, u64)>> {
        let (_, bytes, small) = self.read()?;
        if let Some(small) = small {
            return Ok(Some((small[..bytes as usize].to_vec(), 8)));
        }
        if bytes > 1 << 10 {
            return Ok(None);
        }
        let padded = bytes.next_multiple_of(8);
        let mut content = vec![0; padded as usize];
        self.file.read_exact(&mut content)?;
        content.truncate(bytes as usize);
        Ok(Some((content, 8 + u64::from(padded))))
    }
}

/// The array whose content starts here; `None` if it holds no numbers. Places count from here.
fn matrix<R: Read>(tag: &mut Tag<R>) -> std::io::Result<Option<Array>> {
    let Some((flags, a)) = tag.content()? else { return Ok(None) };
    let class = *flags.get(if tag.big { 3 } else { 0 }).unwrap_or(&0);
    // The classes from 6 to 15 are arrays of numbers.
    if !(6..=15).contains(&class) {
        return Ok(None);
    }
    let Some((dims, b)) = tag.content()? else { return Ok(None) };
    let Some((name, c)) = tag.content()? else { return Ok(None) };
    let big = tag.big;
    let dim = |word: &[u8; 4]| if big { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) } as usize;
    let (numbers, bytes, small) = tag.read()?;
    let name = String::from_utf8_lossy(&name).into_owned();
    let at = a + b + c + if small.is_some() { 4 } else { 8 };
    let dims = dims.as_chunks::<4>().0.iter().map(dim).collect();
    Ok(Some(Array { name, dims, packing: Packing::Plain, at, bytes: u64::from(bytes), numbers, big }))
}

impl Array {
    /// The number of its numbers.
    pub(super) fn count(&self) -> u64 {
        self.dims.iter().fold(1, |count, &dim| count.saturating_mul(dim as u64))
    }

    /// Its numbers, if they are whole and not negative.
    ///
    /// # Errors
    /// If the file ends early, or a number is none that counts.
    pub(super) fn whole_numbers(&self, path: &Path) -> Result<Vec<u32>> {
        let Self { name, numbers, big, .. } = self;
        let fault = |why: &str| Fault::at(path, format!("the array `{name}` {why}"), AGAIN);
        let width = match numbers {
            1 | 2 => 1,
            3 | 4 => 2,
            5..=7 => 4,
            9 | 12 | 13 => 8,
            _ => return Err(fault("holds no numbers").into()),
        };
        if self.count() > MOST || self.count() * width != self.bytes {
            return Err(fault("has another length than its header says").into());
        }
        let mut file = super::block::Bytes::open(path, self.packing)?;
        file.skip(self.at).map_err(broken_at(path))?;
        let mut bytes = Vec::new();
        file.take(self.bytes).read_to_end(&mut bytes).map_err(broken_at(path))?;
        if bytes.len() as u64 != self.bytes {
            return Err(fault("is truncated").into());
        }
        let value = |bytes: &[u8]| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            if *big {
                word[..bytes.len()].reverse();
            }
            let bits = u64::from_le_bytes(word);
            let value = match numbers {
                1 => i64::from(bits as i8) as f64,
                3 => i64::from(bits as i16) as f64,
                5 => i64::from(bits as i32) as f64,
                7 => f64::from(f32::from_bits(bits as u32)),
                9 => f64::from_bits(bits),
                12 => bits as i64 as f64,
                _ => bits as f64,
            };
            let fine = value >= 0.0 && value.fract() == 0.0 && value <= f64::from(u32::MAX);
            fine.then_some(value as u32).ok_or_else(|| fault(&format!("holds {value}, which is no class")).into())
        };
        bytes.chunks_exact(width as usize).map(value).collect()
    }
}
