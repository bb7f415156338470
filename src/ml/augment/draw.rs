//! The random choices of one view, drawn from a stream.

use super::{Augment, Brightness, JitterOrder};
use crate::ml::rng::Stream;

/// The random choices of one view, in pixels of the source image.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// First row of the crop.
    pub top: usize,
    /// First column of the crop.
    pub left: usize,
    /// Rows of the crop.
    pub height: usize,
    /// Columns of the crop.
    pub width: usize,
    /// Mirrored left to right.
    pub flip: bool,
    /// Changes of the colours.
    pub jitter: Option<Jitter>,
    /// Turned to grey.
    pub grey: bool,
    /// Standard deviation of the blur, in pixels.
    pub blur: Option<f32>,
}

/// One colour jitter: factors, the turn of the hue, and the order in which they apply.
#[derive(Clone, Debug, PartialEq)]
pub struct Jitter {
    /// A permutation of 0 to 3: brightness, contrast, saturation, hue.
    pub order: [u8; 4],
    /// Factor of all values, or the number that is added to them.
    pub brightness: f32,
    /// Factor of the distances from the mean.
    pub contrast: f32,
    /// Factor of the saturation.
    pub saturation: f32,
    /// Turn of the hue, from -0.5 to 0.5.
    pub hue: f32,
}

impl View {
    /// Draws a view of an image of `height` x `width`.
    #[must_use]
    pub fn draw(augment: &Augment, height: usize, width: usize, stream: &mut Stream) -> Self {
        let [top, left, crop_height, crop_width] = crop(augment, height, width, stream);
        let flip = stream.chance(augment.flip as f32);
        let jitter = stream.chance(augment.jitter_probability as f32).then(|| Jitter::draw(augment, stream));
        let grey = stream.chance(augment.grey as f32);
        let blur = stream.chance(augment.blur as f32).then(|| {
            let [low, high] = augment.blur_sigma.map(|s| s as f32);
            stream.between(low, high)
        });
        Self { top, left, height: crop_height, width: crop_width, flip, jitter, grey, blur }
    }
}

/// torchvision's `RandomResizedCrop.get_params`: top, left, height, width.
fn crop(augment: &Augment, height: usize, width: usize, stream: &mut Stream) -> [usize; 4] {
    if augment.crop_scale == [1.0, 1.0] {
        return [0, 0, height, width];
    }
    let [scale_low, scale_high] = augment.crop_scale;
    let [ratio_low, ratio_high] = augment.crop_ratio;
    let between = |stream: &mut Stream, low: f64, high: f64| low + (high - low) * stream.uniform64();
    for _ in 0..10 {
        let area = (height * width) as f64 * between(stream, scale_low, scale_high);
        let ratio = between(stream, ratio_low.ln(), ratio_high.ln()).exp();
        let w = (area * ratio).sqrt().round_ties_even() as usize;
        let h = (area / ratio).sqrt().round_ties_even() as usize;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            return [stream.below(height - h + 1), stream.below(width - w + 1), h, w];
        }
    }
    // No crop fitted: the largest one in the middle with an allowed ratio.
    let image_ratio = width as f64 / height as f64;
    let (h, w) = if image_ratio < ratio_low {
        (((width as f64 / ratio_low).round() as usize).clamp(1, height), width)
    } else if image_ratio > ratio_high {
        (height, ((height as f64 * ratio_high).round() as usize).clamp(1, width))
    } else {
        (height, width)
    };
    [(height - h) / 2, (width - w) / 2, h, w]
}

impl Jitter {
    fn draw(augment: &Augment, stream: &mut Stream) -> Self {
        let [brightness, contrast, saturation, hue] = augment.jitter.map(|s| s as f32);
        let mut order = [0, 1, 2, 3];
        if augment.jitter_order == JitterOrder::Random {
            stream.shuffle(&mut order);
        }
        let mut factor = |strength: f32| stream.between((1.0 - strength).max(0.0), 1.0 + strength);
        let brightness = match augment.brightness {
            Brightness::Factor => factor(brightness),
            // The same draw, so that the rest of the view does not depend on the choice.
            Brightness::Additive => factor(brightness) - 1.0,
        };
        Self {
            order,
            brightness,
            contrast: factor(contrast),
            saturation: factor(saturation),
            hue: stream.between(-hue, hue),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn views(augment: &Augment, height: usize, width: usize, n: u64) -> Vec<View> {
        let stream = Stream::new(0, "draw");
        (0..n).map(|i| View::draw(augment, height, width, &mut stream.at(i))).collect()
    }

    #[test]
    fn crops_fit_and_have_the_wanted_areas_and_ratios() {
        let drawn = views(&Augment::default(), 64, 64, 4000);
        assert!(drawn.iter().all(|v| v.top + v.height <= 64 && v.left + v.width <= 64));
        let area = |v: &View| (v.height * v.width) as f64 / 4096.0;
        let ratio = |v: &View| v.width as f64 / v.height as f64;
        assert!(drawn.iter().all(|v| (0.19..=1.0).contains(&area(v)) && (0.72..1.4).contains(&ratio(v))));
        // Large crops fit at fewer ratios, so the mean is not the middle of the range, 0.6, but 0.545 (400,000 draws in
        // NumPy).
        let mean = drawn.iter().map(area).sum::<f64>() / 4000.0;
        assert!((0.53..0.56).contains(&mean), "{mean}");
    }

    #[test]
    fn without_a_crop_that_fits_the_middle_is_taken() {
        let augment = Augment { crop_scale: [0.99, 0.999], crop_ratio: [1.0, 1.001], ..Augment::default() };
        for view in views(&augment, 10, 40, 20) {
            assert_eq!([view.top, view.left, view.height, view.width], [0, 15, 10, 10]);
        }
    }

    #[test]
    fn choices_come_up_as_often_as_asked() {
        let augment = Augment { blur: 0.25, ..Augment::default() };
        let drawn = views(&augment, 32, 32, 4000);
        let rate = |f: fn(&View) -> bool| drawn.iter().filter(|v| f(v)).count() as f64 / 4000.0;
        let close = |a: f64, b: f64| assert!((a - b).abs() < 0.03, "{a}, not {b}");
        close(rate(|v| v.flip), 0.5);
        close(rate(|v| v.jitter.is_some()), 0.8);
        close(rate(|v| v.grey), 0.2);
        close(rate(|v| v.blur.is_some()), 0.25);
        for op in 0..4 {
            let first = drawn.iter().filter_map(|v| v.jitter.as_ref()).filter(|j| j.order[0] == op).count();
            close(first as f64 / 3200.0, 0.25);
        }
        let hues: Vec<f32> = drawn.iter().filter_map(|v| Some(v.jitter.as_ref()?.hue)).collect();
        assert!(
            hues.iter().all(|h| h.abs() <= 0.1) && hues.iter().any(|&h| h > 0.08) && hues.iter().any(|&h| h < -0.08)
        );
    }

    #[test]
    fn the_references_jitter_is_drawn_in_its_order_and_ranges() {
        let augment = Augment {
            jitter: [0.16, 0.16, 0.16, 0.04],
            jitter_order: JitterOrder::Fixed,
            brightness: Brightness::Additive,
            ..Augment::default()
        };
        let drawn: Vec<Jitter> = views(&augment, 32, 32, 4000).into_iter().filter_map(|v| v.jitter).collect();
        assert!(drawn.iter().all(|j| j.order == [0, 1, 2, 3]));
        let range = |f: fn(&Jitter) -> f32| {
            drawn.iter().map(f).fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(v), high.max(v)))
        };
        let close = |(low, high): (f32, f32), a: f32, b: f32| {
            assert!(a <= low && low < a + 0.01 && b - 0.01 < high && high <= b, "{low} to {high}, not {a} to {b}");
        };
        close(range(|j| j.brightness), -0.160_001, 0.160_001);
        close(range(|j| j.contrast), 0.84, 1.16);
        close(range(|j| j.saturation), 0.84, 1.16);
        close(range(|j| j.hue), -0.04, 0.04);
    }
}
