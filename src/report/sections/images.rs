//! Encodes pictures for a page.

use base64::{Engine, prelude::BASE64_STANDARD};
use image::RgbImage;

use crate::results;

/// Encodes a picture as PNG in a data URI.
pub(super) fn png(image: RgbImage) -> String {
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(results::png(image)))
}

/// Encodes a picture as JPEG in a data URI.
pub(super) fn jpeg(image: &RgbImage) -> String {
    format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(results::jpeg(image)))
}
