//! The whole state of a training run.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use crate::ml::{Error, Result, finite, init::Params, optim::Optim};

/// The state of a run. A run continues from a saved state.
#[derive(Debug)]
pub struct Run {
    /// Weights and running statistics.
    pub params: Params,
    /// The optimiser and its memory.
    pub optim: Optim,
    /// Number of complete epochs.
    pub epoch: usize,
    /// Number of steps in the present epoch so far.
    pub step: usize,
    /// Values at the end of each epoch, by name. A value that is a mean over the steps is weighted by their images.
    pub series: BTreeMap<String, Vec<f64>>,
    /// The best epoch so far, if early stopping watches.
    pub best: Option<Best>,
    /// Sums over the steps of the present epoch.
    sums: BTreeMap<String, f64>,
    images: f64,
}

/// The best epoch of a run.
#[derive(Clone, Debug)]
pub struct Best {
    /// Its number, from 1.
    pub epoch: usize,
    /// The value that it was chosen by; lower is better.
    pub value: f64,
    /// Weights and running statistics after it.
    pub tensors: BTreeMap<String, Tensor>,
}

impl Run {
    /// A run before its first step.
    #[must_use]
    pub fn new(params: Params, optim: Optim) -> Self {
        let (series, sums) = (BTreeMap::new(), BTreeMap::new());
        Self { params, optim, epoch: 0, step: 0, series, best: None, sums, images: 0.0 }
    }

    /// Whether `patience` epochs have passed since the best one.
    pub(super) fn stopped(&self, patience: usize) -> bool {
        patience > 0 && self.best.as_ref().is_some_and(|best| self.epoch - best.epoch >= patience)
    }

    /// Refuses a state with a number that is not finite: parameters, running statistics, the optimiser's memory.
    pub(super) fn require_finite(&self) -> Result<()> {
        self.params.require_finite()?;
        self.optim.require_finite()
    }

    /// Adds a value of a step over `images` images.
    pub(super) fn add(&mut self, name: &str, value: f64, images: usize) {
        *self.sums.entry(name.to_owned()).or_default() += value * images as f64;
        if name == "loss" {
            self.images += images as f64;
        }
    }

    /// Ends an epoch: means and evaluation are appended to the series, and the weights are kept if they are the best so
    /// far.
    ///
    /// A mean that is not finite is refused, and the run stays at the end of its epoch.
    pub(super) fn finish_epoch(
        &mut self,
        evaluation: &[(&'static str, f64)],
        watch: bool,
    ) -> Result<BTreeMap<String, f64>> {
        let means = self.sums.iter().map(|(name, sum)| (name.as_str(), sum / self.images.max(1.0)));
        for (name, value) in means.chain(evaluation.iter().copied()) {
            finite::require_value(value, || spoken(name))?;
        }
        let images = std::mem::take(&mut self.images).max(1.0);
        let mut values: BTreeMap<String, f64> =
            std::mem::take(&mut self.sums).into_iter().map(|(name, sum)| (name, sum / images)).collect();
        values.extend(evaluation.iter().map(|&(name, value)| (name.to_owned(), value)));
        self.epoch += 1;
        self.step = 0;
        for (name, value) in &values {
            self.series.entry(name.clone()).or_default().push(*value);
        }
        let value = values.get("val_loss").or_else(|| values.get("loss")).copied().unwrap_or(f64::INFINITY);
        if watch && !value.is_nan() && self.best.as_ref().is_none_or(|best| value < best.value) {
            self.best = Some(Best { epoch: self.epoch, value, tensors: self.params.to_tensors()? });
        }
        Ok(values)
    }

    pub(super) fn restore_best(&self) -> Result<()> {
        self.best.as_ref().map_or(Ok(()), |best| self.params.load(&best.tensors))
    }

    /// The state as named tensors, numbers included, so that nothing is rounded on the way to disk and back.
    ///
    /// # Errors
    /// If a tensor cannot be made.
    pub fn to_tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = BTreeMap::new();
        let mut put = |prefix: &str, group: BTreeMap<String, Tensor>| {
            tensors.extend(group.into_iter().map(|(name, tensor)| (format!("{prefix}/{name}"), tensor)));
        };
        let numbers = |values: &[f64]| Tensor::new(values, &Device::Cpu);
        put("params", self.params.to_tensors()?);
        put("optim", self.optim.to_tensors()?);
        let one =
            |(name, values): (&String, &[f64])| -> Result<(String, Tensor)> { Ok((name.clone(), numbers(values)?)) };
        put("series", self.series.iter().map(|(name, values)| one((name, values))).collect::<Result<_>>()?);
        put("sums", self.sums.iter().map(|(name, sum)| one((name, &[*sum]))).collect::<Result<_>>()?);
        let position = [self.epoch as f64, self.step as f64, self.images];
        put("run", BTreeMap::from([("position".to_owned(), numbers(&position)?)]));
        if let Some(best) = &self.best {
            put("best", best.tensors.clone());
            put("run", BTreeMap::from([("best".to_owned(), numbers(&[best.epoch as f64, best.value])?)]));
        }
        Ok(tensors)
    }

    /// Restores the state that [`Run::to_tensors`] gave. The network and the optimiser must be of the same kind.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(&mut self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        let group = |prefix: &str| -> BTreeMap<String, Tensor> {
            let inside = |(name, tensor): (&String, &Tensor)| {
                Some((name.strip_prefix(prefix)?.strip_prefix('/')?.to_owned(), tensor.clone()))
            };
            tensors.iter().filter_map(inside).collect()
        };
        let lists = |prefix: &str| -> Result<BTreeMap<String, Vec<f64>>> {
            group(prefix).into_iter().map(|(name, tensor)| Ok((name, tensor.to_vec1::<f64>()?))).collect()
        };
        self.params.load(&group("params"))?;
        self.optim.load(&group("optim"))?;
        self.series = lists("series")?;
        self.sums = lists("sums")?.into_iter().filter_map(|(name, sum)| Some((name, *sum.first()?))).collect();
        let run = lists("run")?;
        let Some(&[epoch, step, images]) = run.get("position").map(Vec::as_slice) else {
            return Err(Error::Invalid("the checkpoint has no run/position".to_owned()));
        };
        (self.epoch, self.step, self.images) = (epoch as usize, step as usize, images);
        self.best = match run.get("best").map(Vec::as_slice) {
            Some(&[epoch, value]) => Some(Best { epoch: epoch as usize, value, tensors: group("best") }),
            _ => None,
        };
        Ok(())
    }
}

/// The name of a series for messages.
fn spoken(name: &str) -> String {
    match name {
        "loss" => "the loss".to_owned(),
        "val_loss" => "the validation loss".to_owned(),
        other => format!("`{other}`"),
    }
}
