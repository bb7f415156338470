//! NumPy's `.npy`: a header that is a Python dictionary, then the numbers (NumPy enhancement proposal 1).

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

use super::{
    ARRAY, Number, damaged, io_at, read_up_to,
    stored::{Place, Stored, columns_first, rows_first},
};
use crate::ml::Result;

/// The longest header that is read; NumPy warns of those above 10,000 bytes.
const LONGEST: usize = 1 << 16;

/// Finds the array of a file.
pub(super) fn tensors(path: &Path) -> Result<BTreeMap<String, Stored>> {
    let mut file = File::open(path).map_err(io_at(path))?;
    let bytes = file.metadata().map_err(io_at(path))?.len();
    let place = Place { start: 0, packed: false, skip: 0, bytes, crc: None };
    let array = array(&mut file, place).map_err(|message| damaged(path, message))?;
    array.check(path, ARRAY)?;
    Ok(BTreeMap::from([(ARRAY.to_owned(), array)]))
}

/// Reads the header of an array, at its place in a file.
///
/// # Errors
/// If it is no header: the reason.
pub(super) fn array(stream: &mut impl Read, place: Place) -> Result<Stored, String> {
    let cut = |error: io::Error| format!("truncated, or no .npy file: {error}");
    let mut start = [0; 8];
    stream.read_exact(&mut start).map_err(cut)?;
    let [0x93, b'N', b'U', b'M', b'P', b'Y', version, _] = start else { return Err("no .npy file".to_owned()) };
    let mut length = [0; 4];
    let sized = if version == 1 { 2 } else { 4 };
    if !(1..=3).contains(&version) {
        return Err(format!("an .npy file of version {version}; versions 1 to 3 can be read"));
    }
    stream.read_exact(&mut length[..sized]).map_err(cut)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST {
        return Err(format!("its header claims {length} bytes; at most {LONGEST} are read"));
    }
    let mut text = vec![0; length];
    if read_up_to(stream, &mut text).map_err(cut)? < length {
        return Err("truncated in its header".to_owned());
    }
    let text = String::from_utf8_lossy(&text);
    let (dims, columns) = (shape(&text).ok_or("its header names no shape")?, value(&text, "fortran_order"));
    let strides =
        if columns.is_some_and(|word| word.starts_with("True")) { columns_first(&dims) } else { rows_first(&dims) };
    let descr = value(&text, "descr").ok_or("its header names no type")?;
    let word = descr.strip_prefix(['\'', '"']).and_then(|rest| rest.split(['\'', '"']).next());
    let strides = strides.ok_or("its shape has too many numbers to be true")?;
    Ok(Stored {
        type_name: word.unwrap_or("a structured type").to_owned(),
        number: word.and_then(number),
        big_endian: word.is_some_and(|word| word.starts_with('>')),
        dims,
        strides,
        place: Place { skip: (8 + sized + length) as u64, ..place },
    })
}

/// The text after a key of the dictionary.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let at =
        ["'", "\""].iter().find_map(|quote| Some(header.find(&format!("{quote}{key}{quote}"))? + key.len() + 2))?;
    Some(header[at..].trim_start().strip_prefix(':')?.trim_start())
}

fn shape(header: &str) -> Option<Vec<usize>> {
    let inside = value(header, "shape")?.strip_prefix('(')?.split_once(')')?.0;
    let sizes = inside.split(',').map(str::trim).filter(|size| !size.is_empty());
    sizes.map(|size| size.trim_end_matches('L').parse().ok()).collect()
}

/// The type that NumPy writes so, without regard to the order of bytes.
fn number(word: &str) -> Option<Number> {
    Some(match word.trim_start_matches(['<', '>', '|', '=']) {
        "b1" | "?" => Number::Bool,
        "u1" => Number::U8,
        "i1" => Number::I8,
        "u2" => Number::U16,
        "i2" => Number::I16,
        "u4" => Number::U32,
        "i4" => Number::I32,
        "u8" => Number::U64,
        "i8" => Number::I64,
        "f2" => Number::F16,
        "f4" => Number::F32,
        "f8" => Number::F64,
        _ => return None,
    })
}
