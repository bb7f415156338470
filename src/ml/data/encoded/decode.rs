//! Decodes the bytes of an image file.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};

use super::{Orientation, format, jpeg, pnm, several::holds_several};

/// The most memory that one image may take, in bytes: a small file can claim any size.
const LIMIT: u64 = 512 << 20;

/// The first image of a file.
#[derive(Debug)]
pub(super) struct Decoded {
    pub pixels: RgbImage,
    /// Whether the file holds more images.
    pub is_one_of_several: bool,
}

/// Decodes the first image of a file. The format is told by the content, not by the ending of the name. The alpha
/// channel is dropped.
///
/// # Errors
/// A fragment that names the fault.
pub(super) fn decode(mut bytes: &[u8], orientation: Orientation) -> Result<Decoded, String> {
    if bytes.is_empty() {
        return Err("an empty file".into());
    }
    let Ok(format) = image::guess_format(bytes) else { return Err(unknown(bytes)) };
    // The decoders of these two formats fill in missing data without an error.
    let length = match format {
        ImageFormat::Jpeg => jpeg::length(bytes),
        ImageFormat::WebP => riff_length(bytes).filter(|&length| length <= bytes.len()),
        _ => Some(bytes.len()),
    };
    let Some(length) = length else {
        return Err(format!("not a whole {} image: the file ends within the image", name(format)));
    };
    bytes = &bytes[..length];
    if !format.reading_enabled() {
        return Err(unknown(bytes));
    }
    let name = name(format);
    let broken = |error: ImageError| match error {
        ImageError::Limits(_) => format!("decoding this {name} image needs more than the limit of {}", amount(LIMIT)),
        ImageError::Unsupported(error) => format!("a {name} image of a kind that cannot be read: {error}"),
        error => format!("not a whole {name} image: {error}"),
    };
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(LIMIT);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if decoder.total_bytes() > LIMIT {
        let needs = amount(decoder.total_bytes());
        return Err(format!(
            "an image of {width} x {height} pixels needs {needs}, more than the limit of {}",
            amount(LIMIT)
        ));
    }
    let turn = match orientation {
        Orientation::Ignore => None,
        Orientation::Apply => Some(decoder.orientation().map_err(broken)?),
    };
    let mut image = DynamicImage::from_decoder(decoder).map_err(broken)?;
    if let Some(turn) = turn {
        image.apply_orientation(turn);
    }
    let pixels = image.into_rgb8();
    if format == ImageFormat::Pnm
        && let Some((sample, most)) = pnm::read(bytes).and_then(|image| image.too_large)
    {
        return Err(format!("a sample is {sample}, above the largest value {most} that the header allows"));
    }
    Ok(Decoded { pixels, is_one_of_several: holds_several(bytes, format) })
}

fn name(format: ImageFormat) -> String {
    format!("{format:?}").to_uppercase()
}

/// The length of a RIFF file (WebP is one) by its header.
fn riff_length(bytes: &[u8]) -> Option<usize> {
    let length: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(length)).ok()?.checked_add(8)
}

/// The fault of a file whose format cannot be read.
fn unknown(bytes: &[u8]) -> String {
    match format::named(bytes) {
        Some(name) => format!("a {name} image, a format that cannot be read"),
        None => "not an image in a format that can be read".into(),
    }
}

fn amount(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests;
