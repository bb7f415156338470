//! The kinds of stages: thin glue between the contract and `ml`.
//!
//! A new kind is one file and one line in [`registry`].

mod classifier;
mod dae;
mod dataset;
mod encode;
mod fine_tune;
mod held_out;
mod idle;
mod images;
mod kmeans;
mod knn_probe;
mod level;
mod linear_probe;
mod network;
mod noise;
mod sampler;
mod session;
mod simclr;
mod supervised;
mod tested;
mod tsne;

use crate::{
    ml::{self, schedule::Schedule},
    stage::{Context, Extent, Metric, Problems, Registry, StageError, StageKind},
};

/// Every kind that a pipeline file may use.
#[must_use]
pub fn registry() -> Registry {
    [
        StageKind::of::<dataset::Dataset>(),
        StageKind::of::<noise::Noise>(),
        StageKind::of::<dae::Dae>(),
        StageKind::of::<encode::Encode>(),
        StageKind::of::<kmeans::KMeans>(),
        StageKind::of::<sampler::Sampler>(),
        StageKind::of::<simclr::Simclr>(),
        StageKind::of::<linear_probe::LinearProbe>(),
        StageKind::of::<knn_probe::KnnProbe>(),
        StageKind::of::<fine_tune::FineTune>(),
        StageKind::of::<supervised::Supervised>(),
        StageKind::of::<tsne::Tsne>(),
    ]
    .into_iter()
    .collect()
}

impl From<ml::Error> for StageError {
    fn from(error: ml::Error) -> Self {
        match error {
            ml::Error::Tensor(error) => Self::Tensor(error),
            ml::Error::Cancelled => Self::Cancelled,
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Adds the problem of a nested table, with the path of the parameter that holds the table.
fn nested(problems: &mut Problems, table: &str, checked: Result<(), (&'static str, String)>) {
    if let Err((field, message)) = checked {
        problems.add(&format!("{table}.{field}"), message);
    }
}

/// The parameter for the length of a training.
const EPOCHS: &str = "epochs";

/// How far a training goes. If the learning rate depends on the number of epochs, or `steps` is set, a longer training
/// cannot continue it. A training of `steps` has at most as many epochs as steps, and may end within an epoch.
fn extent(epochs: usize, steps: Option<usize>, schedule: &Schedule, keep: &[usize]) -> Option<Extent> {
    let fixed = steps.is_some() || schedule.depends_on_epochs();
    let free: &[&str] = if fixed { &["keep_epochs"] } else { &[EPOCHS, "keep_epochs"] };
    let epochs = steps.unwrap_or(epochs) as u64;
    Some(Extent { free, epochs, extends: !fixed, keep: keep.iter().map(|&epoch| epoch as u64).collect() })
}

/// Checks that a training is given one length, not both `steps` and `epochs`.
fn check_steps(problems: &mut Problems, steps: Option<usize>, epochs_too: bool) {
    if let Some(steps) = steps {
        problems.at_least("steps", steps, 1);
        if epochs_too {
            problems.add_with_help(
                "steps",
                "`epochs` is set too, and a training has one length",
                "leave one of them out",
            );
        }
    }
}

/// A request for more bytes than this must be a mistake in the file.
const MOST_BYTES: u128 = 1 << 40;
/// A layer of more outputs than this must be a mistake in the file: the weights between two such layers take 16 GiB.
const MOST_OUTPUTS: usize = 1 << 16;

/// Adds a problem if a parameter asks for a tensor of more than a tebibyte. Its size is the product of `factors`.
fn check_bytes(problems: &mut Problems, path: &str, factors: &[usize]) {
    let bytes = factors.iter().fold(1, |product: u128, &factor| product.saturating_mul(factor as u128));
    problems.require(bytes <= MOST_BYTES, path, "asks for more than a tebibyte of images or indices");
}

/// Adds a problem if the size of a layer is zero or implausibly large.
fn check_widths(problems: &mut Problems, path: &str, outputs: &[usize]) {
    if let Some(outputs) = outputs.iter().find(|outputs| !(1..=MOST_OUTPUTS).contains(*outputs)) {
        problems.add(path, format!("must be sizes from 1 to {MOST_OUTPUTS}, got {outputs}"));
    }
}

/// Warns if the warm-up is as long as the training.
fn check_warmup(problems: &mut Problems, schedule: &Schedule, epochs: usize) {
    let warmup = schedule.warmup_epochs;
    if epochs > 0 && warmup >= epochs as f64 {
        let message = format!(
            "warms up for {warmup} epochs of a training of {epochs}, so the learning rate reaches its value in the last \
             step or never"
        );
        let help = "raise `epochs`, or lower `schedule.warmup_epochs`; 0 means no warm-up";
        problems.warn("schedule.warmup_epochs", message, help);
    }
}

/// Checks that the epochs to keep come before the last one, which is kept anyway.
fn check_kept(problems: &mut Problems, keep: &[usize], epochs: usize) {
    let fine = keep.iter().all(|epoch| (1..epochs).contains(epoch));
    problems.require(fine, "keep_epochs", format!("must be epochs from 1 to below {epochs}, got {keep:?}"));
}

/// The metrics that every training has.
fn losses() -> Vec<Metric> {
    vec![
        Metric::new("loss", "mean loss of the epoch").lower(),
        Metric::new("val_loss", "mean loss on held-out images").lower(),
        Metric::new("lr", "learning rate"),
    ]
}

/// Records each named series as a metric, with its value at the epoch whose weights are kept.
fn record(cx: &mut Context<'_>, run: &ml::train::Run, names: &[&str]) {
    let epoch = run.best.as_ref().map_or(run.epoch, |best| best.epoch);
    for name in names {
        if let Some(&value) = run.series.get(*name).and_then(|values| values.get(epoch.wrapping_sub(1))) {
            cx.metric(*name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        path::Path,
        sync::{Arc, atomic::AtomicBool},
    };

    use candle_core::{Device, Tensor};

    use super::{kmeans::KMeans, knn_probe::KnnProbe, linear_probe::LinearProbe, sampler::Sampler};
    use crate::{
        ml::sampler::Policy,
        stage::{Context, Inputs, Note, Outputs, Stage, StageError},
        store::Artifact,
    };

    /// Runs a stage and returns its outputs and metrics.
    fn run(stage: &impl Stage, inputs: &[(&str, &Artifact)]) -> Result<(Outputs, BTreeMap<String, f64>), StageError> {
        let inputs: Inputs = inputs.iter().map(|&(port, a)| (port.to_owned(), Arc::new(a.clone()))).collect();
        let cancel = AtomicBool::new(false);
        let mut metrics = BTreeMap::new();
        let mut listener = |note| {
            if let Note::Metric { name, value } = note {
                metrics.insert(name, value);
            }
        };
        let outputs = stage.run(&inputs, &mut Context::new(Device::Cpu, 1, Path::new("."), &cancel, &mut listener))?;
        Ok((outputs, metrics))
    }

    /// Four well separated groups of ten images, in two classes.
    fn features() -> Artifact {
        let rows: Vec<f32> =
            (0..40).flat_map(|i| [(i % 4 / 2 * 10) as f32, (i % 2 * 10) as f32 + i as f32 * 0.01]).collect();
        let labels: Vec<u32> = (0..40).map(|i| i % 4 / 2).collect();
        Artifact::new()
            .with("latent", Tensor::from_vec(rows, (40, 2), &Device::Cpu).unwrap())
            .with("labels", Tensor::new(labels, &Device::Cpu).unwrap())
            .attribute("classes", vec!["left", "right"])
    }

    #[test]
    fn clusters_become_batches_without_pairs_of_one_cluster() -> Result<(), StageError> {
        let (clusters, metrics) = run(&KMeans { clusters: 4, ..KMeans::default() }, &[("features", &features())])?;
        assert_eq!((metrics["purity"], metrics["cluster_size_cv"]), (1.0, 0.0));
        let sampler = Sampler { policy: Policy::Balanced, batch_size: 4, ..Sampler::default() };
        let (batches, metrics) = run(&sampler, &[("labels", &clusters.ports()["labels"])])?;
        assert_eq!(batches.ports()["batches"].tensor("batches")?.dims(), [16, 10, 4]);
        assert_eq!((metrics["same_cluster_rate"], metrics["distinct_clusters"]), (0.0, 4.0));
        // Two of the six pairs are of one class, and the closed form agrees.
        assert!((metrics["false_negative_rate"] - 1.0 / 3.0).abs() < 1e-12);
        assert!((metrics["false_negative_rate_expected"] - 1.0 / 3.0).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn probes_judge_features() -> Result<(), StageError> {
        let features = features();
        let inputs = [("train", &features), ("test", &features)];
        let (outputs, metrics) = run(&LinearProbe::default(), &inputs)?;
        assert_eq!((metrics["train_accuracy"], metrics["test_accuracy"]), (1.0, 1.0));
        assert!(metrics["test_accuracy_low"] > 0.9 && metrics["test_accuracy_high"] == 1.0);
        let confusion = outputs.ports()["confusion"].tensor("confusion")?.to_vec2::<u32>()?;
        assert_eq!(confusion, [[20, 0], [0, 20]]);
        let (_, metrics) = run(&KnnProbe { k: 3, ..KnnProbe::default() }, &inputs)?;
        assert!(metrics.contains_key("test_accuracy"));
        Ok(())
    }
}
