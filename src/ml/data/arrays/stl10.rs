//! STL-10: `train_X.bin`, `train_y.bin`, `test_X.bin`, `test_y.bin`, `class_names.txt`, and `unlabeled_X.bin` without
//! labels. Images are 96 x 96 RGB in MATLAB's order (Coates et al. 2011), labels a byte each, from 1.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Images, Labels, Listing, ReadLabels,
    block::{Block, Order, Packing, Shape, io_at},
};
use crate::ml::{
    Result,
    data::{Fault, Faults, Listed, Split, fault, labels},
};

const SHAPE: Shape = Shape { size: [3, 96, 96], order: Order::Columns };
const CLASSES: &str = "class_names.txt";
const UNLABELLED: &str = "unlabeled_X.bin";

/// The names of the files of a part with labels.
fn names(split: Split) -> [&'static str; 2] {
    match split {
        Split::Test => ["test_X.bin", "test_y.bin"],
        _ => ["train_X.bin", "train_y.bin"],
    }
}

/// The remedy for a folder without the files.
const FILES: &str = "the binary version of STL-10 (stl10_binary.tar.gz) has train_X.bin, train_y.bin, test_X.bin, \
                     test_y.bin and class_names.txt; unpack it anew, and set `path` to its folder";

/// Lists the dataset in `dir`, with its unlabelled images if `unlabelled`.
///
/// # Errors
/// If files are missing, or their sizes are not those of whole images or do not fit each other.
pub fn list(dir: &Path, unlabelled: bool) -> Result<Box<dyn Listed>> {
    fault::folder(dir, "the folder of STL-10's binary version")?;
    let mut wanted = vec!["train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin", CLASSES];
    wanted.extend(unlabelled.then_some(UNLABELLED));
    fault::require_files(dir, &wanted, "files of STL-10's binary version are missing", &missing(dir))?;
    let mut faults = Faults::default();
    let mut images = Vec::new();
    for split in [Split::Train, Split::Test] {
        let [pixels, labels] = names(split).map(|name| dir.join(name));
        let images_found = block(&pixels, &mut faults)?;
        let found = fs::metadata(&labels).map_err(io_at(&labels))?.len();
        if found != images_found.images as u64 && faults.0.is_empty() {
            let message = format!("{found} labels for the {} images of {}", images_found.images, names(split)[0]);
            faults.0.push(Fault::at(&labels, message, FILES));
        }
        images.push(Images { split, blocks: vec![images_found], labelled: true });
    }
    if unlabelled {
        let found = block(&dir.join(UNLABELLED), &mut faults)?;
        images.push(Images { split: Split::Unlabelled, blocks: vec![found], labelled: false });
    }
    faults.none()?;
    let files: Vec<PathBuf> = wanted.iter().map(|name| dir.join(name)).collect();
    let labels = OfStl10(dir.to_owned());
    Ok(Box::new(Listing { images, shape: SHAPE, files, left_out: 0, remarks: Vec::new(), labels }))
}

/// The images of a file of whole images.
fn block(path: &Path, faults: &mut Faults) -> Result<Block> {
    let (bytes, step) = (fs::metadata(path).map_err(io_at(path))?.len(), SHAPE.bytes());
    if bytes == 0 {
        faults.0.push(Fault::at(path, "empty", FILES));
    } else if !bytes.is_multiple_of(step as u64) {
        let message = format!("truncated: {bytes} bytes are no whole number of images of {step} bytes");
        faults.0.push(Fault::at(path, message, FILES));
    }
    let images = usize::try_from(bytes / step as u64).unwrap_or(usize::MAX);
    Ok(Block { path: path.to_owned(), packing: Packing::Plain, at: 0, step, images })
}

fn missing(dir: &Path) -> String {
    match fault::inside(dir, &["train_X.bin"]) {
        Some(inside) => format!("the dataset seems to be in a folder inside; set `path` to {inside}"),
        None if dir.join("train_X.mat").is_file() => {
            "this is the MATLAB version of STL-10; the binary version is needed (stl10_binary.tar.gz)".to_owned()
        }
        None => FILES.to_owned(),
    }
}

struct OfStl10(PathBuf);

impl ReadLabels for OfStl10 {
    fn read(&self, _: &[Images]) -> Result<Labels> {
        let classes = labels::names(&self.0.join(CLASSES))?;
        let of = |split| {
            let path = self.0.join(names(split)[1]);
            let bytes = fs::read(&path).map_err(io_at(&path))?;
            if let Some(at) = bytes.iter().position(|&label| label == 0) {
                let message = format!("image {at} has the label 0, but labels of STL-10 start at 1");
                return Err(Fault::at(&path, message, FILES).into());
            }
            let labels: Vec<u32> = bytes.iter().map(|&label| u32::from(label) - 1).collect();
            labels::require(&path, &labels, classes.len(), "image", CLASSES, FILES)?;
            Ok((split, labels))
        };
        let parts = [Split::Train, Split::Test].map(of).into_iter().collect::<Result<_>>()?;
        Ok(Labels { classes, parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::data::collection::{all, part};

    /// Images whose red plane has its column as value.
    fn write(dir: &Path, name: &str, images: u8) {
        let image = |at: u8| (0..SHAPE.bytes()).map(move |byte| if byte < 9216 { (byte / 96) as u8 } else { at });
        fs::write(dir.join(name), (0..images).flat_map(image).collect::<Vec<u8>>()).unwrap();
    }

    fn sample() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "train_X.bin", 2);
        write(dir.path(), "test_X.bin", 1);
        fs::write(dir.path().join("train_y.bin"), [2, 1]).unwrap();
        fs::write(dir.path().join("test_y.bin"), [1]).unwrap();
        fs::write(dir.path().join("class_names.txt"), "airplane\nbird\n").unwrap();
        dir
    }

    fn message(dir: &Path) -> String {
        list(dir, true).and_then(|listed| listed.open()).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn columns_become_rows_and_labels_start_at_0() {
        let dir = sample();
        let (train, test) = all(list(dir.path(), false).unwrap().open().unwrap().as_ref(), None).unwrap();
        assert_eq!((train.labels.as_slice(), test.labels.as_slice()), (&[1, 0][..], &[0][..]));
        assert!((0..9216).all(|at| usize::from(train.image(0)[at]) == at % 96));
        assert!(message(dir.path()).contains("unlabeled_X.bin: no such file"));
        write(dir.path(), "unlabeled_X.bin", 3);
        let listed = list(dir.path(), true).unwrap();
        assert_eq!(
            listed.parts()[2],
            crate::ml::data::Part { split: Split::Unlabelled, images: Some(3), labelled: false }
        );
        let further = part(listed.open().unwrap().as_ref(), Split::Unlabelled);
        assert_eq!((further.len(), further.known_labels(), further.image(2)[9216]), (3, None, 2));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_file() {
        let dir = sample();
        write(dir.path(), "unlabeled_X.bin", 1);
        let at = |name: &str| dir.path().join(name);
        for (name, bytes, said) in [
            ("train_y.bin", vec![2, 3], "train_y.bin: image 1 has label 2, but class_names.txt names 2 classes"),
            ("train_y.bin", vec![2, 0], "train_y.bin: image 1 has the label 0, but labels of STL-10 start at 1"),
            ("train_y.bin", vec![2], "train_y.bin: 1 labels for the 2 images of train_X.bin"),
            ("test_X.bin", vec![0; 27_649], "test_X.bin: truncated: 27649 bytes"),
            ("unlabeled_X.bin", Vec::new(), "unlabeled_X.bin: empty"),
        ] {
            let before = fs::read(at(name)).unwrap();
            fs::write(at(name), bytes).unwrap();
            let text = message(dir.path());
            assert!(text.contains(said), "{text}");
            fs::write(at(name), before).unwrap();
        }
    }
}
