//! Safetensors: a header of JSON, then the numbers.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use safetensors::{Dtype, tensor::Metadata};

use super::{
    Number, damaged, io_at,
    stored::{Place, Stored, rows_first},
};
use crate::ml::Result;

/// The bytes that hold the length of the header.
const HEAD: u64 = 8;
/// The longest header that is read.
const LONGEST: u64 = 100 << 20;

type Found = (BTreeMap<String, Stored>, BTreeMap<String, String>);

/// Finds the tensors of a file, and its metadata.
///
/// # Errors
/// If the header cannot be read, or the file is not as long as it says.
pub(super) fn tensors(path: &Path) -> Result<Found> {
    let mut file = File::open(path).map_err(io_at(path))?;
    let length = file.metadata().map_err(io_at(path))?.len();
    let mut head = [0; HEAD as usize];
    file.read_exact(&mut head).map_err(io_at(path))?;
    let header = u64::from_le_bytes(head);
    if header > LONGEST || header > length.saturating_sub(HEAD) {
        let message =
            format!("truncated, or no safetensors file: its header has {header} bytes, and the file {length}");
        return Err(damaged(path, message));
    }
    let mut json = vec![0; usize::try_from(header).unwrap_or_default()];
    file.read_exact(&mut json).map_err(io_at(path))?;
    let parsed: Metadata = serde_json::from_slice(&json)
        .map_err(|error| damaged(path, format!("no safetensors file: its header cannot be read: {error}")))?;
    let mut tensors = BTreeMap::new();
    let mut end = 0;
    for (name, info) in parsed.tensors() {
        let (from, to) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
        let start = (HEAD + header).saturating_add(from);
        end = end.max((HEAD + header).saturating_add(to));
        let strides = rows_first(&info.shape);
        let stored = Stored {
            type_name: format!("{:?}", info.dtype).to_lowercase(),
            number: number(info.dtype).filter(|_| strides.is_some()),
            big_endian: false,
            dims: info.shape.clone(),
            strides: strides.unwrap_or_default(),
            place: Place { start, packed: false, skip: 0, bytes: to.saturating_sub(from), crc: None },
        };
        stored.check(path, &name)?;
        tensors.insert(name, stored);
    }
    if end > length {
        let message = format!("truncated: its tensors end at byte {end}, and the file has {length}");
        return Err(damaged(path, message));
    }
    Ok((tensors, parsed.metadata().iter().flatten().map(|(name, text)| (name.clone(), text.clone())).collect()))
}

fn number(dtype: Dtype) -> Option<Number> {
    Some(match dtype {
        Dtype::BOOL => Number::Bool,
        Dtype::U8 => Number::U8,
        Dtype::I8 => Number::I8,
        Dtype::U16 => Number::U16,
        Dtype::I16 => Number::I16,
        Dtype::U32 => Number::U32,
        Dtype::I32 => Number::I32,
        Dtype::U64 => Number::U64,
        Dtype::I64 => Number::I64,
        Dtype::F16 => Number::F16,
        Dtype::BF16 => Number::Bf16,
        Dtype::F32 => Number::F32,
        Dtype::F64 => Number::F64,
        _ => return None,
    })
}
