//! The kinds of stages: thin glue between the contract and `ml`.
//!
//! A new kind is one file and one line in [`registry`].

mod dae;
mod dataset;
mod encode;
mod fine_tune;
mod import;
mod kmeans;
mod knn_probe;
mod linear_probe;
mod noise;
mod sampler;
mod shared;
mod simclr;
mod supervised;
mod tsne;

use crate::{
    ml,
    stage::{Registry, StageError, StageKind},
};

/// Every kind that a pipeline file may use.
#[must_use]
pub fn registry() -> Registry {
    [
        StageKind::of::<dataset::Dataset>(),
        StageKind::of::<import::Import>(),
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
