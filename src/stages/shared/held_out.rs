//! The held-out loss that stops a training early, and checks that there are images for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ml::data::split,
    stage::{Context, Problems, StageError},
};

/// What the held-out loss is taken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::stages) enum HeldOut {
    /// A stratified part of the training images.
    Validation,
    /// The test images, which flatters the result.
    Test,
}

/// The parameters of a training that watches a held-out loss.
#[derive(Clone, Copy, Debug)]
pub(in crate::stages) struct Watch {
    pub(in crate::stages) stop_on: HeldOut,
    pub(in crate::stages) val_fraction: f64,
    pub(in crate::stages) patience: usize,
}

/// The remedy for a `patience` without held-out images.
const HELP: &str = "set `val_fraction`, or leave `patience` out";

impl Watch {
    /// Adds a problem if there is a `patience` but no image is held out.
    pub(in crate::stages) fn check(self, problems: &mut Problems) {
        if self.patience > 0 && self.stop_on == HeldOut::Validation && self.val_fraction == 0.0 {
            problems.add_with_help("patience", "waits for a better validation loss, but no image is held out", HELP);
        }
    }

    /// Adds a problem if `val_fraction` leaves no images to train on, or none to validate on. Needs the number of
    /// images.
    pub(in crate::stages) fn foresee(self, images: Option<usize>, problems: &mut Problems) {
        let Some(images) = images.filter(|_| self.stop_on == HeldOut::Validation) else { return };
        let held_out = split::share(self.val_fraction, images);
        if held_out == images && images > 0 {
            problems.add("val_fraction", format!("holds all {images} images out, and leaves none to train on"));
        } else if self.patience > 0 && self.val_fraction > 0.0 && held_out == 0 {
            let message = format!("holds none of {images} images out, so `patience` has no loss to wait for");
            problems.add_with_help("val_fraction", message, "hold out more, or leave `patience` out");
        }
    }

    /// The same check when the stage runs and the numbers of images are known.
    pub(in crate::stages) fn require(
        self,
        cx: &mut Context<'_>,
        images: usize,
        training: usize,
        held_out: usize,
    ) -> Result<(), StageError> {
        let fraction = format!("`val_fraction = {}` of {images} images", self.val_fraction);
        if training == 0 {
            return Err(StageError::failed(format!("{fraction} leaves none to train on")));
        }
        if held_out == 0 && self.patience > 0 {
            let what = if self.val_fraction == 0.0 {
                "no image is held out".to_owned()
            } else {
                format!("{fraction} is none")
            };
            return Err(StageError::failed(format!(
                "`patience` waits for a better validation loss, but {what}: {HELP}"
            )));
        }
        if held_out == 0 && self.val_fraction > 0.0 {
            cx.warn(format!("{fraction} is none, so there is no validation loss"));
        }
        Ok(())
    }
}
