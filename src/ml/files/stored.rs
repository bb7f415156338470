//! A tensor in a file: where its bytes are, and in which order.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use candle_core::Tensor;
use flate2::{CrcReader, bufread::DeflateDecoder};

use super::{Info, Number, damaged, io_at};
use crate::ml::{Result, data::Fault};

/// A tensor in a file.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub type_name: String,
    pub number: Option<Number>,
    pub big_endian: bool,
    pub dims: Vec<usize>,
    /// The distance between neighbours along each dimension, in numbers.
    pub strides: Vec<usize>,
    pub place: Place,
}

/// Where the numbers of a tensor begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The byte of the file at which the bytes, or the stream of deflate that holds them, begin.
    pub start: u64,
    pub packed: bool,
    /// Bytes before the first number, after unpacking.
    pub skip: u64,
    /// All bytes from `start` on that belong to the tensor, after unpacking.
    pub bytes: u64,
    /// The checksum of those bytes, if it is to be compared.
    pub crc: Option<u32>,
}

/// The strides of a tensor whose last index runs fastest. `None` if it has more numbers than can be counted.
pub(super) fn rows_first(dims: &[usize]) -> Option<Vec<usize>> {
    let mut strides = vec![1_usize; dims.len()];
    for at in (1..dims.len()).rev() {
        strides[at - 1] = strides[at].checked_mul(dims[at].max(1))?;
    }
    strides.first().copied().unwrap_or(1_usize).checked_mul(dims.first().copied().unwrap_or(1))?;
    Some(strides)
}

/// The strides of a tensor whose first index runs fastest, as in Fortran.
pub(super) fn columns_first(dims: &[usize]) -> Option<Vec<usize>> {
    let reversed: Vec<usize> = dims.iter().rev().copied().collect();
    let mut strides = rows_first(&reversed)?;
    strides.reverse();
    Some(strides)
}

impl Stored {
    pub(super) fn info(&self) -> Info<'_> {
        Info { number: self.number, type_name: &self.type_name, dims: &self.dims }
    }

    fn count(&self) -> Option<usize> {
        self.dims.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim))
    }

    /// The numbers from the first to the last of the tensor, with those between that are not part of it.
    fn span(&self) -> Option<usize> {
        if self.dims.contains(&0) {
            return Some(0);
        }
        let steps = self.dims.iter().zip(&self.strides);
        steps.into_iter().try_fold(1_usize, |span, (&dim, &stride)| span.checked_add((dim - 1).checked_mul(stride)?))
    }

    /// Checks that the file has as many bytes as the shape asks for.
    ///
    /// # Errors
    /// If it has not, or the shape has too many numbers to be true.
    pub(super) fn check(&self, path: &Path, name: &str) -> Result<()> {
        let Some(number) = self.number else { return Ok(()) };
        let bytes = self.span().and_then(|span| span.checked_mul(number.bytes()));
        let needed = bytes.and_then(|bytes| self.place.skip.checked_add(bytes as u64));
        // Overlapping strides could make a large tensor of a few bytes.
        let fits = self.count().zip(self.span()).is_some_and(|(count, span)| count <= span);
        match needed {
            Some(needed) if needed <= self.place.bytes && fits => Ok(()),
            _ => {
                let (info, there) = (self.info(), self.place.bytes.saturating_sub(self.place.skip));
                Err(damaged(path, format!("damaged: `{name}` is {info}, and has {there} bytes")))
            }
        }
    }

    pub(super) fn read(&self, path: &Path, name: &str) -> Result<Tensor> {
        let Some(number) = self.number else {
            let message = format!("`{name}` holds {}, which cannot be read", self.type_name);
            return Err(Fault::at(path, message, "convert it to float32, uint8 or int64").into());
        };
        self.check(path, name)?;
        let (count, span) = (self.count().unwrap_or_default(), self.span().unwrap_or_default());
        let cut = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                damaged(path, format!("truncated: it ends before the last number of `{name}`"))
            }
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::Other => {
                damaged(path, format!("damaged: `{name}` cannot be unpacked: {error}"))
            }
            _ => io_at(path)(error),
        };
        let mut bytes = self.bytes(path, (span * number.bytes()) as u64).map_err(cut)?;
        if self.big_endian {
            bytes.chunks_exact_mut(number.bytes()).for_each(<[u8]>::reverse);
        }
        if rows_first(&self.dims).as_ref() != Some(&self.strides) {
            bytes = self.in_order(&bytes, count, number.bytes());
        }
        let tensor = number.tensor(&bytes, &self.dims)?;
        tensor.ok_or_else(|| {
            let message = format!("`{name}` holds a number above {}", i64::MAX);
            Fault::at(path, message, "store smaller numbers, as int64").into()
        })
    }

    /// Reads so many bytes from the first number on.
    fn bytes(&self, path: &Path, wanted: u64) -> io::Result<Vec<u8>> {
        let mut file = BufReader::new(File::open(path)?);
        file.seek(SeekFrom::Start(self.place.start))?;
        let stream: Box<dyn BufRead> =
            if self.place.packed { Box::new(BufReader::new(DeflateDecoder::new(file))) } else { Box::new(file) };
        let mut stream = CrcReader::new(stream);
        if io::copy(&mut stream.by_ref().take(self.place.skip), &mut io::sink())? != self.place.skip {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // It grows with what is there, so a false claim of a size takes no memory.
        let mut bytes = Vec::new();
        stream.by_ref().take(wanted).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let is_whole = self.place.skip + wanted == self.place.bytes;
        if is_whole && self.place.crc.is_some_and(|crc| crc != stream.crc().sum()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum is another"));
        }
        Ok(bytes)
    }

    /// Brings numbers into the order in which the last index runs fastest.
    fn in_order(&self, bytes: &[u8], count: usize, size: usize) -> Vec<u8> {
        let mut ordered = Vec::with_capacity(count * size);
        let mut index = vec![0; self.dims.len()];
        for _ in 0..count {
            let at: usize = index.iter().zip(&self.strides).map(|(index, stride)| index * stride).sum();
            ordered.extend_from_slice(&bytes[at * size..][..size]);
            for (index, &dim) in index.iter_mut().zip(&self.dims).rev() {
                *index += 1;
                if *index < dim {
                    break;
                }
                *index = 0;
            }
        }
        ordered
    }
}
