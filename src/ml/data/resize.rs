//! Bringing images to a square of a wanted size.

use image::{
    RgbImage,
    imageops::{self, FilterType},
};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ImageSet;

/// How an image becomes a square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// The shorter side is scaled to the edge, and the square in the middle is cut out.
    #[default]
    Crop,
    /// Both sides are scaled to the edge; a picture that is not square changes its proportions.
    Stretch,
}

/// All images of a set (of 3 channels) as squares of `edge`, by [`square`].
///
/// # Panics
/// If images do not have 3 channels.
#[must_use]
pub fn all(set: &ImageSet, edge: usize, how: Resize) -> ImageSet {
    let [_, height, width] = set.size;
    if [height, width] == [edge; 2] {
        return set.clone();
    }
    let images: Vec<Vec<u8>> = (0..set.len())
        .into_par_iter()
        .map(|i| planes(&square(&interleaved(set.image(i), height, width), edge, how)))
        .collect();
    ImageSet {
        pixels: images.concat(),
        labels: set.labels.clone(),
        size: [3, edge, edge],
        classes: set.classes.clone(),
    }
}

/// The image as a square of `edge`; bilinear, averaging where it shrinks.
#[must_use]
pub fn square(image: &RgbImage, edge: usize, how: Resize) -> RgbImage {
    let (width, height) = image.dimensions();
    let edge = edge as u32;
    if how == Resize::Stretch && (width, height) != (edge, edge) {
        return imageops::resize(image, edge, edge, FilterType::Triangle);
    }
    let shorter = width.min(height).max(1);
    let scaled = |side: u32| {
        // Rounded, and never below the edge.
        let side = (u64::from(side) * u64::from(edge) + u64::from(shorter) / 2) / u64::from(shorter);
        (side as u32).max(edge)
    };
    let (wide, high) = (scaled(width), scaled(height));
    let cut = |image: &RgbImage| imageops::crop_imm(image, (wide - edge) / 2, (high - edge) / 2, edge, edge).to_image();
    if (wide, high) == (width, height) {
        cut(image)
    } else {
        cut(&imageops::resize(image, wide, high, FilterType::Triangle))
    }
}

/// The planes R, G, B of an image, `[3, H, W]`.
#[must_use]
pub fn planes(image: &RgbImage) -> Vec<u8> {
    let pixels = image.as_raw().as_chunks::<3>().0;
    (0..3).flat_map(|channel| pixels.iter().map(move |pixel| pixel[channel])).collect()
}

/// The inverse of [`planes`].
///
/// # Panics
/// If there are not `3 * height * width` bytes.
#[must_use]
pub fn interleaved(planes: &[u8], height: usize, width: usize) -> RgbImage {
    let plane = height * width;
    assert_eq!(planes.len(), 3 * plane, "three planes of {height} x {width}");
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let at = y as usize * width + x as usize;
        image::Rgb([planes[at], planes[plane + at], planes[2 * plane + at]])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_and_back() {
        let image = RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8, y as u8, 7]));
        let planes = planes(&image);
        assert_eq!(planes[..5], [0, 1, 2, 3, 4]);
        assert_eq!(planes[15..25], [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
        assert_eq!(interleaved(&planes, 3, 5), image);
    }

    #[test]
    fn the_middle_is_kept_at_the_wanted_size() {
        // Left third red, middle green, right blue.
        let image = RgbImage::from_fn(30, 10, |x, _| {
            let mut pixel = [0; 3];
            pixel[x as usize / 10] = 255;
            image::Rgb(pixel)
        });
        assert!(square(&image, 10, Resize::Crop).pixels().all(|p| p.0 == [0, 255, 0]));
        assert_eq!(square(&image, 4, Resize::Crop).dimensions(), (4, 4));
        assert_eq!(square(&image, 25, Resize::Crop).dimensions(), (25, 25));
        assert_eq!(square(&RgbImage::new(101, 333), 7, Resize::Crop).dimensions(), (7, 7));
    }

    #[test]
    fn stretching_keeps_all_there_is() {
        let image = RgbImage::from_fn(30, 10, |x, _| image::Rgb([if x < 15 { 255 } else { 0 }, 0, 0]));
        let square = square(&image, 10, Resize::Stretch);
        assert_eq!(square.dimensions(), (10, 10));
        assert!((0..10).all(|y| square.get_pixel(1, y).0[0] == 255 && square.get_pixel(8, y).0[0] == 0));
    }

    #[test]
    fn a_set_is_resized_image_by_image() {
        let pixels = [[10; 3 * 16], [200; 3 * 16]].concat();
        let set = ImageSet { pixels, labels: vec![1, 0], size: [3, 4, 4], classes: vec!["a".into(), "b".into()] };
        let small = all(&set, 2, Resize::Crop);
        assert_eq!(small.pixels, [[10; 12], [200; 12]].concat());
        assert_eq!((small.labels.as_slice(), small.size), ([1, 0].as_slice(), [3, 2, 2]));
        assert_eq!(all(&set, 4, Resize::Crop), set);
    }

    #[test]
    fn shrinking_averages() {
        let checkers = RgbImage::from_fn(64, 64, |x, y| image::Rgb([if (x + y) % 2 == 0 { 0 } else { 255 }; 3]));
        let small = square(&checkers, 8, Resize::Crop);
        assert!(small.pixels().all(|p| p.0.iter().all(|&v| (120..=135).contains(&v))));
    }
}
