//! Images as they lie in the cache, and grids of them as PNG or JPEG in a data URI.

use std::io::Cursor;

use base64::{Engine, prelude::BASE64_STANDARD};
use candle_core::{DType, Tensor};
use image::{DynamicImage, ImageFormat, RgbImage, codecs::jpeg::JpegEncoder, imageops};

use super::Source;
use crate::store::Artifact;

/// Images: u8, channels first.
pub struct Images {
    pixels: Vec<u8>,
    count: usize,
    size: [usize; 3],
}

impl Images {
    /// From a tensor u8 `[…, C, H, W]`.
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

    /// The number of images.
    pub fn len(&self) -> usize {
        self.count
    }

    /// The longer edge.
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

    /// The images at `indices` (nothing for none), so many in a row, a pixel apart, none larger than `edge`.
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

/// A picture as PNG.
pub fn png(image: RgbImage) -> String {
    let mut bytes = Cursor::new(Vec::new());
    // Writing to memory does not fail for a picture that has pixels.
    let _ = DynamicImage::from(image).write_to(&mut bytes, ImageFormat::Png);
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(bytes.into_inner()))
}

/// A picture as JPEG, for thousands of small images.
pub fn jpeg(image: &RgbImage) -> String {
    let mut bytes = Vec::new();
    let _ = JpegEncoder::new_with_quality(&mut bytes, 80).encode_image(image);
    format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(bytes))
}

impl Source<'_, '_> {
    /// The clean images that an input port of an instance stands on: the nearest above with `count` of them.
    pub fn images_above(&self, index: usize, port: &str, count: usize) -> Option<Images> {
        let mut links: Vec<(usize, &str)> = self.graph.instances[index]
            .inputs
            .iter()
            .filter(|link| link.port == port)
            .map(|link| (link.from, &*link.output))
            .collect();
        let mut at = 0;
        while let Some(&(from, output)) = links.get(at) {
            at += 1;
            let fits = |artifact: &Artifact| {
                let shape = artifact.tensors().get("images").map(|tensor| tensor.dims().to_vec());
                shape.is_some_and(|dims| dims.len() == 4 && dims[0] == count)
            };
            if output_is_images(self, from, output)
                && let Some(artifact) = self.artifact(from, output).filter(fits)
                && let Some(images) = artifact.tensors().get("images").and_then(Images::of)
            {
                return Some(images);
            }
            for link in &self.graph.instances[from].inputs {
                if !links.contains(&(link.from, &*link.output)) {
                    links.push((link.from, &link.output));
                }
            }
        }
        None
    }

    /// The names of the classes of what an input port stands on.
    pub fn classes_above(&self, index: usize, port: &str) -> Option<Vec<String>> {
        let mut open: Vec<usize> =
            self.graph.instances[index].inputs.iter().filter(|link| link.port == port).map(|link| link.from).collect();
        let mut at = 0;
        while let Some(&from) = open.get(at) {
            at += 1;
            let instance = &self.graph.instances[from];
            for output in instance.kind.outputs.iter().filter(|port| output_is_images(self, from, port.name)) {
                if let Some(classes) =
                    self.artifact(from, output.name).and_then(|artifact| artifact.get("classes").ok())
                {
                    return Some(classes);
                }
            }
            open.extend(instance.inputs.iter().map(|link| link.from));
        }
        None
    }
}

fn output_is_images(source: &Source<'_, '_>, index: usize, output: &str) -> bool {
    let name = output.split('@').next().unwrap_or(output);
    let kind = source.graph.instances[index].kind;
    kind.output(name).is_some_and(|port| port.forms.contains(&crate::stage::Form::Images))
}
