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
};
use crate::ml::{
    Error, Result,
    data::{Fault, Listed, Split, fault::ABSENT, labels, names, shown},
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
    let arrays: Vec<String> = zip.file_names().flatten().map(|name| name.trim_end_matches(".npy").to_owned()).collect();
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
        let words = || self.words(name);
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

    /// The type and the shape, as `x_train` is |u1 [60000, 28, 28].
    fn words(&self, name: &str) -> String {
        format!("`{name}` is {} {:?}", self.dtype.descr().trim_matches('\''), self.shape)
    }

    fn is(&self, kind: TypeChar, bytes: u64) -> bool {
        matches!(&self.dtype, DType::Plain(plain) if plain.type_char() == kind && plain.size_field() == bytes)
    }

    /// Checks that there is one whole number for each image.
    fn check_labels(&self, path: &Path, name: &str, images: usize) -> Result<()> {
        let words = self.words(name);
        let whole =
            matches!(&self.dtype, DType::Plain(plain) if matches!(plain.type_char(), TypeChar::Uint | TypeChar::Int));
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

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;
    use crate::ml::data::collection::{all, fixtures, part};

    fn npy(descr: &str, shape: &str, body: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), body].concat()
    }

    fn write(path: &Path, arrays: &[(&str, Vec<u8>)], method: CompressionMethod) {
        let mut zip = ZipWriter::new(File::create(path).unwrap());
        for (name, bytes) in arrays {
            zip.start_file(format!("{name}.npy"), SimpleFileOptions::default().compression_method(method)).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
    }

    fn keras(images: Vec<u8>, labels: Vec<u8>) -> Vec<(&'static str, Vec<u8>)> {
        let (x, y) = (npy("|u1", "(1, 2, 2)", &[7; 4]), npy("<i8", "(1,)", &[0; 8]));
        vec![("x_train", images), ("y_train", labels), ("x_test", x), ("y_test", y)]
    }

    fn message(path: &Path) -> String {
        let read = list(path).and_then(|listed| all(listed.open()?.as_ref(), None));
        read.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn archives_of_medmnist_are_read() {
        let listed = list(&fixtures().join("med.npz")).unwrap();
        assert_eq!((listed.parts().len(), listed.size()), (3, Some([3, 6, 6])));
        let images = listed.open().unwrap();
        let (train, test) = all(images.as_ref(), None).unwrap();
        assert_eq!((train.labels.as_slice(), test.labels.as_slice()), (&[0, 1, 2, 1, 0][..], &[0, 1, 2][..]));
        assert!((0..5).all(|at| train.image(at).iter().all(|&pixel| usize::from(pixel) == 10 * at)));
        assert!(test.image(1).iter().all(|&pixel| pixel == 11));
        assert_eq!(part(images.as_ref(), Split::Val).labels, [2, 0]);
    }

    #[test]
    fn archives_of_keras_are_read_packed_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mnist.npz");
        let pixels: Vec<u8> = (0..8).collect();
        let arrays = keras(npy("|u1", "(2, 2, 2)", &pixels), npy("|u1", "(2,)", &[1, 0]));
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            write(&path, &arrays, method);
            // The only archive of a folder need not be named.
            let (train, test) = all(list(dir.path()).unwrap().open().unwrap().as_ref(), None).unwrap();
            assert_eq!((train.size, train.pixels, train.labels), ([1, 2, 2], pixels.clone(), vec![1, 0]));
            assert_eq!(test.pixels, [7; 4]);
        }
    }

    #[test]
    fn what_is_no_dataset_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npz");
        let fine = || npy("|u1", "(1, 2, 2)", &[0; 4]);
        let label = || npy("|u1", "(1,)", &[0]);
        let cases = [
            (keras(npy("<f4", "(1, 2, 2)", &[0; 16]), label()), "`x_train` is <f4 [1, 2, 2]; images are read as bytes"),
            (keras(npy("|u1", "(4,)", &[0; 4]), label()), "that is no array of images"),
            (keras(npy("|u1", "(99999999999, 2, 2)", &[0; 4]), label()), "`x_train` is |u1 [99999999999, 2, 2]"),
            (keras(fine(), npy("|u1", "(2,)", &[0, 0])), "`y_train` is |u1 [2], for 1 images"),
            (keras(fine(), npy("|u1", "(1, 14)", &[0; 14])), "a dataset with several labels for each image"),
            (keras(fine(), npy("<i8", "(1,)", &[0xff; 8])), "image 0 has no class in `y_train`"),
            (keras(npy("|u1", "(1, 4, 4)", &[0; 16]), label()), "the images of `x_test` have another size"),
            (keras(npy("|u1", "(1, 2, 2)", &[0; 3]), label()), "x.npz: truncated"),
            (keras(b"no array".to_vec(), label()), "`x_train` is no whole array"),
            (vec![("a", fine())], "no images to train on; it holds a"),
        ];
        for (arrays, said) in cases {
            for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
                write(&path, &arrays, method);
                let text = message(&path);
                // Behind a stored array comes the next one, so that its end is not noticed.
                let stored_and_cut = method == CompressionMethod::Stored && said == "x.npz: truncated";
                assert!(text.contains(said) || stored_and_cut, "{method}: {text}");
            }
        }
        assert!(message(&dir.path().join("absent.npz")).contains("absent.npz: is not there"));
    }

    #[test]
    fn a_file_that_is_cut_or_changed_anywhere_is_refused_or_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("med.npz");
        let bytes = fs::read(fixtures().join("med.npz")).unwrap();
        for length in (0..bytes.len()).step_by(7) {
            fs::write(&path, &bytes[..length]).unwrap();
            assert!(message(&path).contains("med.npz: "), "{length}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0xff;
            fs::write(&path, changed).unwrap();
            drop(message(&path));
        }
    }
}
