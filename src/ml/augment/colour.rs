//! Which operations jitter colours: those of torchvision, or those of TensorFlow.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// In what order brightness, contrast, saturation and hue are jittered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JitterOrder {
    /// Another one for every view (torchvision).
    #[default]
    Random,
    /// Brightness, contrast, saturation, hue.
    Fixed,
}

/// What brightness is jittered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Brightness {
    /// A factor in 1 ± strength on all values (torchvision).
    #[default]
    Factor,
    /// A number in ± strength added to all values (`tf.image.random_brightness`).
    Additive,
}

/// What the factor of contrast scales the distances from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Contrast {
    /// The mean luma of the image (torchvision).
    #[default]
    Luma,
    /// The mean of each channel (`tf.image.adjust_contrast`).
    Channel,
}

/// What the factor of saturation scales.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Saturation {
    /// The distances of the channels from the luma of the pixel (torchvision).
    #[default]
    Luma,
    /// The S of HSV, which stays at most 1 (`tf.image.adjust_saturation`).
    Hsv,
}

/// When values are brought back into [0, 1].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clip {
    /// After each jitter (torchvision).
    #[default]
    Each,
    /// After all four (the SimCLR code for TensorFlow).
    End,
}

/// The operations that jitter colours; by default those of torchvision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Colour {
    /// What brightness is jittered by.
    pub brightness: Brightness,
    /// What contrast is measured from.
    pub contrast: Contrast,
    /// What saturation is.
    pub saturation: Saturation,
    /// When values are clipped.
    pub clip: Clip,
}

impl Colour {
    /// The operations of TensorFlow 2.
    #[must_use]
    pub fn tensorflow() -> Self {
        Self {
            brightness: Brightness::Additive,
            contrast: Contrast::Channel,
            saturation: Saturation::Hsv,
            clip: Clip::End,
        }
    }
}
