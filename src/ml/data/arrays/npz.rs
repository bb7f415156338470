//! NumPy archives: those of MedMNIST (`train_images`, `train_labels`, and the same with `val` and `test`) and of Keras
//! (`x_train`, `y_train`, `x_test`, `y_test`).

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use npyz::{DType, NpyHeader, TypeChar};
use zip::{CompressionMethod, ZipArchive};

use super::{
    Images, Labels, Listing, ReadLabels,
    block::{AGAIN, Block, Bytes, Order, Packing, Shape, broken_at, io_at},
    labels,
};
use crate::ml::{
    Error, Result,
    data::{Fault, Listed, Split, fault::ABSENT, names, shown},
};

/// The names of images and labels in both layouts.
const NAMES: [(Split, [[&str; 2]; 2]); 3] = [
    (Split::Train, [["train_images", "train_labels"], ["x_train", "y_train"]]),
    (Split::Val, [["val_images", "val_labels"], ["x_val", "y_val"]]),
    (Split::Test, [["test_images", "test_labels"], ["x_test", "y_test"]]),
];

const LAYOUT: &str = "an archive has u8 images as train_images, train_labels, test_images and test_labels (MedMNIST), or as \
                      x_train, y_train, x_test and y_test (Keras)";
/// The most labels that are read: a few packed bytes could claim any number.
const MOST: usize = 1 << 28;

/// An array in the archive, by its header.
#[derive(Clone, Debug)]
struct Array {
    packing: Packing,
    /// The first byte of the numbers, in what is unpacked.
    at: u64,
    shape: Vec<u64>,
    dtype: DType,
    columns_first: bool,
}

/// Lists the dataset in an archive, or in the only archive of a folder.
///
/// # Errors
/// If there is no such archive, or its arrays are not those of a dataset.
pub fn list(path: &Path) -> Result<Box<dyn Listed>> {
    let path = archive(path)?;
    let mut zip = open(&path, File::open(&path).map_err(io_at(&path))?)?;
    let arrays: Vec<String> = zip.file_names().map(|name| name.trim_end_matches(".npy").to_owned()).collect();
    let has = |name: &str| arrays.iter().any(|array| array == name);
    let Some(layout) = (0..2).find(|&layout| has(NAMES[0].1[layout][0])) else {
        let message = format!("no images to train on; it holds {}", names(&arrays));
        return Err(Fault::at(&path, message, LAYOUT).into());
    };
    let (mut images, mut found, mut size) = (Vec::new(), Vec::new(), None);
    for (split, both) in NAMES {
        let [pixels, labels] = both[layout];
        if !has(pixels) {
            if split == Split::Test {
                return Err(Fault::at(&path, format!("there is no array `{pixels}`"), LAYOUT).into());
            }
            continue;
        }
        let array = header(&path, &mut zip, pixels)?;
        let (count, of_images) = array.images(&path, pixels)?;
        if *size.get_or_insert(of_images) != of_images {
            let message = format!("the images of `{pixels}` have another size than those to train on");
            return Err(Fault::at(&path, message, "bring all images to one size").into());
        }
        let labelled = has(labels);
        if labelled {
            let labels_found = header(&path, &mut zip, labels)?;
            labels_found.check_labels(&path, labels, count)?;
            found.push((split, labels.to_owned(), labels_found));
        }
        let shape = shape(of_images);
        let (packing, step) = (array.packing, shape.bytes());
        let block = Block { path: path.clone(), packing, at: array.at, step, images: count };
        images.push(Images { split, blocks: vec![block], labelled });
    }
    let shape = shape(size.unwrap_or_default());
    let labels = OfNpz { path: path.clone(), arrays: found };
    Ok(Box::new(Listing { images, shape, files: vec![path], left_out: 0, remarks: Vec::new(), labels }))
}

fn shape(size: [usize; 3]) -> Shape {
    Shape { size, order: Order::Pixels }
}

/// The archive at a path.
fn archive(path: &Path) -> Result<PathBuf> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    if !path.is_dir() {
        return Err(Fault::at(path, "is not there; it should be an .npz archive", ABSENT).into());
    }
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(path).map_err(io_at(path))?.flatten().map(|entry| entry.path()).collect();
    found.retain(|file| file.extension().is_some_and(|ending| ending == "npz") && file.is_file());
    found.sort_unstable();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Fault::at(path, "a folder without an .npz archive", "set `path` to the archive").into()),
        several => {
            let several: Vec<String> = several.iter().map(|path| shown(path)).collect();
            let message = format!("a folder with several archives: {}", names(&several));
            Err(Fault::at(path, message, "set `path` to one of them").into())
        }
    }
}

fn zip_error(path: &Path) -> impl Fn(zip::result::ZipError) -> Error + '_ {
    |error| match error {
        zip::result::ZipError::Io(error) => broken_at(path)(error),
        error => Fault::at(path, format!("no whole .npz archive: {error}"), AGAIN).into(),
    }
}

fn open(path: &Path, file: File) -> Result<ZipArchive<BufReader<File>>> {
    ZipArchive::new(BufReader::new(file)).map_err(zip_error(path))
}

/// The header of an array.
fn header(path: &Path, zip: &mut ZipArchive<BufReader<File>>, name: &str) -> Result<Array> {
    let file = format!("{name}.npy");
    let entry = zip.index_for_name(&file).or_else(|| zip.index_for_name(name));
    let entry = entry.ok_or_else(|| Fault::at(path, format!("there is no array `{name}`"), LAYOUT))?;
    let place = zip.by_index_raw(entry).map_err(zip_error(path))?;
    let start = place.data_start().ok_or_else(|| Fault::at(path, format!("no place for `{name}`"), AGAIN))?;
    let (packing, at) = match place.compression() {
        CompressionMethod::Stored => (Packing::Plain, start),
        CompressionMethod::Deflated => (Packing::Deflate(start), 0),
        other => {
            let remedy = "save it with numpy.savez or numpy.savez_compressed";
            return Err(Fault::at(path, format!("`{name}` is packed by {other}"), remedy).into());
        }
    };
    drop(place);
    let mut bytes = Bytes::open(path, packing)?;
    bytes.skip(at).map_err(broken_at(path))?;
    // A header is short, but could claim any length.
    let mut counted = Counted { inner: bytes.take(1 << 16), read: at };
    let damaged = |error: io::Error| Fault::at(path, format!("`{name}` is no whole array: {error}"), AGAIN);
    let header = NpyHeader::from_reader(&mut counted).map_err(damaged)?;
    let columns_first = header.order() == npyz::Order::Fortran;
    Ok(Array { packing, at: counted.read, shape: header.shape().to_vec(), dtype: header.dtype(), columns_first })
}

/// Counts the bytes that are read.
struct Counted<R> {
    inner: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}

impl Array {
    /// The number of images, and their channels, rows and columns.
    fn images(&self, path: &Path, name: &str) -> Result<(usize, [usize; 3])> {
        let words = || format!("`{name}` is {} {:?}", self.dtype.descr(), self.shape);
        let fault = |why: &str, remedy: &str| Error::from(Fault::at(path, format!("{}; {why}", words()), remedy));
        if !self.is(TypeChar::Uint, 1) {
            return Err(fault("images are read as bytes (|u1)", "store the images as numpy.uint8, from 0 to 255"));
        }
        if self.columns_first && self.shape.len() > 1 {
            return Err(fault("it is stored in Fortran's order", "store it in C order (numpy.ascontiguousarray)"));
        }
        let sizes: Vec<usize> = self.shape.iter().map(|&size| usize::try_from(size).unwrap_or(usize::MAX)).collect();
        let (count, size) = match *sizes.as_slice() {
            [count, height, width] => (count, [1, height, width]),
            [count, height, width, channels @ (1 | 3)] => (count, [channels, height, width]),
            _ => {
                let remedy = "images are [N, height, width], or with 1 or 3 channels last";
                return Err(fault("that is no array of images", remedy));
            }
        };
        let bytes = size.iter().try_fold(1_usize, |bytes, &size| bytes.checked_mul(size));
        if bytes.is_none_or(|bytes| bytes == 0 || bytes > 1 << 30) || count == 0 || count > MOST {
            return Err(fault("that is no array of images", LAYOUT));
        }
        Ok((count, size))
    }

    fn is(&self, kind: TypeChar, bytes: u64) -> bool {
        matches!(&self.dtype, DType::Plain(plain) if plain.type_char() == kind && plain.size_field() == bytes)
    }

    /// Checks that there is one whole number for each image.
    fn check_labels(&self, path: &Path, name: &str, images: usize) -> Result<()> {
        let words = format!("`{name}` is {} {:?}", self.dtype.descr(), self.shape);
        let whole = matches!(&self.dtype, DType::Plain(plain) if matches!(plain.type_char(), TypeChar::Uint | TypeChar::Int));
        let shape_fits = matches!(*self.shape.as_slice(), [n] | [n, 1] if n == images as u64);
        if whole && shape_fits {
            return Ok(());
        }
        let several = matches!(*self.shape.as_slice(), [_, columns] if columns > 1);
        let remedy = match several {
            true => "an image has one label here; a dataset with several labels for each image cannot be read",
            false => "labels are whole numbers, [N] or [N, 1]",
        };
        Err(Fault::at(path, format!("{words}, for {images} images"), remedy).into())
    }

    /// The labels of an array of labels.
    fn labels(&self, path: &Path, name: &str) -> Result<Vec<u32>> {
        let DType::Plain(plain) = &self.dtype else { unreachable!("labels are plain numbers") };
        let (width, big) = (plain.size_field() as usize, plain.endianness() == npyz::Endianness::Big);
        let signed = plain.type_char() == TypeChar::Int;
        let count = self.shape[0] as usize;
        let mut file = Bytes::open(path, self.packing)?;
        file.skip(self.at).map_err(broken_at(path))?;
        let mut bytes = Vec::new();
        file.take((count * width) as u64).read_to_end(&mut bytes).map_err(broken_at(path))?;
        if bytes.len() != count * width {
            return Err(Fault::at(path, format!("truncated: `{name}` ends early"), AGAIN).into());
        }
        let value = |(at, bytes): (usize, &[u8])| {
            let mut low: Vec<u8> = bytes.to_vec();
            if big {
                low.reverse();
            }
            let negative = signed && low.last().is_some_and(|&high| high >= 0x80);
            let value = low.iter().rev().fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
            u32::try_from(value).ok().filter(|_| !negative).ok_or_else(|| {
                let message = format!("image {at} has no class in `{name}`");
                Error::from(Fault::at(path, message, "labels are whole numbers from 0"))
            })
        };
        bytes.chunks_exact(width).enumerate().map(value).collect()
    }
}

struct OfNpz {
    path: PathBuf,
    arrays: Vec<(Split, String, Array)>,
}

impl ReadLabels for OfNpz {
    fn read(&self, _: &[Images]) -> Result<Labels> {
        let of = |(split, name, array): &(Split, String, Array)| Ok((*split, array.labels(&self.path, name)?));
        let parts = self.arrays.iter().map(of).collect::<Result<Vec<_>>>()?;
        let classes = match parts.is_empty() {
            true => Vec::new(),
            false => labels::numbered(&self.path, parts.iter().flat_map(|(_, labels)| labels))?,
        };
        Ok(Labels { classes, parts })
    }
}
