//! Files that hold more than one image: animations, pages, and concatenated PNM images. Only the first image is read.

use std::io::Cursor;

use image::{
    AnimationDecoder, ImageFormat,
    codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder},
};
use tiff::{decoder::Decoder, tags::Tag};

use super::pnm;

/// True if a file that was decoded without an error holds more than one image. A preview of the first image in lower
/// resolution, which TIFF may contain, does not count.
pub(super) fn holds_several(bytes: &[u8], format: ImageFormat) -> bool {
    let file = Cursor::new(bytes);
    match format {
        ImageFormat::Gif => GifDecoder::new(file).is_ok_and(|decoder| decoder.into_frames().nth(1).is_some()),
        ImageFormat::Png => PngDecoder::new(file).and_then(|decoder| decoder.is_apng()).unwrap_or(false),
        ImageFormat::WebP => WebPDecoder::new(file).is_ok_and(|decoder| decoder.has_animation()),
        ImageFormat::Tiff => has_pages(file),
        ImageFormat::Pnm => pnm::read(bytes).is_some_and(|image| image.has_follower),
        _ => false,
    }
}

fn has_pages(file: Cursor<&[u8]>) -> bool {
    let Ok(mut decoder) = Decoder::new(file) else { return false };
    while decoder.more_images() {
        if decoder.next_image().is_err() {
            return false;
        }
        // The lowest bit marks a smaller version of another image (TIFF 6.0, page 36).
        let kind = decoder.find_tag_unsigned::<u32>(Tag::NewSubfileType).ok().flatten().unwrap_or_default();
        if kind & 1 == 0 {
            return true;
        }
    }
    false
}
