//! A generated dataset of ten forms, for a first run without a download.
//!
//! The class is the form alone. Place, size, rotation, colours, polarity (four in five forms are lighter than the
//! background), gradients of light and a distractor vary independently of it; noise is added to all pixels. Pixels
//! alone therefore say little about the class, and a trained network says more than an untrained one. Features that
//! would distinguish images at a glance (strong textures, different amounts of noise) are left out, because contrastive
//! learning would learn these and not the forms.

mod form;

use std::{f32::consts::TAU, path::PathBuf};

use rayon::prelude::*;

pub use form::CLASSES;

use form::{Form, Placed};

use super::{Choice, Collection, ImageSet, Listed, Part, Reading, Split, Square, Watch};
use crate::ml::{Result, rng::Stream};

/// What to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shapes {
    /// Number of training images.
    pub train: usize,
    /// Number of test images.
    pub test: usize,
    /// Edge of the images, in pixels.
    pub size: usize,
    /// Seed of everything drawn.
    pub seed: u64,
}

impl Default for Shapes {
    fn default() -> Self {
        Self { train: 4000, test: 1000, size: 32, seed: 0 }
    }
}

/// The training and the test images: RGB, classes balanced to within one image, in random order.
#[must_use]
pub fn generate(shapes: &Shapes) -> (ImageSet, ImageSet) {
    let drawn = Drawn::new(*shapes);
    let all = |split: Split| {
        let indices: Vec<u32> = (0..drawn.labels(split).len() as u32).collect();
        let mut set = drawn.empty(split, &indices);
        drawn.draw(split, &indices, &mut set);
        set
    };
    (all(Split::Train), all(Split::Test))
}

/// Generated images with their labels. Pixels are drawn when an image is read.
///
/// Each image draws from its own stream, so its bytes depend neither on the number of threads nor on the other images.
#[derive(Clone, Debug)]
pub struct Drawn {
    shapes: Shapes,
    train: Vec<u32>,
    test: Vec<u32>,
}

/// Number of images that are drawn between two checks for a stop.
const BLOCK: usize = 512;

impl Drawn {
    /// The labels of the images.
    #[must_use]
    pub fn new(shapes: Shapes) -> Self {
        let labels = |split: Split, images: usize| -> Vec<u32> {
            let order = stream(&shapes, split).at(u64::MAX).permutation(images);
            order.iter().map(|&i| i % CLASSES.len() as u32).collect()
        };
        Self { train: labels(Split::Train, shapes.train), test: labels(Split::Test, shapes.test), shapes }
    }

    fn empty(&self, split: Split, indices: &[u32]) -> ImageSet {
        let (size, labels) = (self.shapes.size, self.labels(split));
        ImageSet {
            pixels: Vec::with_capacity(indices.len() * 3 * size * size),
            labels: indices.iter().map(|&index| labels[index as usize]).collect(),
            size: [3, size, size],
            classes: CLASSES.map(String::from).to_vec(),
        }
    }

    /// Draws images and appends them.
    fn draw(&self, split: Split, indices: &[u32], set: &mut ImageSet) {
        let (size, stream, labels) = (self.shapes.size, stream(&self.shapes, split), self.labels(split));
        let (from, image) = (set.pixels.len(), 3 * size * size);
        set.pixels.resize(from + indices.len() * image, 0);
        let images = set.pixels[from..].par_chunks_mut(image.max(1));
        images.zip(indices).for_each(|(image, &index)| {
            draw(labels[index as usize] as usize, size, &mut stream.at(u64::from(index)), image);
        });
    }
}

fn stream(shapes: &Shapes, split: Split) -> Stream {
    Stream::new(shapes.seed, if split == Split::Train { "shapes/train" } else { "shapes/test" })
}

impl Listed for Shapes {
    fn parts(&self) -> Vec<Part> {
        let part = |split, images| Part { split, images: Some(images), labelled: true };
        vec![part(Split::Train, self.train), part(Split::Test, self.test)]
    }

    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn size(&self) -> Option<[usize; 3]> {
        Some([3, self.size, self.size])
    }

    fn open(self: Box<Self>) -> Result<Box<dyn Collection>> {
        Ok(Box::new(Drawn::new(*self)))
    }
}

impl Collection for Drawn {
    fn labels(&self, split: Split) -> &[u32] {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
            Split::Val | Split::Unlabelled => &[],
        }
    }

    /// The size is that of the generated images; `square` is ignored.
    fn read(&self, choices: &[Choice], _: Square, watch: Watch<'_>) -> Result<Reading> {
        let mut done = 0;
        let mut sets = Vec::with_capacity(choices.len());
        for Choice { split, indices } in choices {
            let mut set = self.empty(*split, indices);
            for block in indices.chunks(BLOCK) {
                watch(done)?;
                self.draw(*split, block, &mut set);
                done += block.len();
            }
            sets.push(set);
        }
        watch(done)?;
        Ok(Reading { sets, remarks: Vec::new() })
    }
}

type Colour = [f32; 3];

/// Smallest difference of luma between the form and the background.
const CONTRAST: f32 = 0.25;
/// Standard deviation of the noise on each channel of each pixel.
const GRAIN: f32 = 0.05;

/// Draws one image, planes of `size` x `size`. Coordinates run from 0 to 1 over the image, y downwards.
fn draw(class: usize, size: usize, stream: &mut Stream, image: &mut [u8]) {
    let (ground, ink) = two_colours(stream);
    let ground = Slope::new(ground, 0.08, stream);
    let radius = stream.between(0.28, 0.4);
    let shape = Placed::new(Form::Class(class), radius, stream);
    let ink = Slope::new(ink, 0.1, stream);
    let distractor = stream.chance(0.5).then(|| {
        let form = if stream.chance(0.5) { Form::Bar } else { Form::Dot };
        let radius = stream.between(0.05, 0.09);
        (Placed::new(form, radius, stream), colour(stream))
    });

    let plane = size * size;
    let edge = 1.0 / size as f32;
    for at in 0..plane {
        let (x, y) = (((at % size) as f32 + 0.5) * edge, ((at / size) as f32 + 0.5) * edge);
        let mut colour = ground.at(x, y);
        if let Some((placed, paint)) = &distractor {
            colour = mix(colour, *paint, placed.coverage(x, y, edge));
        }
        colour = mix(colour, ink.at(x, y), shape.coverage(x, y, edge));
        for (channel, value) in colour.into_iter().enumerate() {
            let value = value + GRAIN * stream.normal();
            image[channel * plane + at] = (value * 255.0).round().clamp(0.0, 255.0) as u8;
        }
    }
}

fn mix(under: Colour, over: Colour, share: f32) -> Colour {
    [0, 1, 2].map(|c| under[c] + share * (over[c] - under[c]))
}

fn luma([r, g, b]: Colour) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

/// A random colour of moderate saturation.
fn colour(stream: &mut Stream) -> Colour {
    let grey = stream.between(0.1, 0.9);
    let tint = stream.between(0.0, 0.2);
    let hue = stream.between(0.0, TAU);
    [0.0, 1.0, 2.0].map(|k: f32| (grey + tint * (hue + k * TAU / 3.0).cos()).clamp(0.0, 1.0))
}

/// The colours of the background and of the form. In four of five images the form is lighter.
fn two_colours(stream: &mut Stream) -> (Colour, Colour) {
    loop {
        let (a, b) = (colour(stream), colour(stream));
        if (luma(a) - luma(b)).abs() >= CONTRAST {
            let light = stream.chance(0.8);
            return if (luma(a) < luma(b)) == light { (a, b) } else { (b, a) };
        }
    }
}

/// A colour that changes slowly across the image.
struct Slope {
    colour: Colour,
    /// The change of each channel from one side to the other.
    change: Colour,
    direction: [f32; 2],
}

impl Slope {
    /// A colour whose channels change by up to `most`.
    fn new(colour: Colour, most: f32, stream: &mut Stream) -> Self {
        let (size, turn, angle) = (stream.between(0.0, most), stream.between(0.0, TAU), stream.between(0.0, TAU));
        let change = [0.0, 1.0, 2.0].map(|k: f32| size * (turn + k).cos());
        Self { colour, change, direction: [angle.cos(), angle.sin()] }
    }

    fn at(&self, x: f32, y: f32) -> Colour {
        let along = self.direction[0] * (x - 0.5) + self.direction[1] * (y - 0.5);
        [0, 1, 2].map(|c| self.colour[c] + along * self.change[c])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny(train: usize, size: usize) -> ImageSet {
        generate(&Shapes { train, test: 1, size, seed: 3 }).0
    }

    #[test]
    fn classes_are_balanced_and_sizes_fit() {
        for size in [16, 33, 64] {
            let set = tiny(43, size);
            assert_eq!((set.len(), set.size, set.pixels.len()), (43, [3, size, size], 43 * 3 * size * size));
            let counts = (0..10).map(|c| set.labels.iter().filter(|&&l| l == c).count());
            assert!(counts.clone().all(|n| n == 4 || n == 5) && counts.sum::<usize>() == 43);
        }
        assert!(tiny(0, 32).is_empty());
    }

    #[test]
    fn bytes_do_not_depend_on_threads() {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| tiny(50, 24))
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn seed_and_split_change_the_images() {
        let (train, test) = generate(&Shapes { train: 20, test: 20, size: 16, seed: 0 });
        let (other, _) = generate(&Shapes { train: 20, test: 20, size: 16, seed: 1 });
        assert_ne!(train.pixels, test.pixels);
        assert_ne!(train.pixels, other.pixels);
    }
}
