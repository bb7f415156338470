//! Computes a part of a scaled image from only the pixels that this part needs.
//!
//! Bilinear, averaging over all pixels beneath where it shrinks: rows first, then columns, in f32. Every pixel equals
//! the one that `image::imageops::resize` with a triangle filter gives at that place of the whole scaled image; a test
//! compares them.

use std::ops::Range;

use image::{Rgb, RgbImage};

/// One side of the image: pixels before and after scaling, and the first scaled pixel of the part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    pub before: u32,
    pub after: u64,
    pub from: u64,
}

/// The square of `edge` that starts at `from` of both sides of the scaled image.
pub(super) fn window(image: &RgbImage, horizontal: Side, vertical: Side, edge: u32) -> RgbImage {
    let columns: Vec<Taps> = (0..edge).map(|at| Taps::new(horizontal, at)).collect();
    let used = columns.first().map_or(0, |taps| taps.first)..columns.last().map_or(0, |taps| taps.pixels().end);
    let mut out = RgbImage::new(edge, edge);
    let mut row = vec![[0.0_f32; 3]; used.len()];
    for y in 0..edge {
        scale_row(image, &Taps::new(vertical, y), &used, &mut row);
        for (x, taps) in columns.iter().enumerate() {
            let beneath = &row[taps.first - used.start..][..taps.weights.len()];
            let sum = weighted(beneath.iter().copied().zip(taps.weights.iter().copied()));
            out.put_pixel(x as u32, y, Rgb(sum.map(|value| value.clamp(0.0, 255.0).round() as u8)));
        }
    }
    out
}

/// One row of the scaled image, at the used columns of the source image.
fn scale_row(image: &RgbImage, taps: &Taps, used: &Range<usize>, row: &mut [[f32; 3]]) {
    let width = image.width() as usize;
    let pixels = image.as_raw().as_chunks::<3>().0;
    row.fill([0.0; 3]);
    for (y, &weight) in taps.pixels().zip(&taps.weights) {
        let beneath = &pixels[y * width..][used.clone()];
        for (sum, pixel) in row.iter_mut().zip(beneath) {
            for (sum, &value) in sum.iter_mut().zip(pixel) {
                *sum += f32::from(value) * weight;
            }
        }
    }
}

fn weighted(pixels: impl Iterator<Item = ([f32; 3], f32)>) -> [f32; 3] {
    pixels.fold([0.0; 3], |sum, (pixel, weight)| [0, 1, 2].map(|channel| sum[channel] + pixel[channel] * weight))
}

/// The source pixels of a scaled pixel, and their weights.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

impl Taps {
    fn new(side: Side, at: u32) -> Self {
        let ratio = side.before as f32 / side.after as f32;
        let reach = ratio.max(1.0);
        let centre = ((side.from + u64::from(at)) as f32 + 0.5) * ratio;
        let before = i64::from(side.before);
        let first = ((centre - reach).floor() as i64).clamp(0, before - 1);
        let end = ((centre + reach).ceil() as i64).clamp(first + 1, before);
        let centre = centre - 0.5;
        let triangle = |x: f32| if x.abs() < 1.0 { 1.0 - x.abs() } else { 0.0 };
        let mut weights: Vec<f32> = (first..end).map(|i| triangle((i as f32 - centre) / reach)).collect();
        if weights.iter().all(|weight| *weight == 0.0) {
            // Beyond 2^24 pixels, f32 cannot tell neighbours apart.
            weights.fill(1.0);
        }
        let sum: f32 = weights.iter().fold(0.0, |sum, weight| sum + weight);
        weights.iter_mut().for_each(|weight| *weight /= sum);
        Self { first: first as usize, weights }
    }

    fn pixels(&self) -> Range<usize> {
        self.first..self.first + self.weights.len()
    }
}
