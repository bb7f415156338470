//! Files of tensors that other programs wrote: safetensors, NumPy's `.npy` and `.npz`, PyTorch's `.pth`; and CSV.
//!
//! [`TensorFile::open`] reads what a file says of its tensors, [`TensorFile::read`] one of them. `stored` is where a tensor
//! lies, whatever the format, and how its bytes become numbers (`number`). `safetensors`, `npy`, `archive` (`.npz`) and `pth`
//! find the tensors; `csv` reads columns of text.
//!
//! Whatever a file claims, no more memory is taken than its bytes can fill, and a damaged file is a [`Fault`].

mod archive;
pub mod csv;
mod npy;
mod number;
mod pth;
mod safetensors;
mod stored;

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use candle_core::Tensor;

use super::{
    Error, Result,
    data::{Fault, names},
};
use stored::Stored;

pub use number::Number;

/// The name of the only array of an `.npy` file, which has no name there.
pub const ARRAY: &str = "array";

/// A file of tensors.
#[derive(Clone, Debug)]
pub struct TensorFile {
    path: PathBuf,
    format: Format,
    tensors: BTreeMap<String, Stored>,
    metadata: BTreeMap<String, String>,
}

/// The format of a file of tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Tensors by name, with texts as metadata.
    Safetensors,
    /// One array of NumPy.
    Npy,
    /// Arrays of NumPy by name, in a zip archive.
    Npz,
    /// What `torch.save` writes.
    Pth,
}

/// What a file says of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info<'a> {
    /// The type of its numbers, if it can be read.
    pub number: Option<Number>,
    /// The type as the file calls it.
    pub type_name: &'a str,
    /// Its shape.
    pub dims: &'a [usize],
}

impl TensorFile {
    /// Reads what a file says of its tensors. Its first bytes tell the format.
    ///
    /// # Errors
    /// If the file cannot be read, has none of the formats, or is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let mut start = [0; 10];
        let mut file = File::open(path).map_err(io_at(path))?;
        if file.metadata().map_err(io_at(path))?.is_dir() {
            return Err(Fault::at(path, "a folder", "set `path` to a file").into());
        }
        let read = read_up_to(&mut file, &mut start).map_err(io_at(path))?;
        let (format, tensors, metadata) = match &start[..read] {
            [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => (Format::Npy, npy::tensors(path)?, BTreeMap::new()),
            [b'P', b'K', 3, 4, ..] => {
                let zip = archive::Archive::open(path)?;
                match zip.pickle() {
                    Some(pickle) => (Format::Pth, pth::tensors(&zip, &pickle)?, BTreeMap::new()),
                    None => (Format::Npz, zip.arrays()?, BTreeMap::new()),
                }
            }
            [0x80, 2, 0x8a, 10, ..] => {
                let message = "a file of PyTorch before 1.6";
                let remedy = "write it anew: `torch.save(torch.load(FILE, map_location=\"cpu\"), FILE)`";
                return Err(Fault::at(path, message, remedy).into());
            }
            [_, _, _, _, _, _, _, _, b'{', ..] => {
                let (tensors, metadata) = safetensors::tensors(path)?;
                (Format::Safetensors, tensors, metadata)
            }
            _ => {
                let message = "not a file of tensors: safetensors, .npy, .npz or PyTorch's .pth";
                return Err(Fault::at(path, message, "save it in one of these formats").into());
            }
        };
        Ok(Self { path: path.to_owned(), format, tensors, metadata })
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The format.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The metadata of a safetensors file.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// What the file says of each tensor, by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, Info<'_>)> {
        self.tensors.iter().map(|(name, stored)| (name.as_str(), stored.info()))
    }

    /// What the file says of a tensor.
    ///
    /// # Errors
    /// If there is no such tensor. The message names those there are.
    pub fn info(&self, name: &str) -> Result<Info<'_>> {
        Ok(self.stored(name)?.info())
    }

    fn stored(&self, name: &str) -> Result<&Stored> {
        self.tensors.get(name).ok_or_else(|| {
            let message = format!("there is no tensor `{name}`; it holds {}", self.words());
            Fault::at(&self.path, message, "name one of those").into()
        })
    }

    /// Reads a tensor.
    ///
    /// # Errors
    /// If there is none of that name, its type is not one of candle's, or its bytes cannot be read.
    pub fn read(&self, name: &str) -> Result<Tensor> {
        self.stored(name)?.read(&self.path, name)
    }

    /// Its tensors in words, with types and shapes.
    #[must_use]
    pub fn words(&self) -> String {
        let words: Vec<String> = self.tensors().map(|(name, info)| format!("`{name}` {info}")).collect();
        if words.is_empty() { "no tensors".to_owned() } else { names(&words) }
    }
}

impl fmt::Display for Info<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.type_name, self.dims)
    }
}

/// An error of the system at a file. A missing file is a fault of the user.
fn io_at(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    |source| match source.kind() {
        io::ErrorKind::NotFound => {
            let remedy = "put the file there, or set `path` to it, relative to the project root; without it earlier \
                          results cannot be found, since their keys contain its content";
            Fault::at(path, "is not there", remedy).into()
        }
        _ => Error::Io { path: path.to_owned(), source },
    }
}

/// A fault of a file that is cut or changed.
fn damaged(path: &Path, message: impl fmt::Display) -> Error {
    Fault::at(path, message, "download or write it anew").into()
}

/// Fills a buffer as far as there are bytes.
fn read_up_to(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
