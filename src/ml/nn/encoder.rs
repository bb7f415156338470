//! The parameter table of an encoder.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An encoder: which residual network, and how large.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Encoder {
    /// The network: `resnet` (bottleneck ResNet of depth 9n + 2), `resnet18`, `resnet50` or `resnet50_keras`.
    pub kind: EncoderKind,
    /// Blocks in each of the three groups of `resnet`, from 1. Ignored by the others.
    pub n: usize,
    /// Factor on every channel count, above 0.
    pub width: f64,
    /// Whether the convolutions of `resnet` and `resnet50_keras` have biases. Those of the others never have.
    pub bias: bool,
    /// How convolutions start: `auto` by kind, `he_normal`, `he_truncated` (Keras), `he_fan_out` or `glorot_uniform`.
    pub init: WeightInit,
    /// Zeros around the image: `symmetric` (PyTorch) or `same` (TensorFlow, more at the bottom and right).
    pub padding: Padding,
    /// First layers of `resnet18`, `resnet50` and `resnet50_keras`: `3x3`, `7x7` (stride 2, then max-pool), or `auto` by image size.
    pub stem: Stem,
    /// Added to the variance in batch normalisation.
    pub bn_eps: f64,
    /// Weight of a new batch in the running statistics, in (0, 1].
    pub bn_momentum: f64,
    /// Whether another batch normalisation and ReLU stand before the last pooling, as in the reference's supervised model.
    pub final_norm: bool,
    /// Mean of each channel of the pixels in [0, 1], which is subtracted from images, such as `[0.485, 0.456, 0.406]`; left
    /// out: images stay as they are.
    // These two are left out of the key and of stored architectures where they are not set, as before they existed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mean: Vec<f64>,
    /// Standard deviation of each channel of the pixels, by which images are divided after that, such as
    /// `[0.229, 0.224, 0.225]`; as many as in `mean`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub std: Vec<f64>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            kind: EncoderKind::Resnet,
            n: 4,
            width: 1.0,
            bias: true,
            init: WeightInit::Auto,
            padding: Padding::Symmetric,
            stem: Stem::Auto,
            bn_eps: 1e-3,
            bn_momentum: 0.1,
            final_norm: false,
            mean: Vec::new(),
            std: Vec::new(),
        }
    }
}

/// Which residual network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EncoderKind {
    /// The bottleneck ResNet of the G-SimCLR reference code, for small images.
    Resnet,
    /// ResNet-18 (He et al. 2016).
    Resnet18,
    /// ResNet-50 with the stride on the 3x3 convolution.
    Resnet50,
    /// ResNet-50 as `keras.applications` has it: the stride on the first 1x1 convolution (He et al. 2016), biases.
    Resnet50Keras,
}

/// How the weights of convolutions start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeightInit {
    /// `he_normal` for `resnet`, `he_fan_out` for `resnet18` and `resnet50`, `glorot_uniform` for `resnet50_keras`.
    Auto,
    /// Normal, deviation sqrt(2 / fan in).
    HeNormal,
    /// The same, cut at two deviations, as Keras's `he_normal` is.
    HeTruncated,
    /// Normal, deviation sqrt(2 / fan out).
    HeFanOut,
    /// Uniform within sqrt(6 / (fan in + fan out)).
    GlorotUniform,
}

/// Zeros around the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// As many on every side, as in PyTorch.
    Symmetric,
    /// TensorFlow's `same`: where the number is odd, the larger half is at the bottom and the right.
    Same,
}

/// The first layers of ResNet-18 and ResNet-50.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Stem {
    /// `3x3` up to 64 pixels, `7x7` above.
    #[serde(rename = "auto")]
    Auto,
    /// One 3x3 convolution, stride 1, no pooling.
    #[serde(rename = "3x3")]
    Small,
    /// A 7x7 convolution and a 3x3 max-pool, stride 2 each.
    #[serde(rename = "7x7")]
    Large,
}

impl Encoder {
    /// What is wrong with the values, as the name of the field and a message.
    ///
    /// # Errors
    /// If a value is out of range.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if !(1..=1000).contains(&self.n) {
            return Err(("n", format!("must be from 1 to 1000, not {}", self.n)));
        }
        if !(self.width > 0.0 && self.width <= 16.0) {
            return Err(("width", format!("must be above 0 and at most 16, not {}", self.width)));
        }
        if !(self.bn_eps > 0.0 && self.bn_eps.is_finite()) {
            return Err(("bn_eps", format!("must be above 0, not {}", self.bn_eps)));
        }
        if !(self.bn_momentum > 0.0 && self.bn_momentum <= 1.0) {
            return Err(("bn_momentum", format!("must be in (0, 1], not {}", self.bn_momentum)));
        }
        if let Some(mean) = self.mean.iter().find(|mean| !mean.is_finite()) {
            return Err(("mean", format!("must be finite, not {mean}")));
        }
        if let Some(std) = self.std.iter().find(|std| !(**std > 0.0 && std.is_finite())) {
            return Err(("std", format!("must be above 0, not {std}")));
        }
        let [mean, std] = [self.mean.len(), self.std.len()];
        if mean != std {
            let field = if mean < std { "mean" } else { "std" };
            return Err((field, format!("`mean` has {mean} values and `std` {std}: both have one for each channel")));
        }
        Ok(())
    }

    /// The fields that have no effect, given the others.
    #[must_use]
    pub fn idle(&self) -> Vec<&'static str> {
        match self.kind {
            EncoderKind::Resnet => vec!["stem"],
            EncoderKind::Resnet18 | EncoderKind::Resnet50 => vec!["n", "bias"],
            EncoderKind::Resnet50Keras => vec!["n"],
        }
    }

    /// `channels` times the width factor, at least 1.
    pub(super) fn scaled(&self, channels: usize) -> usize {
        ((channels as f64 * self.width).round() as usize).max(1)
    }

    /// The same encoder with the stem that images of `size` (height, width) get; fields that have no effect are at
    /// their defaults, so that they make no difference to what is written of it.
    #[must_use]
    pub fn resolved(&self, size: [usize; 2]) -> Self {
        self.resolved_as(if size[0].max(size[1]) <= 64 { Stem::Small } else { Stem::Large })
    }

    /// As [`Encoder::resolved`], with the stem that takes the place of `auto`.
    #[must_use]
    pub fn resolved_as(&self, auto: Stem) -> Self {
        let mut encoder = self.clone();
        for field in self.idle() {
            let Self { n, bias, stem, .. } = Self::default();
            match field {
                "n" => encoder.n = n,
                "bias" => encoder.bias = bias,
                _ => encoder.stem = stem,
            }
        }
        if encoder.stem == Stem::Auto {
            encoder.stem = auto;
        }
        encoder
    }
}
