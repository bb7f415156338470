//! Where images lie in a file, and in which order their numbers are.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::ml::{
    Error, Result,
    data::{Fault, Square, resize},
};

/// Images at equal distances in a file or in what is packed in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub path: PathBuf,
    pub packing: Packing,
    /// The first byte of the first image, in what is unpacked.
    pub at: u64,
    /// The distance from one image to the next, in bytes.
    pub step: usize,
    pub images: usize,
}

/// The most bytes that deflate makes of one packed byte, rounded up.
const MOST_UNPACKED: u64 = 1040;

impl Block {
    /// Fails if the file is too small for its images, before memory is asked for them.
    pub(super) fn require_room(&self, shape: Shape) -> Result<()> {
        let length = fs::metadata(&self.path).map_err(io_at(&self.path))?.len();
        let room = if self.packing == Packing::Plain { length } else { length.saturating_mul(MOST_UNPACKED) };
        let others = (self.images.saturating_sub(1) as u64).saturating_mul(self.step as u64);
        let end = self.at.saturating_add(others).saturating_add(shape.bytes() as u64);
        if end <= room {
            return Ok(());
        }
        let [images, bytes] = [self.images, shape.bytes()];
        let message = format!("truncated: {length} bytes cannot hold {images} images of {bytes} bytes");
        Err(Fault::at(&self.path, message, AGAIN).into())
    }
}

/// How bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    /// A zlib stream that starts at this byte of the file.
    Zlib(u64),
    /// A stream of bare deflate, as in zip archives, that starts at this byte of the file.
    Deflate(u64),
}

/// The size of images, and the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Channels (1 or 3), rows and columns.
    pub size: [usize; 3],
    pub order: Order,
}

/// The order of an image's numbers; the last index runs fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Channel, row, column.
    Planes,
    /// Row, column, channel.
    Pixels,
    /// Channel, column, row, as MATLAB stores it.
    Columns,
}

/// An error of the system at a file.
pub(super) fn io_at(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    |source| Error::Io { path: path.to_owned(), source }
}

/// An error while unpacking a file: damage is the fault of the file.
pub(super) fn broken_at(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    |error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Fault::at(path, "truncated: the file ends before its last image or label", AGAIN).into()
        }
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::Other => {
            Fault::at(path, format!("damaged: {error}"), AGAIN).into()
        }
        _ => io_at(path)(error),
    }
}

/// The remedy for a damaged file.
pub(super) const AGAIN: &str = "download it anew";

/// The bytes of a file, or of what is packed in it.
pub(super) enum Bytes {
    Plain(BufReader<File>),
    Packed(Box<dyn Read>),
}

impl Bytes {
    /// Opens what is packed in a file.
    pub(super) fn open(path: &Path, packing: Packing) -> Result<Self> {
        let mut file = File::open(path).map_err(io_at(path))?;
        Ok(match packing {
            Packing::Plain => Self::Plain(BufReader::new(file)),
            Packing::Gzip => Self::Packed(Box::new(MultiGzDecoder::new(BufReader::new(file)))),
            Packing::Zlib(at) => {
                file.seek(SeekFrom::Start(at)).map_err(io_at(path))?;
                Self::Packed(Box::new(ZlibDecoder::new(BufReader::new(file))))
            }
            Packing::Deflate(at) => {
                file.seek(SeekFrom::Start(at)).map_err(io_at(path))?;
                Self::Packed(Box::new(DeflateDecoder::new(BufReader::new(file))))
            }
        })
    }

    /// Goes on by so many bytes.
    pub(super) fn skip(&mut self, bytes: u64) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.seek_relative(i64::try_from(bytes).map_err(io::Error::other)?),
            Self::Packed(packed) => {
                let skipped = io::copy(&mut packed.take(bytes), &mut io::sink())?;
                if skipped == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
            }
        }
    }
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Packed(packed) => packed.read(buffer),
        }
    }
}

impl Shape {
    /// Bytes of an image.
    pub(super) fn bytes(&self) -> usize {
        self.size.iter().product()
    }

    /// The planes of an image, brought to the square.
    pub(super) fn planes(&self, image: &[u8], square: Square) -> Vec<u8> {
        let [channels, height, width] = self.size;
        let plane = height * width;
        let planes = match self.order {
            Order::Planes => image.to_vec(),
            Order::Pixels => (0..channels).flat_map(|c| image.iter().skip(c).step_by(channels).copied()).collect(),
            Order::Columns => {
                let mut planes = vec![0; image.len()];
                for (at, &value) in image.iter().enumerate() {
                    let (channel, column, row) = (at / plane, at % plane / height, at % height);
                    planes[channel * plane + row * width + column] = value;
                }
                planes
            }
        };
        let Some((edge, how)) = square.filter(|&(edge, _)| [height, width] != [edge; 2]) else { return planes };
        // Grey images are resized as three equal planes.
        let coloured = if channels == 3 { planes } else { planes.repeat(3) };
        let mut resized = resize::planes(&resize::square(&resize::interleaved(&coloured, height, width), edge, how));
        resized.truncate(channels * edge * edge);
        resized
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_gives_planes() {
        let planes: Vec<u8> = (0..12).collect();
        let of = |order, bytes: &[u8]| Shape { size: [2, 2, 3], order }.planes(bytes, None);
        assert_eq!(of(Order::Planes, &planes), planes);
        assert_eq!(of(Order::Pixels, &[0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]), planes);
        assert_eq!(of(Order::Columns, &[0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]), planes);
    }

    #[test]
    fn grey_images_stay_grey() {
        let shape = Shape { size: [1, 4, 4], order: Order::Planes };
        assert_eq!(shape.planes(&[7; 16], Some((2, resize::Resize::Crop))), [7; 4]);
    }
}
