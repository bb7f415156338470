use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{Device, Var};

use super::*;
use crate::ml::{
    init::{Init, Params},
    optim::{Optim, Optimizer, OptimizerKind},
    rng::Stream,
};

/// Least squares with noise: a weight vector that should become 1, 2, 3.
struct Line {
    weight: Var,
    order: Order,
    validation: Vec<f64>,
    evaluated: AtomicUsize,
}

impl Task for Line {
    type Batch = (Tensor, Tensor);

    fn steps(&self) -> usize {
        self.order.steps()
    }

    fn begin(&mut self, epoch: usize) -> Result<()> {
        self.order.begin(epoch);
        Ok(())
    }

    fn batch(&self, _epoch: usize, step: usize) -> Result<Self::Batch> {
        let stream = Stream::new(3, "line");
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for &index in self.order.batch(step) {
            let mut stream = stream.at(u64::from(index));
            let row: Vec<f32> = (0..3).map(|_| stream.normal()).collect();
            y.push(row[0] + 2.0 * row[1] + 3.0 * row[2] + 0.01 * stream.normal());
            x.extend(row);
        }
        let count = y.len();
        Ok((Tensor::from_vec(x, (count, 3), &Device::Cpu)?, Tensor::from_vec(y, (count, 1), &Device::Cpu)?))
    }

    fn loss(&self, (x, y): Self::Batch) -> Result<StepLoss> {
        let loss = super::super::loss::mse(&x.matmul(&self.weight)?, &y)?;
        Ok(StepLoss { loss, values: vec![("one", 1.0)], images: x.dim(0)? })
    }

    fn evaluate(&self, _stop: &dyn Fn() -> bool) -> Result<Vec<(&'static str, f64)>> {
        let epoch = self.evaluated.fetch_add(1, Ordering::Relaxed);
        Ok(self.validation.get(epoch).map(|&value| ("val_loss", value)).into_iter().collect())
    }
}

fn setup(kind: OptimizerKind, lr: f64, validation: &[f64]) -> Result<(Line, Run)> {
    let mut params = Params::new(1, &Device::Cpu);
    let weight = params.root().parameter("weight", &[3, 1], Init::HeNormal)?;
    let optim = Optim::new(&Optimizer { kind, lr, ..Optimizer::default() }, params.parameters())?;
    let order = Order::new((0..50).collect(), 8, 5);
    Ok((
        Line { weight, order, validation: validation.to_vec(), evaluated: AtomicUsize::new(0) },
        Run::new(params, optim),
    ))
}

fn settings(epochs: usize, patience: usize) -> Settings {
    Settings { epochs, steps: None, schedule: Schedule::default(), patience }
}

fn bits(run: &Run) -> Result<Vec<u32>> {
    Ok(run.params.to_tensors()?["weight"].flatten_all()?.to_vec1::<f32>()?.iter().map(|w| w.to_bits()).collect())
}

#[test]
fn every_optimiser_finds_the_line() -> Result<()> {
    for (kind, lr) in [
        (OptimizerKind::Sgd, 0.05),
        (OptimizerKind::Adam, 0.1),
        (OptimizerKind::Adamw, 0.1),
        (OptimizerKind::Lars, 30.0),
    ] {
        let (mut task, mut run) = setup(kind, lr, &[])?;
        train(&mut task, &mut run, &settings(30, 0), &mut ())?;
        let weights = task.weight.flatten_all()?.to_vec1::<f32>()?;
        for (got, want) in weights.iter().zip([1.0, 2.0, 3.0]) {
            assert!((got - want).abs() < 0.05, "{kind:?}: {weights:?}");
        }
        assert_eq!(run.series["loss"].len(), 30);
        assert!(run.series["one"].iter().all(|&one| (one - 1.0).abs() < 1e-12), "a mean of ones is one");
    }
    Ok(())
}

/// Stops after `0` more steps.
struct StopAfter(usize);

impl Observer for StopAfter {
    fn step(&mut self, _progress: &Progress) {
        self.0 -= 1;
    }

    fn cancelled(&self) -> bool {
        self.0 == 0
    }
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_bytes() -> Result<()> {
    for kind in [OptimizerKind::Sgd, OptimizerKind::Adam] {
        let validation = [5.0, 4.0, 6.0, 3.0, 7.0, 8.0];
        let (mut task, mut whole) = setup(kind, 0.05, &validation)?;
        train(&mut task, &mut whole, &settings(6, 5), &mut ())?;
        // An epoch has 6 steps. The run is cut in the middle of an epoch, and after the best one.
        for cut in [9, 26] {
            let (mut task, mut run) = setup(kind, 0.05, &validation)?;
            let outcome = train(&mut task, &mut run, &settings(6, 5), &mut StopAfter(cut));
            assert!(matches!(outcome, Err(Error::Cancelled)));
            let saved = run.to_tensors()?;
            let (mut task, mut resumed) = setup(kind, 0.05, &validation)?;
            task.evaluated = AtomicUsize::new(cut / 6);
            resumed.load(&saved)?;
            train(&mut task, &mut resumed, &settings(6, 5), &mut ())?;
            assert_eq!(bits(&resumed)?, bits(&whole)?);
            assert_eq!(resumed.series, whole.series);
        }
    }
    Ok(())
}

#[test]
fn early_stopping_restores_the_best_epoch() -> Result<()> {
    let (mut task, mut run) = setup(OptimizerKind::Sgd, 0.05, &[5.0, 3.0, 4.0, 4.0, 1.0])?;
    train(&mut task, &mut run, &settings(5, 2), &mut ())?;
    assert_eq!((run.epoch, run.best.as_ref().map(|best| best.epoch)), (4, Some(2)));
    let stopped = bits(&run)?;
    let (mut task, mut run) = setup(OptimizerKind::Sgd, 0.05, &[])?;
    let outcome = train(&mut task, &mut run, &settings(5, 0), &mut StopAfter(12));
    assert!(matches!(outcome, Err(Error::Cancelled)));
    assert_eq!(bits(&run)?, stopped, "the weights behind epoch 2");
    Ok(())
}

#[test]
fn a_rate_that_is_too_high_is_named() -> Result<()> {
    let (mut task, mut run) = setup(OptimizerKind::Sgd, 1e6, &[])?;
    let outcome = train(&mut task, &mut run, &settings(50, 0), &mut ());
    assert!(matches!(outcome, Err(Error::Diverged { epoch: 1.., .. })), "{outcome:?}");
    Ok(())
}

#[test]
fn no_epochs_leave_the_initial_weights() -> Result<()> {
    let (mut task, mut run) = setup(OptimizerKind::Adam, 0.1, &[])?;
    let before = bits(&run)?;
    train(&mut task, &mut run, &settings(0, 3), &mut ())?;
    assert_eq!(bits(&run)?, before);
    assert!(run.series.is_empty());
    Ok(())
}

/// Saves after every step, and keeps the saved states.
#[derive(Default)]
struct Saves(Vec<std::collections::BTreeMap<String, Tensor>>);

impl Observer for Saves {
    fn save_due(&self, _epoch: usize, _step: usize) -> bool {
        true
    }

    fn save(&mut self, run: &Run) -> Result<()> {
        self.0.push(run.to_tensors()?);
        Ok(())
    }
}

#[test]
fn no_state_is_saved_of_a_run_that_has_left_the_numbers() -> Result<()> {
    for lr in [1e6, 1e20, 1e38] {
        let (mut task, mut run) = setup(OptimizerKind::Sgd, lr, &[])?;
        let mut saves = Saves::default();
        let outcome = train(&mut task, &mut run, &settings(50, 0), &mut saves);
        let message = outcome.expect_err("it diverges").to_string();
        assert!(message.contains("a lower learning rate or a warm-up may help"), "{message}");
        for state in &saves.0 {
            assert!(state.values().all(|tensor| matches!(finite::first(tensor), Ok(None))), "lr = {lr}");
        }
    }
    Ok(())
}

/// Adam would never change such a weight again.
#[test]
fn a_second_moment_that_overflows_is_a_divergence() -> Result<()> {
    let (task, mut run) = setup(OptimizerKind::Adam, 1e-3, &[])?;
    let mut gradients = (task.weight.as_tensor() * 1e30)?.sum_all()?.backward()?;
    run.optim.step(&mut gradients, 1.0)?;
    run.params.require_finite()?;
    let message = run.require_finite().expect_err("its square does not fit").to_string();
    assert!(message.starts_with("an infinite number in the optimiser's memory of `weight`"), "{message}");
    Ok(())
}

#[test]
fn a_value_of_the_evaluation_that_is_no_number_ends_the_run_at_its_epoch() -> Result<()> {
    for (value, word) in [(f64::NAN, "NaN"), (f64::INFINITY, "infinite")] {
        let (mut task, mut run) = setup(OptimizerKind::Sgd, 0.05, &[3.0, value, 1.0])?;
        let message = train(&mut task, &mut run, &settings(5, 3), &mut ()).expect_err("it diverges").to_string();
        assert_eq!(
            message,
            format!("the validation loss became {word} at epoch 2; a lower learning rate or a warm-up may help")
        );
        assert_eq!((run.epoch, run.series["val_loss"].len()), (1, 1), "the epoch is not kept");
    }
    Ok(())
}

#[test]
fn a_loss_that_was_never_a_number_blames_no_learning_rate() -> Result<()> {
    let (mut task, mut run) = setup(OptimizerKind::Sgd, 0.05, &[])?;
    task.weight.set(&(task.weight.ones_like()? * f64::NAN)?)?;
    let message = train(&mut task, &mut run, &settings(1, 0), &mut ()).expect_err("it has no loss").to_string();
    assert!(message.starts_with("the loss became NaN at epoch 1, step 1; no weight had been changed yet"), "{message}");
    Ok(())
}

#[test]
fn a_run_of_so_many_steps_ends_within_an_epoch_and_goes_on_to_the_same_bytes() -> Result<()> {
    let settings = Settings { steps: Some(15), ..settings(99, 0) };
    let (mut task, mut whole) = setup(OptimizerKind::Sgd, 0.05, &[])?;
    train(&mut task, &mut whole, &settings, &mut ())?;
    // An epoch has 6 steps.
    assert_eq!((whole.epoch, whole.step, whole.optim.steps(), whole.series["loss"].len()), (3, 0, 15, 3));
    for cut in [4, 13] {
        let (mut task, mut run) = setup(OptimizerKind::Sgd, 0.05, &[])?;
        assert!(matches!(train(&mut task, &mut run, &settings, &mut StopAfter(cut)), Err(Error::Cancelled)));
        let saved = run.to_tensors()?;
        let (mut task, mut resumed) = setup(OptimizerKind::Sgd, 0.05, &[])?;
        resumed.load(&saved)?;
        train(&mut task, &mut resumed, &settings, &mut ())?;
        assert_eq!((bits(&resumed)?, &resumed.series), (bits(&whole)?, &whole.series));
    }
    Ok(())
}
