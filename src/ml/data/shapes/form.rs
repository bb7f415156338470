//! The forms, and the share of each pixel that they cover.

use std::f32::consts::PI;

use crate::ml::rng::Stream;

/// Names of the classes, in label order.
pub const CLASSES: [&str; 10] =
    ["circle", "square", "triangle", "star", "cross", "ring", "crescent", "heart", "arrow", "hourglass"];

/// A form that can be drawn.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// One of [`CLASSES`].
    Class(usize),
    /// A small disc, a distractor.
    Dot,
    /// A short line, a distractor.
    Bar,
}

/// A form with its place in the image.
pub(super) struct Placed {
    form: Form,
    centre: [f32; 2],
    radius: f32,
    cos: f32,
    sin: f32,
}

/// Subsamples along each axis of a pixel.
const SUBSAMPLES: usize = 4;

impl Placed {
    /// Places a form at random within the image, turned by up to 20 degrees (distractors: by any angle).
    pub(super) fn new(form: Form, radius: f32, stream: &mut Stream) -> Self {
        let most = if matches!(form, Form::Class(_)) { PI / 9.0 } else { PI };
        let angle = stream.between(-most, most);
        let mut place = || stream.between(radius, 1.0 - radius);
        Self { form, centre: [place(), place()], radius, cos: angle.cos(), sin: angle.sin() }
    }

    /// The share of the pixel around (x, y) that the form covers.
    pub(super) fn coverage(&self, x: f32, y: f32, edge: f32) -> f32 {
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
