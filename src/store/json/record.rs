//! Records: small JSON blobs that show damage. Their first entry is a hash of the rest and of the blob's name.
//!
//! A manifest holds numbers that are kept nowhere else, so a flipped bit in one must not pass for a result. A record
//! whose hash does not match its bytes, or that was copied to another name, counts as absent.

use serde::{Serialize, de::DeserializeOwned};

use crate::store::{Blobs, StoreError, names};

/// The first bytes, up to the hash.
const HEAD: &[u8] = b"{\"blake3\": \"";
/// The bytes after the hash.
const TAIL: &[u8] = b"\",";
const DIGITS: usize = 64;
/// Where the content continues.
const BODY: usize = HEAD.len() + DIGITS + TAIL.len();

/// Returns the bytes of a record that will be called `name`.
pub(in crate::store) fn seal(name: &str, value: &impl Serialize) -> Vec<u8> {
    let json = to_json(value);
    let body = &json[1..];
    [HEAD, digest(name, body).as_bytes(), TAIL, body].concat()
}

/// Reads a record; `None` if it is absent or damaged.
///
/// # Errors
/// If the record is there but cannot be read.
pub(in crate::store) fn open<T: DeserializeOwned>(blobs: &dyn Blobs, name: &str) -> Result<Option<T>, StoreError> {
    Ok(blobs.get(name)?.and_then(|bytes| unseal(name, bytes)))
}

/// Pretty-printed JSON, for people who look into a cache.
pub(in crate::store) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("records have string keys and finite or null numbers")
}

/// Returns the content of a record, if its hash matches.
fn unseal<T: DeserializeOwned>(name: &str, mut bytes: Vec<u8>) -> Option<T> {
    let written = bytes.get(..BODY)?.strip_prefix(HEAD)?.strip_suffix(TAIL)?;
    if written != digest(name, &bytes[BODY..]).as_bytes() {
        return None;
    }
    bytes[BODY - 1] = b'{';
    serde_json::from_slice(&bytes[BODY - 1..]).ok()
}

fn digest(name: &str, body: &[u8]) -> String {
    blake3::Hasher::new()
        .update(names::last(name).as_bytes())
        .update(b"\n")
        .update(body)
        .finalize()
        .to_hex()
        .to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn any_flipped_bit_any_cut_and_another_name_are_seen() {
        let name = "folder/a.json";
        let value = BTreeMap::from([("accuracy".to_owned(), 0.8125), ("loss".to_owned(), 1.5)]);
        let sealed = seal(name, &value);
        assert!(serde_json::from_slice::<serde_json::Value>(&sealed).is_ok(), "it is JSON");
        let read = |name: &str, bytes: &[u8]| unseal::<BTreeMap<String, f64>>(name, bytes.to_vec());
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
