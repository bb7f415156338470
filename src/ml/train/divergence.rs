//! The message about a training that diverged.

use super::{Run, Settings};
use crate::ml::Error;

/// Adds the epoch, the step (both from 1; `None` if it is not known) and a remedy to an [`Error::NotFinite`]. Other
/// errors do not change.
#[must_use]
pub fn diverged(error: Error, epoch: usize, step: Option<usize>, remedy: String) -> Error {
    match error {
        Error::NotFinite { what, value } => Error::Diverged { what, value, epoch, step, remedy },
        other => other,
    }
}

/// The remedy for a divergence. `blame` is a change of the task's parameters that would prevent it, whatever the
/// optimiser does, as a noun ("a higher temperature").
#[must_use]
pub fn remedy(run: &Run, settings: &Settings, blame: Option<&str>) -> String {
    if let Some(blame) = blame {
        return format!("{blame} may help");
    }
    if run.optim.steps() == 0 {
        return "no weight had been changed yet, so look at the images and at the weights it started from".to_owned();
    }
    let mut help = vec!["a lower learning rate"];
    if run.epoch <= 1 && settings.schedule.warmup_epochs == 0.0 {
        help.push("a warm-up");
    }
    if run.optim.decay() >= 1.0 {
        help.push("a lower weight decay");
    }
    let last = help.pop().unwrap_or_default();
    let before = help.join(", ");
    format!("{before}{}{last} may help", if before.is_empty() { "" } else { " or " })
}
