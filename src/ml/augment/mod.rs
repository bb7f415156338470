//! Random views of images: crop, flip, colour jitter, grey, blur, with the semantics of torchvision's transforms on
//! float images.
//!
//! Two differences from torchvision: nothing is rounded to 8 bits between operations, and grey uses the luma
//! coefficients 0.299, 0.587, 0.114 that Pillow uses (torchvision's tensors: 0.2989). The colour operations of
//! TensorFlow (`tf.image.adjust_*`) can be chosen one by one. Read `colour` (the operations on colours), `draw` (the
//! random choices of a view), then `pixels` (the view itself).

mod colour;
mod draw;
mod pixels;

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use colour::{Brightness, Clip, Colour, Contrast, JitterOrder, Saturation};
pub use draw::{Jitter, View};
pub use pixels::Canvas;

use super::data::ImageSet;
use super::rng::Stream;
use super::{Error, Result};

/// What shares one random draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Each image draws for itself.
    #[default]
    Image,
    /// One draw for all images of a view of a batch, as in the reference code of G-SimCLR.
    Batch,
}

/// How random views of an image are made: crop, then flip, jitter, grey and blur.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// What shares one random draw: "image" or "batch".
    pub scope: Scope,
    /// Range of the crop's area, as a share of the image's; [1, 1] does not crop.
    pub crop_scale: [f64; 2],
    /// Range of the crop's width over its height, drawn uniformly in its logarithm.
    pub crop_ratio: [f64; 2],
    /// Probability of a horizontal flip.
    pub flip: f64,
    /// Strengths of the jitter of brightness, contrast, saturation (factors in 1 ± strength) and hue (turns, up to 0.5).
    pub jitter: [f64; 4],
    /// Probability that colours are jittered at all.
    pub jitter_probability: f64,
    /// Order of the four jitters: "random", or "fixed" as they are listed (TensorFlow's SimCLR code).
    pub jitter_order: JitterOrder,
    /// What jitters brightness: "factor", or "additive": a number in ± strength added to all values (TensorFlow).
    pub brightness: Brightness,
    /// What contrast is measured from: "luma", the mean luma of the image, or "channel", each channel's mean (TensorFlow).
    pub contrast: Contrast,
    /// What jitters saturation: "luma", distances from the luma of the pixel, or "hsv", the S of HSV (TensorFlow).
    pub saturation: Saturation,
    /// When values are clipped to [0, 1]: after "each" jitter, or at the "end" of all four (TensorFlow).
    pub clip: Clip,
    /// Probability that colours are turned to grey.
    pub grey: f64,
    /// Probability of a Gaussian blur, with a kernel of a tenth of the image and at least 3 pixels.
    pub blur: f64,
    /// Range of the blur's standard deviation, in pixels.
    pub blur_sigma: [f64; 2],
}

impl Default for Augment {
    fn default() -> Self {
        Self {
            scope: Scope::Image,
            crop_scale: [0.2, 1.0],
            crop_ratio: [0.75, 4.0 / 3.0],
            flip: 0.5,
            jitter: [0.4, 0.4, 0.4, 0.1],
            jitter_probability: 0.8,
            jitter_order: JitterOrder::Random,
            brightness: Brightness::Factor,
            contrast: Contrast::Luma,
            saturation: Saturation::Luma,
            clip: Clip::Each,
            grey: 0.2,
            blur: 0.0,
            blur_sigma: [0.1, 2.0],
        }
    }
}

impl Augment {
    /// Crop and flip alone, the usual views for training with labels.
    #[must_use]
    pub fn crop_and_flip() -> Self {
        Self { jitter_probability: 0.0, grey: 0.0, crop_scale: [0.5, 1.0], ..Self::default() }
    }

    /// Checks the ranges of the parameters.
    ///
    /// # Errors
    /// The key of the first parameter that is out of range, and the range that it must be in.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let within = |key, range: [f64; 2], low: f64, high: f64| {
            let right = low <= range[0] && range[0] <= range[1] && range[1] <= high;
            if right { Ok(()) } else { Err((key, format!("must be two rising numbers from {low} to {high}"))) }
        };
        within("crop_scale", self.crop_scale, 1e-6, 1.0)?;
        within("crop_ratio", self.crop_ratio, 0.01, 100.0)?;
        within("blur_sigma", self.blur_sigma, 0.001, 100.0)?;
        let probabilities = [
            ("flip", self.flip),
            ("jitter_probability", self.jitter_probability),
            ("grey", self.grey),
            ("blur", self.blur),
        ];
        for (key, p) in probabilities {
            if !(0.0..=1.0).contains(&p) {
                return Err((key, "must be a probability, from 0 to 1".into()));
            }
        }
        let [brightness, contrast, saturation, hue] = self.jitter;
        if [brightness, contrast, saturation].iter().any(|s| !(0.0..=10.0).contains(s)) || !(0.0..=0.5).contains(&hue) {
            return Err(("jitter", "must be three strengths from 0 to 10 and a hue from 0 to 0.5".into()));
        }
        if self.brightness == Brightness::Additive && brightness > 1.0 {
            return Err(("jitter", "must begin with at most 1 where brightness is additive".into()));
        }
        Ok(())
    }

    /// The fields that have no effect, given the others.
    #[must_use]
    pub fn idle(&self) -> Vec<&'static str> {
        let mut idle = Vec::new();
        let whole = self.crop_scale == [1.0, 1.0];
        if whole {
            idle.push("crop_ratio");
        }
        if self.jitter_probability == 0.0 {
            idle.extend(["jitter", "jitter_order", "brightness", "contrast", "saturation", "clip"]);
        } else {
            idle.extend((self.jitter[0] == 0.0).then_some("brightness"));
            idle.extend((self.jitter[1] == 0.0).then_some("contrast"));
        }
        if self.blur == 0.0 {
            idle.push("blur_sigma");
        }
        if whole && [self.flip, self.jitter_probability, self.grey, self.blur] == [0.0; 4] {
            idle.push("scope");
        }
        idle
    }

    /// The chosen operations on colours.
    #[must_use]
    pub fn colour(&self) -> Colour {
        let Self { brightness, contrast, saturation, clip, .. } = *self;
        Colour { brightness, contrast, saturation, clip }
    }

    /// `count` views of each of the images at `indices`: f32 `[count B, H, W, C]` in [0, 1], first view 0 of each
    /// image, then view 1 of each, and so on. View v of the image at place i draws from child i of child v of `stream`.
    ///
    /// # Errors
    /// If images have neither 1 nor 3 channels, or the tensor cannot be made on the device.
    ///
    /// # Panics
    /// If an index is out of range.
    pub fn views(
        &self,
        count: usize,
        set: &ImageSet,
        indices: &[u32],
        stream: &Stream,
        device: &Device,
    ) -> Result<Tensor> {
        let [channels, height, width] = set.size;
        let mut out = vec![0.0; count * indices.len() * set.stride()];
        self.fill(set, indices, stream, &mut out)?;
        Ok(Tensor::from_vec(out, (count * indices.len(), height, width, channels), device)?)
    }

    /// Writes as many views of each image as `out` has room for, `[views, B, H, W, C]`: [`Augment::views`] into a
    /// buffer that is used again.
    ///
    /// # Errors
    /// If images have neither 1 nor 3 channels, or `out` holds no whole number of views.
    ///
    /// # Panics
    /// If an index is out of range.
    pub fn fill(&self, set: &ImageSet, indices: &[u32], stream: &Stream, out: &mut [f32]) -> Result<()> {
        let [channels, height, width] = set.size;
        if channels != 1 && channels != 3 {
            return Err(Error::Invalid(format!("images to augment must have 1 or 3 channels, not {channels}")));
        }
        let (stride, images) = (set.stride(), indices.len());
        if out.is_empty() && images * stride == 0 {
            return Ok(());
        }
        if images * stride == 0 || !out.len().is_multiple_of(images * stride) {
            return Err(Error::Invalid(format!(
                "{} floats are not a whole number of views of {images} images",
                out.len()
            )));
        }
        let draw = |view: usize, place: usize| {
            let mut stream = match self.scope {
                Scope::Image => stream.at(view as u64).at(place as u64),
                Scope::Batch => stream.at(view as u64),
            };
            View::draw(self, height, width, &mut stream)
        };
        out.par_chunks_mut(stride).with_min_len(4).enumerate().for_each_init(
            || Canvas::new(channels, height, width).with_colour(self.colour()),
            |canvas, (k, out)| {
                let (view, place) = (k / images, k % images);
                canvas.apply(&draw(view, place), set.image(indices[place] as usize));
                canvas.write(out);
            },
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(images: usize, size: [usize; 3]) -> ImageSet {
        let mut stream = Stream::new(5, "pixels");
        let pixels = (0..images * size.iter().product::<usize>()).map(|_| stream.below(256) as u8).collect();
        ImageSet { pixels, labels: vec![0; images], size, classes: vec!["a".into()] }
    }

    fn two_views(augment: &Augment, set: &ImageSet, indices: &[u32], seed: u64) -> Vec<f32> {
        let mut out = vec![0.0; 2 * indices.len() * set.stride()];
        augment.fill(set, indices, &Stream::new(seed, "test"), &mut out).unwrap();
        out
    }

    #[test]
    fn views_do_not_depend_on_threads() {
        let set = set(20, [3, 17, 12]);
        let indices: Vec<u32> = (0..20).rev().collect();
        let augment = Augment { blur: 0.5, ..Augment::default() };
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| two_views(&augment, &set, &indices, 1))
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(3));
        assert!(with(1).iter().all(|v| (0.0..=1.0).contains(v)));
        assert_ne!(with(1), two_views(&augment, &set, &indices, 2));
    }

    #[test]
    fn a_view_depends_on_its_place_and_not_on_the_batch() {
        let set = set(8, [3, 16, 16]);
        let n = set.stride();
        let all = two_views(&Augment::default(), &set, &[0, 1, 2, 3, 4, 5, 6, 7], 1);
        let few = two_views(&Augment::default(), &set, &[0, 1, 2], 1);
        assert_eq!(all[..3 * n], few[..3 * n]);
        assert_eq!(all[8 * n..11 * n], few[3 * n..]);
        assert_ne!(few[..3 * n], few[3 * n..]);
    }

    #[test]
    fn a_batch_draw_is_shared_by_its_images() {
        let mut set = set(1, [3, 16, 16]);
        set = set.subset(&[0; 4]);
        let n = set.stride();
        let augment = Augment { scope: Scope::Batch, ..Augment::default() };
        let views = two_views(&augment, &set, &[0, 1, 2, 3], 1);
        assert!((1..4).all(|i| views[..n] == views[i * n..][..n]));
        assert_ne!(views[..n], views[4 * n..][..n]);
    }

    fn nothing() -> Augment {
        Augment { crop_scale: [1.0, 1.0], flip: 0.0, jitter_probability: 0.0, grey: 0.0, ..Augment::default() }
    }

    #[test]
    fn nothing_drawn_changes_nothing() {
        for size in [[3, 9, 5], [1, 8, 8]] {
            let set = set(2, size);
            let views = nothing().views(1, &set, &[1, 0], &Stream::new(0, "t"), &Device::Cpu).unwrap();
            let clean = set.batch(&[1, 0], &Device::Cpu).unwrap();
            let gap = (views - clean).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(gap < 1e-6, "{gap}");
        }
    }

    #[test]
    fn one_channel_is_augmented_and_two_are_refused() {
        let grey = set(3, [1, 8, 8]);
        assert!(two_views(&Augment::default(), &grey, &[0, 1, 2], 0).iter().all(|v| v.is_finite()));
        let odd = set(3, [2, 8, 8]);
        let error = Augment::default().fill(&odd, &[0], &Stream::new(0, "t"), &mut [0.0; 256]).unwrap_err();
        assert_eq!(error.to_string(), "images to augment must have 1 or 3 channels, not 2");
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        assert_eq!(Augment::default().check(), Ok(()));
        assert_eq!(nothing().check(), Ok(()));
        let key = |augment: Augment| augment.check().unwrap_err().0;
        let default = Augment::default;
        assert_eq!(key(Augment { crop_scale: [0.5, 0.2], ..default() }), "crop_scale");
        assert_eq!(key(Augment { crop_scale: [0.5, 1.2], ..default() }), "crop_scale");
        assert_eq!(key(Augment { grey: 1.5, ..default() }), "grey");
        assert_eq!(key(Augment { jitter: [0.4, 0.4, 0.4, 0.6], ..default() }), "jitter");
        assert_eq!(key(Augment { flip: f64::NAN, ..default() }), "flip");
        let strong = [1.5, 0.4, 0.4, 0.1];
        assert_eq!(Augment { jitter: strong, ..default() }.check(), Ok(()));
        assert_eq!(key(Augment { jitter: strong, brightness: Brightness::Additive, ..default() }), "jitter");
    }
}
