//! Which parameters of a nested table have no effect, as key paths.

use crate::ml::{augment::Augment, nn::Encoder, optim::Optimizer, schedule::Schedule};

/// The fields of a table with their paths.
type Paths = &'static [(&'static str, &'static str)];

macro_rules! paths {
    ($table:literal: $($field:literal)*) => { &[$(($field, concat!($table, ".", $field))),*] };
}

macro_rules! optimizer {
    ($table:literal) => {
        paths!($table: "momentum" "nesterov" "exclude_bias_and_norm" "beta1" "beta2" "eps" "trust")
    };
}

const OPTIMIZER: Paths = optimizer!("optimizer");
const WARMUP_OPTIMIZER: Paths = optimizer!("warmup_optimizer");
const SCHEDULE: Paths = paths!("schedule": "steps" "horizon" "cycle_factor" "final_fraction");
const ENCODER: Paths = paths!("encoder": "n" "bias" "stem");
const AUGMENT: Paths = paths!("augment": "scope" "crop_ratio" "jitter" "jitter_order" "brightness" "contrast" "saturation" "clip" "blur_sigma");

fn under(paths: Paths, idle: Vec<&'static str>) -> Vec<&'static str> {
    paths.iter().filter(|(field, _)| idle.contains(field)).map(|&(_, path)| path).collect()
}

pub(in crate::stages) fn optimizer(optimizer: &Optimizer) -> Vec<&'static str> {
    under(OPTIMIZER, optimizer.idle())
}

pub(in crate::stages) fn warmup_optimizer(optimizer: &Optimizer) -> Vec<&'static str> {
    under(WARMUP_OPTIMIZER, optimizer.idle())
}

pub(in crate::stages) fn schedule(schedule: &Schedule) -> Vec<&'static str> {
    under(SCHEDULE, schedule.idle())
}

pub(in crate::stages) fn encoder(encoder: &Encoder) -> Vec<&'static str> {
    under(ENCODER, encoder.idle())
}

pub(in crate::stages) fn augment(augment: &Augment) -> Vec<&'static str> {
    under(AUGMENT, augment.idle())
}

/// The idle parameters of `optimizer` and `schedule`. If nothing is trained, both tables are idle as a whole.
pub(in crate::stages) fn training(trains: bool, optimizer: &Optimizer, schedule: &Schedule) -> Vec<&'static str> {
    if trains { [self::optimizer(optimizer), self::schedule(schedule)].concat() } else { vec!["optimizer", "schedule"] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::{nn::EncoderKind, optim::OptimizerKind, schedule::ScheduleKind};

    /// A field that its table calls idle but that has no path here would stay in the key.
    #[test]
    fn every_field_that_can_be_idle_has_a_path() {
        use OptimizerKind::{Adam, Adamw, Lars, Sgd};
        for kind in [Sgd, Adam, Adamw, Lars] {
            let table = Optimizer { kind, momentum: 0.0, ..Optimizer::default() };
            assert_eq!(optimizer(&table).len(), table.idle().len(), "{kind:?}");
        }
        for kind in [ScheduleKind::Constant, ScheduleKind::Cosine, ScheduleKind::CosineRestarts] {
            let table = Schedule { kind, ..Schedule::default() };
            assert_eq!(schedule(&table).len(), table.idle().len(), "{kind:?}");
        }
        use EncoderKind::{Resnet, Resnet18, Resnet50, Resnet50Keras};
        for kind in [Resnet, Resnet18, Resnet50, Resnet50Keras] {
            let table = Encoder { kind, ..Encoder::default() };
            assert_eq!(encoder(&table).len(), table.idle().len(), "{kind:?}");
        }
        let table = Augment { crop_scale: [1.0, 1.0], flip: 0.0, ..Augment::crop_and_flip() };
        assert_eq!(augment(&table).len(), table.idle().len());
    }
}
