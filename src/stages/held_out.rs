//! What decides when a training stops.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the held-out loss is taken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeldOut {
    /// A stratified part of the training images.
    Validation,
    /// The test images, which flatters the result.
    Test,
}
