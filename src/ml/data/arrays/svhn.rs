//! SVHN, the cropped digits: `train_32x32.mat`, `test_32x32.mat` and, on request, `extra_32x32.mat`. Each has the images
//! as `X` [32, 32, 3, N] and the labels as `y` [N, 1], in which 10 is the digit 0 (Netzer et al. 2011).

use std::path::{Path, PathBuf};

use super::{
    Images, Labels, Listing, ReadLabels,
    block::{Block, Order, Shape},
    mat::{self, Array},
};
use crate::ml::{
    Result,
    data::{Fault, Listed, Split, fault},
};

const SHAPE: Shape = Shape { size: [3, 32, 32], order: Order::Columns };
/// The remedy for files that are missing or not as they should be.
const FILES: &str = "SVHN's cropped digits are train_32x32.mat, test_32x32.mat and extra_32x32.mat; download them into one \
                     folder, and set `path` to it";

/// Lists the dataset in `dir`, with its extra images if `extra`.
///
/// # Errors
/// If a file is missing, truncated, or no MATLAB file with images and labels.
pub fn list(dir: &Path, extra: bool) -> Result<Box<dyn Listed>> {
    fault::folder(dir, "the folder of SVHN's cropped digits")?;
    let mut wanted = vec![(Split::Train, "train_32x32.mat"), (Split::Test, "test_32x32.mat")];
    wanted.extend(extra.then_some((Split::Extra, "extra_32x32.mat")));
    let names: Vec<&str> = wanted.iter().map(|(_, name)| *name).collect();
    fault::require_files(dir, &names, "files of SVHN are missing", &missing(dir))?;
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for (split, name) in wanted {
        let path = dir.join(name);
        let arrays = mat::arrays(&path)?;
        let find = |name: &str| arrays.iter().find(|array| array.name == name);
        let (Some(x), Some(y)) = (find("X"), find("y")) else {
            let names: Vec<String> = arrays.iter().map(|array| format!("`{}`", array.name)).collect();
            let message = format!("the arrays `X` and `y` were expected, and it has {}", fault::names(&names));
            return Err(Fault::at(&path, message, FILES).into());
        };
        let fits = matches!(*x.dims, [32, 32, 3, _] | [32, 32, 3]) && x.numbers == mat::UINT8 && x.bytes == x.count();
        if !fits || x.count() == 0 {
            let message = format!("`X` is {:?}, and [32, 32, 3, N] bytes were expected", x.dims);
            return Err(Fault::at(&path, message, FILES).into());
        }
        let count = x.dims.get(3).copied().unwrap_or(1);
        if y.count() != count as u64 {
            let message = format!("{} labels for {count} images", y.count());
            return Err(Fault::at(&path, message, FILES).into());
        }
        let block = Block { path: path.clone(), packing: x.packing, at: x.at, step: SHAPE.bytes(), images: count };
        images.push(Images { split, blocks: vec![block], labelled: true });
        labels.push((split, path, y.clone()));
    }
    let files = labels.iter().map(|(_, path, _)| path.clone()).collect();
    Ok(Box::new(Listing { images, shape: SHAPE, files, left_out: 0, remarks: Vec::new(), labels: OfSvhn(labels) }))
}

fn missing(dir: &Path) -> String {
    if let Some(inside) = fault::inside(dir, &["train_32x32.mat"]) {
        return format!("the dataset seems to be in a folder inside; set `path` to {inside}");
    }
    if dir.join("digitStruct.mat").is_file() || dir.join("train/digitStruct.mat").is_file() {
        return format!("these are the full numbers of SVHN, which cannot be read; {FILES}");
    }
    FILES.to_owned()
}

struct OfSvhn(Vec<(Split, PathBuf, Array)>);

impl ReadLabels for OfSvhn {
    fn read(&self, _: &[Images]) -> Result<Labels> {
        let of = |(split, path, array): &(Split, PathBuf, Array)| {
            let digit = |(at, label): (usize, u32)| match label {
                10 => Ok(0),
                0..=9 => Ok(label),
                _ => Err(Fault::at(path, format!("image {at} has label {label}, which is no digit"), FILES).into()),
            };
            let labels: Result<Vec<u32>> = array.whole_numbers(path)?.into_iter().enumerate().map(digit).collect();
            Ok((*split, labels?))
        };
        let parts = self.0.iter().map(of).collect::<Result<_>>()?;
        Ok(Labels { classes: (0..10).map(|digit: u32| digit.to_string()).collect(), parts })
    }
}
