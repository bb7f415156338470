//! Tells a stage's context what a training run tells.

use std::collections::BTreeMap;

use crate::{
    ml::train::{Observer, Progress},
    stage::{self, Context},
};

/// A training run seen from its stage. A stage of several runs gives each its share of the whole.
pub(super) struct Watch<'a, 'c> {
    cx: &'a mut Context<'c>,
    steps: [u64; 2],
    epochs: [usize; 2],
}

impl<'a, 'c> Watch<'a, 'c> {
    /// Watches a run that is the whole work of a stage.
    pub(super) fn whole(cx: &'a mut Context<'c>) -> Self {
        Self::part(cx, [0, 0], [0, 0])
    }

    /// Watches a run with `steps` and `epochs` of the stage before and behind it.
    pub(super) fn part(cx: &'a mut Context<'c>, steps: [u64; 2], epochs: [usize; 2]) -> Self {
        Self { cx, steps, epochs }
    }
}

impl Observer for Watch<'_, '_> {
    fn step(&mut self, progress: &Progress) {
        let ([steps_before, steps_behind], [before, behind]) = (self.steps, self.epochs);
        self.cx.progress(stage::Progress {
            done: steps_before + progress.done,
            total: steps_before + progress.total + steps_behind,
            unit: "step",
            epoch: Some((before + progress.epoch, before + progress.epochs + behind)),
            loss: Some(progress.loss),
        });
    }

    fn epoch(&mut self, epoch: usize, values: &BTreeMap<String, f64>) {
        for (name, &value) in values {
            self.cx.point(name.as_str(), (self.epochs[0] + epoch) as u64, value);
        }
    }

    fn cancelled(&self) -> bool {
        self.cx.cancelled()
    }
}
