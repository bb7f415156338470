//! Reads images from tensors in the cache, and arranges them in grids as PNG or JPEG.

use std::io::Cursor;

use candle_core::{DType, Tensor};
use image::{DynamicImage, ImageFormat, RgbImage, codecs::jpeg::JpegEncoder, imageops};

/// Images as u8, channels first.
pub struct Images {
    pixels: Vec<u8>,
    count: usize,
    size: [usize; 3],
}

impl Images {
    /// Reads a tensor u8 `[…, C, H, W]`.
    pub fn of(tensor: &Tensor) -> Option<Self> {
        let dims = tensor.dims();
        let [.., colours, height, width] = *dims else { return None };
        if tensor.dtype() != DType::U8 || ![1, 3].contains(&colours) {
            return None;
        }
        let pixels = tensor.flatten_all().ok()?.to_vec1::<u8>().ok()?;
        let size = [colours, height, width];
        Some(Self { count: pixels.len() / size.iter().product::<usize>().max(1), pixels, size })
    }

    /// Returns the number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// True without images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the longer edge of an image, in pixels.
    pub fn edge(&self) -> usize {
        self.size[1].max(self.size[2])
    }

    fn one(&self, index: usize) -> RgbImage {
        let [colours, height, width] = self.size;
        let plane = height * width;
        let image = &self.pixels[index * colours * plane..][..colours * plane];
        RgbImage::from_fn(width as u32, height as u32, |x, y| {
            let at = y as usize * width + x as usize;
            image::Rgb([0, 1, 2].map(|colour: usize| image[colour.min(colours - 1) * plane + at]))
        })
    }

    /// Arranges the images at `indices` (`None` leaves a gap) in rows of `columns`, `gap` pixels apart. An image is
    /// scaled down if an edge is longer than `edge`.
    pub fn grid(&self, indices: &[Option<usize>], columns: usize, edge: u32, gap: u32) -> RgbImage {
        let shrink = (f64::from(edge) / self.edge() as f64).min(1.0);
        let scaled = |pixels: usize| ((pixels as f64 * shrink).round() as u32).max(1);
        let (height, width) = (scaled(self.size[1]), scaled(self.size[2]));
        let rows = indices.len().div_ceil(columns.max(1)) as u32;
        let size = (columns as u32 * (width + gap) - gap, rows * (height + gap) - gap);
        let mut grid = RgbImage::from_pixel(size.0.max(1), size.1.max(1), image::Rgb([128; 3]));
        for (at, index) in indices.iter().enumerate() {
            let Some(index) = index.filter(|index| *index < self.count) else { continue };
            let mut one = self.one(index);
            if (one.width(), one.height()) != (width, height) {
                one = imageops::resize(&one, width, height, imageops::FilterType::Triangle);
            }
            let (x, y) = ((at % columns) as u32 * (width + gap), (at / columns) as u32 * (height + gap));
            imageops::replace(&mut grid, &one, x.into(), y.into());
        }
        grid
    }
}

/// Encodes a picture as PNG.
pub fn png(image: RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    // Encoding into memory cannot fail for a picture that has pixels.
    let _ = DynamicImage::from(image).write_to(&mut bytes, ImageFormat::Png);
    bytes.into_inner()
}

/// Encodes a picture as JPEG, which is smaller for thousands of images.
pub fn jpeg(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = JpegEncoder::new_with_quality(&mut bytes, 80).encode_image(image);
    bytes
}
