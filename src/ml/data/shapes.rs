//! A generated dataset of ten forms, for a first run without a download.
//!
//! The class is the form alone. Colour, polarity (light on dark or dark on light), place, size, rotation, background,
//! distractors and pixel noise vary independently of it, so that pixels alone tell little and a network that was
//! trained tells more than one that was not.

use std::f32::consts::{PI, TAU};

use rayon::prelude::*;

use super::ImageSet;
use crate::ml::rng::Stream;

/// Names of the classes, in label order.
pub const CLASSES: [&str; 10] =
    ["circle", "square", "triangle", "star", "cross", "ring", "crescent", "heart", "arrow", "hourglass"];

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
///
/// Each image depends on seed, split and index alone, so its bytes are the same at any number of threads and for any
/// number of images drawn after it; its label depends on the number of images too.
#[must_use]
pub fn generate(shapes: &Shapes) -> (ImageSet, ImageSet) {
    (
        split(shapes.train, shapes.size, &Stream::new(shapes.seed, "shapes/train")),
        split(shapes.test, shapes.size, &Stream::new(shapes.seed, "shapes/test")),
    )
}

fn split(images: usize, size: usize, stream: &Stream) -> ImageSet {
    let order = stream.at(u64::MAX).permutation(images);
    let labels: Vec<u32> = order.iter().map(|&i| i % CLASSES.len() as u32).collect();
    let mut pixels = vec![0; images * 3 * size * size];
    pixels.par_chunks_mut((3 * size * size).max(1)).zip(&labels).enumerate().for_each(|(i, (image, &label))| {
        draw(label as usize, size, &mut stream.at(i as u64), image);
    });
    ImageSet { pixels, labels, size: [3, size, size], classes: CLASSES.map(String::from).to_vec() }
}

type Colour = [f32; 3];

/// Draws one image, planes of `size` x `size`. Coordinates run from 0 to 1 over the image, y downwards.
fn draw(class: usize, size: usize, stream: &mut Stream, image: &mut [u8]) {
    let background = Background::new(stream);
    let shape = Placed::new(Form::Class(class), stream.between(0.23, 0.38), stream);
    let ink = contrasting(background.mean(), 0.22, stream);
    let ink_slope = [stream.between(-0.15, 0.15), stream.between(-0.15, 0.15)];
    let distractors: Vec<(Placed, Colour)> = (0..stream.below(3))
        .map(|i| {
            let form = if i % 2 == 0 { Form::Bar } else { Form::Dot };
            let placed = Placed::new(form, stream.between(0.05, 0.09), stream);
            (placed, contrasting(background.mean(), 0.15, stream))
        })
        .collect();
    let grain = stream.between(0.01, 0.06);

    let plane = size * size;
    let edge = 1.0 / size as f32;
    for row in 0..size {
        for column in 0..size {
            let (x, y) = ((column as f32 + 0.5) * edge, (row as f32 + 0.5) * edge);
            let mut colour = background.at(x, y);
            for (distractor, paint) in &distractors {
                blend(&mut colour, *paint, distractor.coverage(x, y, edge));
            }
            let light = ink_slope[0] * (x - 0.5) + ink_slope[1] * (y - 0.5);
            blend(&mut colour, ink.map(|v| v + light), shape.coverage(x, y, edge));
            for (channel, value) in colour.into_iter().enumerate() {
                let value = value + grain * stream.normal();
                image[channel * plane + row * size + column] = (value * 255.0).round().clamp(0.0, 255.0) as u8;
            }
        }
    }
}

fn blend(under: &mut Colour, over: Colour, alpha: f32) {
    for (u, o) in under.iter_mut().zip(over) {
        *u += alpha * (o - *u);
    }
}

fn luma([r, g, b]: Colour) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

/// A random colour, most often not saturated.
fn colour(stream: &mut Stream) -> Colour {
    let grey = stream.between(0.1, 0.9);
    let tint = stream.between(0.0, 0.25);
    let hue = stream.between(0.0, TAU);
    [0.0, 1.0, 2.0].map(|k: f32| (grey + tint * (hue + k * TAU / 3.0).cos()).clamp(0.0, 1.0))
}

/// A random colour whose luma is at least `distance` from that of `other`.
fn contrasting(other: Colour, distance: f32, stream: &mut Stream) -> Colour {
    loop {
        let candidate = colour(stream);
        if (luma(candidate) - luma(other)).abs() >= distance {
            return candidate;
        }
    }
}

/// What lies behind the form: one colour, running into a second one along a line or in waves.
struct Background {
    from: Colour,
    to: Colour,
    direction: [f32; 2],
    /// Waves over the image; zero is a plain gradient.
    waves: f32,
    phase: f32,
}

impl Background {
    fn new(stream: &mut Stream) -> Self {
        let from = colour(stream);
        let shift = stream.between(0.0, 0.2);
        let turn = stream.between(0.0, TAU);
        let to = [0.0, 1.0, 2.0].map(|k: f32| shift * (turn + k).cos());
        let angle = stream.between(0.0, TAU);
        let waves = if stream.chance(0.5) { stream.between(1.5, 5.0) } else { 0.0 };
        Self {
            from,
            to: [0, 1, 2].map(|c| from[c] + to[c]),
            direction: [angle.cos(), angle.sin()],
            waves,
            phase: stream.between(0.0, TAU),
        }
    }

    fn mean(&self) -> Colour {
        [0, 1, 2].map(|c| 0.5 * (self.from[c] + self.to[c]))
    }

    fn at(&self, x: f32, y: f32) -> Colour {
        let along = self.direction[0] * (x - 0.5) + self.direction[1] * (y - 0.5);
        let mix = if self.waves > 0.0 {
            0.5 + 0.5 * (TAU * self.waves * along + self.phase).sin()
        } else {
            (along + 0.5).clamp(0.0, 1.0)
        };
        [0, 1, 2].map(|c| self.from[c] + mix * (self.to[c] - self.from[c]))
    }
}

enum Form {
    /// One of [`CLASSES`].
    Class(usize),
    Dot,
    Bar,
}

/// A form with its place in the image.
struct Placed {
    form: Form,
    centre: [f32; 2],
    radius: f32,
    cos: f32,
    sin: f32,
}

/// Subsamples along each axis of a pixel.
const SUBSAMPLES: usize = 4;

impl Placed {
    /// Within the image, rotated by up to 20 degrees (distractors: any angle).
    fn new(form: Form, radius: f32, stream: &mut Stream) -> Self {
        let limit = if matches!(form, Form::Class(_)) { PI / 9.0 } else { PI };
        let angle = stream.between(-limit, limit);
        let mut place = || stream.between(radius, 1.0 - radius);
        Self { form, centre: [place(), place()], radius, cos: angle.cos(), sin: angle.sin() }
    }

    /// The share of the pixel around (x, y) that the form covers.
    fn coverage(&self, x: f32, y: f32, edge: f32) -> f32 {
        let reach = 1.5 * self.radius + edge;
        if (x - self.centre[0]).abs() > reach || (y - self.centre[1]).abs() > reach {
            return 0.0;
        }
        let mut inside = 0;
        for i in 0..SUBSAMPLES * SUBSAMPLES {
            let offset = |k: usize| ((k as f32 + 0.5) / SUBSAMPLES as f32 - 0.5) * edge;
            let dx = (x + offset(i % SUBSAMPLES) - self.centre[0]) / self.radius;
            let dy = (y + offset(i / SUBSAMPLES) - self.centre[1]) / self.radius;
            inside += usize::from(self.form.contains(self.cos * dx + self.sin * dy, self.cos * dy - self.sin * dx));
        }
        inside as f32 / (SUBSAMPLES * SUBSAMPLES) as f32
    }
}

impl Form {
    /// True inside the form, drawn around the origin with a radius of about 1, y downwards.
    fn contains(&self, u: f32, v: f32) -> bool {
        let radius = u.hypot(v);
        let in_box = |w: f32, h: f32| u.abs() <= w && v.abs() <= h;
        match self {
            Self::Dot => radius <= 1.0,
            Self::Bar => in_box(2.0, 0.4),
            Self::Class(class) => match CLASSES[*class] {
                "circle" => radius <= 0.9,
                "square" => in_box(0.8, 0.8),
                "triangle" => v <= 0.7 && u.abs() <= (v + 1.0) * 0.56,
                "star" => radius <= star_radius(u, v),
                "cross" => in_box(0.95, 0.3) || in_box(0.3, 0.95),
                "ring" => (0.55..=0.95).contains(&radius),
                "crescent" => radius <= 0.95 && (u - 0.45).hypot(v) > 0.75,
                "heart" => {
                    let (x, y) = (1.25 * u, -1.25 * v + 0.1);
                    let lobe = x * x + y * y - 1.0;
                    lobe * lobe * lobe <= x * x * y * y * y
                }
                "arrow" => (v <= 0.0 && u.abs() <= v + 0.95) || ((0.0..=0.95).contains(&v) && u.abs() <= 0.3),
                _ => v.abs() <= 0.9 && u.abs() <= v.abs().mul_add(0.85, 0.08),
            },
        }
    }
}

/// Distance from the centre to the edge of a five-pointed star, in the direction of (u, v); one point is up.
fn star_radius(u: f32, v: f32) -> f32 {
    let sector = PI / 5.0;
    // Angle from the nearest point, in 0..=36 degrees: an edge runs from a point at 1 to a notch at 0.42.
    let angle = (u.atan2(-v).rem_euclid(2.0 * sector) - sector).abs();
    let angle = sector - angle;
    let notch = 0.42;
    notch * sector.sin() / (angle.sin() + notch * (sector - angle).sin())
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

    #[test]
    fn every_form_covers_a_fair_share_of_its_square() {
        for (class, name) in CLASSES.iter().enumerate() {
            let placed = Placed { form: Form::Class(class), centre: [0.5, 0.5], radius: 0.5, cos: 1.0, sin: 0.0 };
            let grid = |k: usize| (k as f32 + 0.5) / 40.0;
            let share =
                (0..1600).map(|i| placed.coverage(grid(i % 40), grid(i / 40), 1.0 / 40.0)).sum::<f32>() / 1600.0;
            assert!((0.2..0.75).contains(&share), "{name} covers {share}");
        }
    }

    #[test]
    fn a_star_has_its_points_and_notches() {
        assert!((star_radius(0.0, -1.0) - 1.0).abs() < 1e-6);
        assert!((star_radius(0.0, 1.0) - 0.42).abs() < 1e-6);
    }
}
