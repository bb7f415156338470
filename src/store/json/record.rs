//! Small JSON files that say whether they are whole: their first entry is a hash of the rest and of the file's name.
//!
//! A manifest holds numbers that stand nowhere else, so a flipped bit in one must not pass for a result. A record whose
//! hash is not that of its bytes, or that was copied to another name, counts as not there.

use std::{fs, io, path::Path};

use serde::{Serialize, de::DeserializeOwned};

/// The first bytes, up to the hash.
const HEAD: &[u8] = b"{\"blake3\": \"";
/// The bytes behind the hash.
const TAIL: &[u8] = b"\",";
const DIGITS: usize = 64;
/// Where the content goes on.
const BODY: usize = HEAD.len() + DIGITS + TAIL.len();

/// The bytes of a record that is to lie at `path`.
pub(in crate::store) fn seal(path: &Path, value: &impl Serialize) -> Vec<u8> {
    let json = super::super::to_json(value);
    let body = &json[1..];
    [HEAD, digest(path, body).as_bytes(), TAIL, body].concat()
}

/// What lies at `path`; `None` if nothing does, or nothing that is whole.
///
/// # Errors
/// If the file is there but cannot be read.
pub(in crate::store) fn open<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(unseal(path, bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The content of a record, if its hash is right.
pub(in crate::store) fn unseal<T: DeserializeOwned>(path: &Path, mut bytes: Vec<u8>) -> Option<T> {
    let written = bytes.get(..BODY)?.strip_prefix(HEAD)?.strip_suffix(TAIL)?;
    if written != digest(path, &bytes[BODY..]).as_bytes() {
        return None;
    }
    bytes[BODY - 1] = b'{';
    serde_json::from_slice(&bytes[BODY - 1..]).ok()
}

fn digest(path: &Path, body: &[u8]) -> String {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    blake3::Hasher::new().update(name).update(b"\n").update(body).finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn any_flipped_bit_any_cut_and_another_name_are_seen() {
        let path = Path::new("folder/a.json");
        let value = BTreeMap::from([("accuracy".to_owned(), 0.8125), ("loss".to_owned(), 1.5)]);
        let sealed = seal(path, &value);
        assert!(serde_json::from_slice::<serde_json::Value>(&sealed).is_ok(), "it is JSON");
        let read = |path: &str, bytes: &[u8]| unseal::<BTreeMap<String, f64>>(Path::new(path), bytes.to_vec());
        assert_eq!(read("elsewhere/a.json", &sealed), Some(value));
        assert_eq!(read("folder/b.json", &sealed), None);
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read("a.json", &flipped), None, "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(read("a.json", &sealed[..length]), None, "{length} bytes");
        }
    }
}
