//! The binary version: records of one label (CIFAR-10) or two (CIFAR-100), a byte each, and an image.

use std::{
    fs,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use super::{
    SHAPE, advice,
    files::{Files, PIXELS, Which},
    paths, remarks,
};
use crate::ml::{
    Error, Result,
    data::{
        Fault, Listed, Split,
        arrays::{
            Images, Labels, Listing, ReadLabels,
            block::{Block, Bytes, Packing, broken_at},
        },
        labels as names,
    },
};

/// Lists the files in `dir`, whose sizes are whole records.
pub(super) fn list(dir: &Path, which: Which, files: &Files) -> Result<Box<dyn Listed>> {
    let mut faults = advice::missing(dir, which, "binary", files);
    let (labels, _) = which.labels();
    let step = labels + PIXELS;
    let [train, test] = which.whole();
    let mut block = |name: &str, whole: usize| -> Result<Block> {
        let path = dir.join(name);
        let bytes = match fs::metadata(&path) {
            Ok(found) if found.is_file() => {
                faults.0.extend(advice::size(&path, found.len(), step, whole));
                found.len()
            }
            Ok(_) => {
                faults.0.push(Fault::at(&path, "not a file", "put the file of the dataset there"));
                0
            }
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(source) => return Err(Error::Io { path, source }),
        };
        let images = usize::try_from(bytes / step as u64).unwrap_or(usize::MAX);
        Ok(Block { path, packing: Packing::Plain, at: labels as u64, step, images })
    };
    let blocks = files.train.iter().map(|name| block(name, train)).collect::<Result<Vec<_>>>()?;
    let tests = vec![block(files.test, test)?];
    faults.none()?;
    let part = |split, blocks| Images { split, blocks, labelled: true };
    let images = vec![part(Split::Train, blocks), part(Split::Test, tests)];
    Ok(Box::new(Listing {
        remarks: remarks(dir, which, &images, &|number| format!("data_batch_{number}.bin")),
        images,
        shape: SHAPE,
        files: paths(dir, files),
        left_out: 0,
        labels: OfBinary { which, classes: dir.join(files.classes) },
    }))
}

struct OfBinary {
    which: Which,
    classes: PathBuf,
}

impl ReadLabels for OfBinary {
    fn read(&self, images: &[Images]) -> Result<Labels> {
        let classes = names::names(&self.classes)?;
        let namer = self.classes.file_name().unwrap_or_default().to_string_lossy();
        let remedy = format!("use the files of {}'s binary version, all from one archive", self.which.name());
        let of = |part: &Images| {
            let mut all = Vec::new();
            for block in &part.blocks {
                let labels = self.labels(block)?;
                names::require(&block.path, &labels, classes.len(), "record", &namer, &remedy)?;
                all.extend(labels);
            }
            Ok((part.split, all))
        };
        let parts = images.iter().map(of).collect::<Result<_>>()?;
        Ok(Labels { classes, parts })
    }
}

impl OfBinary {
    /// The labels of one file. The file is read once, a piece at a time.
    fn labels(&self, block: &Block) -> Result<Vec<u32>> {
        let (bytes, at) = self.which.labels();
        let mut file = Bytes::open(&block.path, block.packing)?;
        let mut record = vec![0; bytes];
        let mut label = || {
            file.read_exact(&mut record)?;
            file.skip(PIXELS as u64)?;
            Ok(u32::from(record[at]))
        };
        (0..block.images).map(|_| label()).collect::<std::io::Result<_>>().map_err(broken_at(&block.path))
    }
}
