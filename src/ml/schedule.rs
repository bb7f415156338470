//! The learning rate as a pure function of the step.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the learning rate moves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// The shape: `constant`, `cosine` or `cosine_restarts`.
    pub kind: ScheduleKind,
    /// Epochs over which the rate rises linearly from zero, before the shape begins.
    pub warmup_epochs: f64,
    /// Steps of the cosine, or of the first cycle of `cosine_restarts`; 0 means all steps that remain.
    pub steps: u64,
    /// Epochs over which the cosine falls, whatever `epochs` is; 0 means all `epochs`. With a fixed horizon, raising
    /// `epochs` goes on where the shorter training ended.
    pub horizon: usize,
    /// Length of each cycle of `cosine_restarts` relative to the one before, from 1.
    pub cycle_factor: f64,
    /// Where the cosine ends, as a fraction of the rate, in [0, 1].
    pub final_fraction: f64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            kind: ScheduleKind::Cosine,
            warmup_epochs: 0.0,
            steps: 0,
            horizon: 0,
            cycle_factor: 2.0,
            final_fraction: 0.0,
        }
    }
}

/// The shape of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// The same rate throughout.
    Constant,
    /// Half a cosine, then its end value.
    Cosine,
    /// Half cosines, each starting at the full rate (Loshchilov and Hutter 2017).
    CosineRestarts,
}

impl Schedule {
    /// A constant rate.
    #[must_use]
    pub fn constant() -> Self {
        Self { kind: ScheduleKind::Constant, ..Self::default() }
    }

    /// Checks the values of all fields.
    ///
    /// # Errors
    /// If a value is out of range, with the name of the field and a message.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if !(self.warmup_epochs >= 0.0 && self.warmup_epochs.is_finite()) {
            return Err(("warmup_epochs", format!("must be at least 0, not {}", self.warmup_epochs)));
        }
        if !(self.cycle_factor >= 1.0 && self.cycle_factor.is_finite()) {
            return Err(("cycle_factor", format!("must be at least 1, not {}", self.cycle_factor)));
        }
        if !(0.0..=1.0).contains(&self.final_fraction) {
            return Err(("final_fraction", format!("must be in [0, 1], not {}", self.final_fraction)));
        }
        Ok(())
    }

    /// The fields that have no effect, given the others.
    #[must_use]
    pub fn idle(&self) -> Vec<&'static str> {
        // A cosine that ends where it begins is constant.
        if self.kind == ScheduleKind::Constant {
            return vec!["steps", "horizon", "cycle_factor", "final_fraction"];
        }
        if self.final_fraction == 1.0 {
            return vec!["steps", "horizon", "cycle_factor"];
        }
        let mut idle = Vec::new();
        if self.steps > 0 {
            idle.push("horizon");
        }
        // A first cycle over all steps is the only cycle.
        if self.kind == ScheduleKind::Cosine || (self.steps == 0 && self.horizon == 0) {
            idle.push("cycle_factor");
        }
        idle
    }

    /// Whether the rate at a step depends on the number of epochs. Then training for more epochs differs from the
    /// start.
    #[must_use]
    pub fn depends_on_epochs(&self) -> bool {
        self.kind != ScheduleKind::Constant && self.steps == 0 && self.horizon == 0
    }

    /// The factor on the learning rate at `step` (from 0) of a run of `total` steps.
    #[must_use]
    pub fn factor(&self, step: u64, steps_per_epoch: usize, total: u64) -> f64 {
        let warmup = (self.warmup_epochs * steps_per_epoch as f64).round() as u64;
        if step < warmup {
            return (step + 1) as f64 / warmup as f64;
        }
        let total = if self.horizon > 0 { (steps_per_epoch * self.horizon) as u64 } else { total };
        let done = (step - warmup) as f64;
        let length = if self.steps > 0 { self.steps } else { total.saturating_sub(warmup).max(1) } as f64;
        let progress = match self.kind {
            ScheduleKind::Constant => return 1.0,
            ScheduleKind::Cosine => (done / length).min(1.0),
            ScheduleKind::CosineRestarts => {
                let (mut start, mut length) = (0.0, length);
                while done >= start + length {
                    start += length;
                    length *= self.cycle_factor;
                }
                (done - start) / length
            }
        };
        self.final_fraction + (1.0 - self.final_fraction) * (1.0 + (PI * progress).cos()) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_is_linear_and_meets_the_cosine() {
        let schedule = Schedule { warmup_epochs: 2.0, ..Schedule::default() };
        let factors: Vec<f64> = (0..100).map(|step| schedule.factor(step, 10, 100)).collect();
        assert_eq!(&factors[..3], &[0.05, 0.1, 0.15]);
        assert_eq!((factors[19], factors[20]), (1.0, 1.0));
        assert!((factors[60] - 0.5).abs() < 1e-12 && factors[99] < 1e-3 && factors[99] > 0.0);
    }

    /// The reference's own numbers: restarts at 1000, 3000 and 7000 steps; 11,715 steps end at 0.0361 of 0.1.
    #[test]
    fn restarts_end_where_the_references_do() {
        let schedule = Schedule { kind: ScheduleKind::CosineRestarts, steps: 1000, ..Schedule::default() };
        let factor = |step| schedule.factor(step, 781, 15 * 781);
        assert_eq!([0, 1000, 3000, 7000].map(factor), [1.0; 4]);
        assert!((factor(11_715) - 0.361).abs() < 1e-3);
    }

    #[test]
    fn a_cosine_of_fixed_length_stays_at_its_end() {
        let schedule = Schedule { steps: 1000, final_fraction: 0.1, ..Schedule::default() };
        assert!((schedule.factor(1000, 19, 3800) - 0.1).abs() < 1e-12);
        assert!((schedule.factor(3000, 19, 3800) - 0.1).abs() < 1e-12);
    }
}
