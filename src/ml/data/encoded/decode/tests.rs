//! Files in every format, cut anywhere, and with any bytes appended. `reference_formats` tests their pixels.

use std::{fs, path::Path};

use proptest::prelude::*;

use super::*;

/// The files that `tests/reference/formats.py` wrote, by name.
fn files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/formats");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read =
        |path: std::path::PathBuf| (path.file_name().unwrap().to_string_lossy().into(), fs::read(&path).unwrap());
    let mut files: Vec<(String, Vec<u8>)> = paths.map(read).collect();
    files.sort();
    assert!(files.len() > 20);
    files
}

fn pixels(bytes: &[u8]) -> Result<RgbImage, String> {
    decode(bytes, Orientation::Ignore).map(|decoded| decoded.pixels)
}

fn is_jpeg(bytes: &[u8]) -> bool {
    image::guess_format(bytes).unwrap() == ImageFormat::Jpeg
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused_or_whole() {
    for (name, bytes) in files() {
        let whole = pixels(&bytes).unwrap();
        for length in 0..bytes.len() {
            match pixels(&bytes[..length]) {
                Err(_) => {}
                // The part that was cut off came after the first image.
                Ok(image) => assert!(!is_jpeg(&bytes) && image == whole, "{name} cut after {length} bytes"),
            }
        }
    }
}

/// The bytes that phones, cameras and careless programs append to an image.
fn behind() -> impl Strategy<Value = Vec<u8>> {
    let marker = prop::sample::select(vec![0xd8_u8, 0xd9, 0xda, 0xe1, 0x00, 0xd0, 0xff, 0xc0]);
    let marker = marker.prop_map(|marker| vec![0xff, marker]);
    let noise = prop::collection::vec(any::<u8>(), 0..40);
    prop::collection::vec(prop_oneof![marker, noise], 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn what_is_behind_an_image_does_no_harm(tail in behind()) {
        for (name, bytes) in files() {
            let image = pixels(&bytes).unwrap();
            prop_assert!(pixels(&[bytes, tail.clone()].concat()).as_ref() == Ok(&image), "{}", name);
        }
    }

    #[test]
    fn a_cut_jpeg_is_refused_whatever_its_thumbnail_holds(tail in behind(), cut in 0.0_f64..1.0) {
        for (name, bytes) in files().into_iter().filter(|(_, bytes)| is_jpeg(bytes)) {
            // The thumbnail and all its markers are inside a segment.
            let segment = [&[0xff, 0xe1][..], &((tail.len() as u16 + 2).to_be_bytes()), &tail].concat();
            let with = [&bytes[..2], &segment, &bytes[2..]].concat();
            prop_assert_eq!(jpeg::length(&with), Some(with.len()), "{}", name);
            let length = (with.len() as f64 * cut) as usize;
            prop_assert_eq!(jpeg::length(&with[..length]), None, "{} cut after {}", name, length);
        }
    }
}

#[test]
fn an_image_beyond_the_limit_says_its_size() {
    // A PNG that claims 60,000 x 60,000 pixels, and one whose pixels are there.
    let mut bytes = Vec::new();
    image::RgbImage::new(4, 4).write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
    let crc = |chunk: &[u8]| {
        let step = |crc: u32, byte: &u8| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
        };
        !chunk.iter().fold(u32::MAX, step)
    };
    let side = 60_000_u32.to_be_bytes();
    bytes[16..20].copy_from_slice(&side);
    bytes[20..24].copy_from_slice(&side);
    let sum = crc(&bytes[12..29]).to_be_bytes();
    bytes[29..33].copy_from_slice(&sum);
    let said = pixels(&bytes).unwrap_err();
    assert_eq!(said, "an image of 60000 x 60000 pixels needs 10300 MiB, more than the limit of 512 MiB");
}
