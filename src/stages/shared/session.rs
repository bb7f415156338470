//! Training inside a stage: reports go to the context of the stage, which also saves and restores the state.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use super::network;
use crate::{
    ml::{
        self,
        nn::Architecture,
        train::{Observer, Progress, Run, Settings, Task, train},
    },
    stage::{self, Context, Outputs, Position, StageError},
    store::Artifact,
};

/// The training of one stage, in one or several phases.
pub(in crate::stages) struct Session<'a, 'c> {
    pub(in crate::stages) cx: &'a mut Context<'c>,
    /// The saved state to resume from, until its phase has loaded it.
    state: Option<Artifact>,
    /// All points reported so far: by series, pairs of epoch and value.
    points: BTreeMap<String, Vec<f64>>,
}

/// The place of a phase in its stage.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::stages) struct Part {
    /// Its number, from 0.
    pub(in crate::stages) phase: u32,
    /// Steps of the phases before and after it.
    pub(in crate::stages) steps: [u64; 2],
    /// Epochs of the phases before and after it.
    pub(in crate::stages) epochs: [usize; 2],
}

impl<'a, 'c> Session<'a, 'c> {
    /// Starts where an earlier run of the same work ended or was interrupted, if there was one.
    pub(in crate::stages) fn open(cx: &'a mut Context<'c>) -> Result<Self, StageError> {
        let state = cx.resume()?.map(|(_, state)| state);
        let mut session = Self { cx, state: None, points: BTreeMap::new() };
        if let Some(state) = &state {
            session.replay(state)?;
        }
        session.state = state;
        Ok(session)
    }

    /// Reports again the points that were reported before the state was saved.
    fn replay(&mut self, state: &Artifact) -> Result<(), StageError> {
        for (name, tensor) in state.tensors() {
            let Some(series) = name.strip_prefix("points/") else { continue };
            let flat: Vec<f64> = tensor.to_vec1()?;
            for point in flat.chunks_exact(2) {
                self.cx.point(series, point[0] as u64, point[1]);
            }
            self.points.insert(series.to_owned(), flat);
        }
        Ok(())
    }

    /// Trains one phase, starting from the saved state if that belongs to this phase. If the saved state belongs to a
    /// later phase, this one is over and its result is in the state, so nothing is done.
    pub(in crate::stages) fn fit<T: Task>(
        &mut self,
        part: Part,
        task: &mut T,
        run: &mut Run,
        settings: &Settings,
    ) -> Result<(), StageError> {
        if let Some(state) = &self.state {
            let saved: u32 = state.get("phase")?;
            if saved > part.phase {
                return Ok(());
            }
            if saved == part.phase {
                run.load(state.tensors())?;
                self.state = None;
            }
        }
        train(task, run, settings, &mut Watch { session: self, part }).map_err(|error| match error {
            // The message counts epochs over all phases.
            ml::Error::Diverged { what, value, epoch, step, remedy } => {
                ml::Error::Diverged { what, value, epoch: part.epochs[0] + epoch, step, remedy }
            }
            other => other,
        })?;
        Ok(())
    }

    /// Adds the weights at the epochs that are to be kept, as `weights@EPOCH`.
    pub(in crate::stages) fn with_kept(
        &self,
        mut outputs: Outputs,
        architecture: &Architecture,
    ) -> Result<Outputs, StageError> {
        for epoch in self.cx.keep() {
            // Early stopping may have ended the training before this epoch.
            let Some(state) = self.cx.state_at(epoch)? else { continue };
            let (_, params) = architecture.build(0, &Device::Cpu)?;
            let inside =
                |(name, tensor): (&String, &Tensor)| Some((name.strip_prefix("params/")?.to_owned(), tensor.clone()));
            params.load(&state.tensors().iter().filter_map(inside).collect())?;
            outputs = outputs.with(format!("weights@{epoch}"), network::save(architecture, &params)?);
        }
        Ok(outputs)
    }
}

/// Passes the reports of a run on to its stage.
struct Watch<'s, 'a, 'c> {
    session: &'s mut Session<'a, 'c>,
    part: Part,
}

impl Observer for Watch<'_, '_, '_> {
    fn step(&mut self, progress: &Progress) {
        let Part { steps: [steps_before, steps_behind], epochs: [before, behind], .. } = self.part;
        self.session.cx.progress(stage::Progress {
            done: steps_before + progress.done,
            total: steps_before + progress.total + steps_behind,
            unit: "step",
            epoch: Some((before + progress.epoch, before + progress.epochs + behind)),
            loss: Some(progress.loss),
        });
    }

    fn epoch(&mut self, epoch: usize, values: &BTreeMap<String, f64>) {
        let epoch = (self.part.epochs[0] + epoch) as u64;
        for (name, &value) in values {
            self.session.cx.point(name.as_str(), epoch, value);
            self.session.points.entry(name.clone()).or_default().extend([epoch as f64, value]);
        }
    }

    fn cancelled(&self) -> bool {
        self.session.cx.cancelled()
    }

    fn save_due(&self, epoch: usize, step: usize) -> bool {
        let epoch = (self.part.epochs[0] + epoch) as u64;
        self.session.cx.save_due(Position { epoch, step: step as u64 })
    }

    fn save(&mut self, run: &Run) -> ml::Result<()> {
        let at = Position { epoch: (self.part.epochs[0] + run.epoch) as u64, step: run.step as u64 };
        if at == Position::default() {
            return Ok(());
        }
        let mut state = Artifact::new().with_all(run.to_tensors()?).attribute("phase", self.part.phase);
        for (series, flat) in &self.session.points {
            state = state.with(format!("points/{series}"), Tensor::new(flat.as_slice(), &Device::Cpu)?);
        }
        self.session.cx.save(at, &state).map_err(|error| ml::Error::Invalid(error.to_string()))
    }
}
