//! Makes the pixels of a view, in planes of f32 that stay in the first-level cache.

use super::{
    colour::{Brightness, Clip, Colour, Contrast, Saturation},
    draw::{Jitter, View},
};

/// Coefficients of luma (ITU-R BT.601).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// An image that is being changed, with its buffers. It is used again for the next image.
#[derive(Clone, Debug)]
pub struct Canvas {
    height: usize,
    width: usize,
    planes: Vec<Vec<f32>>,
    spare: Vec<f32>,
    columns: Vec<Tap>,
    colour: Colour,
}

/// The source of an output row or column: two neighbours and the weight of the second.
#[derive(Clone, Copy, Debug, Default)]
struct Tap {
    first: usize,
    second: usize,
    weight: f32,
}

impl Tap {
    /// Bilinear, with pixel centres at halves (`align_corners=False`): output `i` of `to` reads from `from` values.
    fn new(i: usize, from: usize, to: usize) -> Self {
        let at = ((i as f32 + 0.5) * (from as f32 / to as f32) - 0.5).max(0.0);
        let first = (at as usize).min(from - 1);
        Self { first, second: (first + 1).min(from - 1), weight: at - first as f32 }
    }
}

impl Canvas {
    /// Makes a view of images of 1 or 3 `channels`.
    #[must_use]
    pub fn new(channels: usize, height: usize, width: usize) -> Self {
        let planes = vec![vec![0.0; height * width]; channels];
        let (spare, columns) = (vec![0.0; height * width], vec![Tap::default(); width]);
        Self { height, width, planes, spare, columns, colour: Colour::default() }
    }

    /// The same with other operations on colours.
    #[must_use]
    pub fn with_colour(self, colour: Colour) -> Self {
        Self { colour, ..self }
    }

    /// Makes `view` of `image`, u8 `[C, H, W]`.
    ///
    /// # Panics
    /// If the image has another size.
    pub fn apply(&mut self, view: &View, image: &[u8]) {
        self.crop(view, image);
        if let Some(jitter) = &view.jitter {
            for op in jitter.order {
                self.jitter(jitter, op);
            }
            if self.colour.clip == Clip::End {
                self.planes.iter_mut().flatten().for_each(|v| *v = v.clamp(0.0, 1.0));
            }
        }
        if view.grey {
            self.towards_luma(0.0, (0.0, 1.0));
        }
        if let Some(sigma) = view.blur {
            self.blur(sigma);
        }
    }

    /// The result, channels-last `[H, W, C]`.
    pub fn write(&self, out: &mut [f32]) {
        match self.planes.as_slice() {
            [r, g, b] => {
                for (((out, &r), &g), &b) in out.as_chunks_mut::<3>().0.iter_mut().zip(r).zip(g).zip(b) {
                    *out = [r, g, b];
                }
            }
            planes => out.copy_from_slice(&planes[0]),
        }
    }

    fn crop(&mut self, view: &View, image: &[u8]) {
        let (height, width) = (self.height, self.width);
        for (i, tap) in self.columns.iter_mut().enumerate() {
            let i = if view.flip { width - 1 - i } else { i };
            *tap = Tap::new(i, view.width, width);
        }
        for (plane, source) in self.planes.iter_mut().zip(image.chunks_exact(height * width)) {
            // Rows of the crop at their new width, in [0, 1].
            let rows = source.chunks_exact(width).skip(view.top).take(view.height);
            for (row, out) in rows.zip(self.spare.chunks_exact_mut(width)) {
                let row = &row[view.left..][..view.width];
                for (out, tap) in out.iter_mut().zip(&self.columns) {
                    let (first, second) = (f32::from(row[tap.first]), f32::from(row[tap.second]));
                    *out = (first + tap.weight * (second - first)) * (1.0 / 255.0);
                }
            }
            for (i, out) in plane.chunks_exact_mut(width).enumerate() {
                let tap = Tap::new(i, view.height, height);
                let (first, second) =
                    (&self.spare[tap.first * width..][..width], &self.spare[tap.second * width..][..width]);
                for ((out, first), second) in out.iter_mut().zip(first).zip(second) {
                    *out = first + tap.weight * (second - first);
                }
            }
        }
    }

    fn jitter(&mut self, jitter: &Jitter, op: u8) {
        match op {
            0 => match self.colour.brightness {
                Brightness::Factor => self.each(|_| (jitter.brightness, 0.0)),
                Brightness::Additive => self.each(|_| (1.0, jitter.brightness)),
            },
            1 => {
                let rest = 1.0 - jitter.contrast;
                match self.colour.contrast {
                    Contrast::Luma => {
                        let offset = rest * self.mean_luma();
                        self.each(|_| (jitter.contrast, offset));
                    }
                    Contrast::Channel => self.each(|plane| (jitter.contrast, rest * mean(plane))),
                }
            }
            2 => match self.colour.saturation {
                Saturation::Luma => self.towards_luma(jitter.saturation, self.bounds()),
                Saturation::Hsv => self.saturate(jitter.saturation),
            },
            _ => self.turn_hue(jitter.hue),
        }
    }

    /// The range that values are clipped to between jitters.
    fn bounds(&self) -> (f32, f32) {
        if self.colour.clip == Clip::Each { (0.0, 1.0) } else { (f32::NEG_INFINITY, f32::INFINITY) }
    }

    /// Multiplies the values of each plane and adds to them.
    fn each(&mut self, line: impl Fn(&[f32]) -> (f32, f32)) {
        let (low, high) = self.bounds();
        for plane in &mut self.planes {
            let (factor, offset) = line(plane);
            plane.iter_mut().for_each(|v| *v = (factor * *v + offset).clamp(low, high));
        }
    }

    /// Scales the S of HSV, up to 1. The largest channel V stays as it is, and the distances of the others from it are
    /// scaled.
    fn saturate(&mut self, factor: f32) {
        let (low, high) = self.bounds();
        let [r, g, b] = self.planes.as_mut_slice() else { return };
        for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
            let max = r.max(*g).max(*b);
            let range = max - r.min(*g).min(*b);
            let saturation = if max > 0.0 { (factor * range / max).clamp(0.0, 1.0) } else { 0.0 };
            let scale = if range > 0.0 { saturation * max / range } else { 0.0 };
            let moved = |v: f32| (max - (max - v) * scale).clamp(low, high);
            (*r, *g, *b) = (moved(*r), moved(*g), moved(*b));
        }
    }

    fn mean_luma(&self) -> f32 {
        match self.planes.as_slice() {
            [r, g, b] => LUMA[0] * mean(r) + LUMA[1] * mean(g) + LUMA[2] * mean(b),
            planes => mean(&planes[0]),
        }
    }

    /// Scales the distances from the luma of each pixel; a factor of 0 is grey. One channel stays as it is.
    fn towards_luma(&mut self, factor: f32, (low, high): (f32, f32)) {
        let [r, g, b] = self.planes.as_mut_slice() else { return };
        for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
            let rest = (1.0 - factor) * (LUMA[0] * *r + LUMA[1] * *g + LUMA[2] * *b);
            *r = (factor * *r + rest).clamp(low, high);
            *g = (factor * *g + rest).clamp(low, high);
            *b = (factor * *b + rest).clamp(low, high);
        }
    }

    /// Turns the hue of HSV. With V the maximum and C the range of a pixel's channels, a channel of hue h (in sixths)
    /// is V - C clamp(min(k, 4 - k), 0, 1), where k = (n + h) mod 6 and n = 5, 3, 1 for red, green, blue.
    fn turn_hue(&mut self, turns: f32) {
        let [r, g, b] = self.planes.as_mut_slice() else { return };
        let shift = 6.0 * turns;
        for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
            let max = r.max(*g).max(*b);
            let range = max - r.min(*g).min(*b);
            // The loop has no branches, so that the compiler vectorises it.
            let scale = 1.0 / if range > 0.0 { range } else { 1.0 };
            let of_blue = 4.0 + (*r - *g) * scale;
            let of_green = 2.0 + (*b - *r) * scale;
            let of_red = (*g - *b) * scale;
            let hue = if *g == max { of_green } else { of_blue };
            let hue = if *r == max { of_red } else { hue };
            let hue = wrap(hue + shift);
            let channel = |n: f32| {
                let k = n + hue;
                let k = if k >= 6.0 { k - 6.0 } else { k };
                max - range * k.min(4.0 - k).clamp(0.0, 1.0)
            };
            (*r, *g, *b) = (channel(5.0), channel(3.0), channel(1.0));
        }
    }

    /// Gaussian, separable, edges reflected (torchvision's `GaussianBlur`).
    fn blur(&mut self, sigma: f32) {
        let (height, width) = (self.height, self.width);
        let radius = (height.min(width) / 20).max(1).min(height.min(width) - 1) as isize;
        let mut kernel: Vec<f32> = (-radius..=radius).map(|d| (-0.5 * (d as f32 / sigma).powi(2)).exp()).collect();
        let total: f32 = kernel.iter().sum();
        kernel.iter_mut().for_each(|k| *k /= total);
        let reflect = |at: isize, n: usize| {
            let last = n as isize - 1;
            (if at < 0 {
                -at
            } else if at > last {
                2 * last - at
            } else {
                at
            }) as usize
        };
        for plane in &mut self.planes {
            for (from, to) in plane.chunks_exact(width).zip(self.spare.chunks_exact_mut(width)) {
                for (x, to) in to.iter_mut().enumerate() {
                    let at = |k: usize| from[reflect(x as isize + k as isize - radius, width)];
                    *to = kernel.iter().enumerate().map(|(k, weight)| weight * at(k)).sum();
                }
            }
            for (y, to) in plane.chunks_exact_mut(width).enumerate() {
                to.fill(0.0);
                for (k, weight) in kernel.iter().enumerate() {
                    let from = &self.spare[reflect(y as isize + k as isize - radius, height) * width..][..width];
                    to.iter_mut().zip(from).for_each(|(to, from)| *to += weight * from);
                }
            }
        }
    }
}

/// Brings a hue in -6 to 12 sixths into 0 to 6.
fn wrap(hue: f32) -> f32 {
    let hue = if hue < 0.0 { hue + 6.0 } else { hue };
    if hue >= 6.0 { hue - 6.0 } else { hue }
}

fn mean(plane: &[f32]) -> f32 {
    sum(plane) / plane.len() as f32
}

/// Sum in eight interleaved lanes, so that it is vectorised and always in the same order.
fn sum(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, v)| *lane += v);
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}
