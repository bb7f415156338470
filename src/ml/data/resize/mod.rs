//! Resizes images to squares.

mod sample;

use image::{RgbImage, imageops};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use sample::Side;

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

/// The image as a square of `edge` pixels; bilinear, averaging where it shrinks. Only the pixels of the square are
/// read, so an image a thousand times as wide as high costs no more than its middle.
#[must_use]
pub fn square(image: &RgbImage, edge: usize, how: Resize) -> RgbImage {
    let (width, height) = image.dimensions();
    let edge = edge as u32;
    let shorter = u64::from(width.min(height).max(1));
    let scaled = |side: u32| match how {
        Resize::Stretch => u64::from(edge),
        // The size is rounded, and never below the edge.
        Resize::Crop => ((u64::from(side) * u64::from(edge) + shorter / 2) / shorter).max(u64::from(edge)),
    };
    let side = |before: u32| {
        let after = scaled(before);
        Side { before, after, from: (after - u64::from(edge)) / 2 }
    };
    let (horizontal, vertical) = (side(width), side(height));
    if [horizontal, vertical].iter().all(|side| u64::from(side.before) == side.after) {
        return imageops::crop_imm(image, horizontal.from as u32, vertical.from as u32, edge, edge).to_image();
    }
    sample::window(image, horizontal, vertical, edge)
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
    use proptest::prelude::*;

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

    /// The plain way: the whole image is scaled, and the middle is cut out.
    fn whole(image: &RgbImage, edge: u32, how: Resize) -> RgbImage {
        let (width, height) = image.dimensions();
        let shorter = width.min(height);
        let scaled = |side: u32| ((side * edge + shorter / 2) / shorter).max(edge);
        let (wide, high) = if how == Resize::Stretch { (edge, edge) } else { (scaled(width), scaled(height)) };
        let scaled = imageops::resize(image, wide, high, imageops::FilterType::Triangle);
        imageops::crop_imm(&scaled, (wide - edge) / 2, (high - edge) / 2, edge, edge).to_image()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn a_part_is_the_part_of_the_whole(
            width in 1_u32..90, height in 1_u32..90, edge in 1_u32..70, seed in 0_u32..1000, stretch: bool
        ) {
            let image = RgbImage::from_fn(width, height, |x, y| {
                let noise = (x * 7919 + y * 104_729 + seed * 31).wrapping_mul(2_654_435_761);
                image::Rgb([(noise >> 24) as u8, (noise >> 16) as u8, (noise >> 8) as u8])
            });
            let how = if stretch { Resize::Stretch } else { Resize::Crop };
            prop_assert_eq!(square(&image, edge as usize, how), whole(&image, edge, how));
        }
    }

    #[test]
    fn a_very_thin_image_costs_no_more_than_its_middle() {
        let thin = RgbImage::from_fn(65_535, 1, |x, _| image::Rgb([(x / 257) as u8, 0, 255]));
        let started = std::time::Instant::now();
        for (edge, how) in [(64, Resize::Crop), (4096, Resize::Crop), (64, Resize::Stretch)] {
            let small = square(&thin, edge, how);
            assert_eq!(small.dimensions(), (edge as u32, edge as u32));
            assert!(small.get_pixel(edge as u32 / 2, 0).0[0].abs_diff(127) < 4);
        }
        let tall = imageops::rotate90(&thin);
        assert_eq!(square(&tall, 64, Resize::Crop).get_pixel(0, 0).0[0].abs_diff(127), 0);
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }

    #[test]
    fn shrinking_averages() {
        let checkers = RgbImage::from_fn(64, 64, |x, y| image::Rgb([if (x + y) % 2 == 0 { 0 } else { 255 }; 3]));
        let small = square(&checkers, 8, Resize::Crop);
        assert!(small.pixels().all(|p| p.0.iter().all(|&v| (120..=135).contains(&v))));
    }
}
