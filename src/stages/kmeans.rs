//! `kmeans`: pseudo labels from features.

mod drawing;

use std::path::Path;

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::level::{self, Level};
use crate::{
    ml::{
        cluster::{self, Confidence},
        features::Normalize,
        metric,
    },
    stage::{
        Context, Drawing, Foreseen, Foresight, Form, Inputs, Metric, Outputs, Port, Problems, Progress, Stage,
        StageError, View,
    },
    store::Artifact,
};

/// Divides images into clusters of near features, which serve as pseudo labels.
///
/// Each label has a `confidence`, for `negatives = "weighted"` of `simclr`. The metric `margin` is the mean over the images
/// of 1 less the distance to the own centroid over that to the nearest other one (0 where another is nearer, 1 with a
/// single cluster).
///
/// The true labels are used for diagnosis only: `nmi`, `ari` and `purity`, which are left out if images have no labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct KMeans {
    /// The level of the features: `latent`, `p1`, …; by default the only one there is.
    pub at: Option<String>,
    /// Scaling of the features: `none`, `l2` (each image to length 1) or `standardize` (each column to deviation 1).
    pub normalize: Normalize,
    /// Number of clusters.
    pub clusters: usize,
    /// Independent starts; the one of least inertia is kept.
    pub runs: usize,
    /// Most iterations of one start.
    pub max_iterations: usize,
    /// Ends a start when the squared shift of all centroids is at most this times the mean variance of the features.
    pub tolerance: f64,
    /// Whether all clusters have the same size, to within one image.
    pub balanced: bool,
    /// What the confidence of a label in [0, 1] is: the `rank` of its image's margin among all, or the `margin` itself.
    pub confidence: Confidence,
    /// Seed of the starts.
    pub seed: u64,
}

impl Default for KMeans {
    fn default() -> Self {
        let cluster::KMeans { clusters, runs, max_iterations, tolerance, normalize, balanced, confidence, seed } =
            cluster::KMeans::default();
        Self { at: None, normalize, clusters, runs, max_iterations, tolerance, balanced, confidence, seed }
    }
}

impl Stage for KMeans {
    const KIND: &'static str = "kmeans";
    // 2: the search for starting centroids looks at up to 65,536 images, not 4,096.
    // 3: labels come with their `confidence`.
    const VERSION: u32 = 3;
    const INPUTS: &'static [Port] = &[Port::new("features", &[Form::Features], "what to cluster")];
    const OUTPUTS: &'static [Port] = &[
        Port::new(
            "labels",
            &[Form::Labels],
            "the cluster of each image, numbered by first occurrence, and how sure it is",
        ),
        Port::new("centroids", &[Form::Matrix], "the mean of each cluster, after scaling"),
    ];

    fn check(&self, problems: &mut Problems) {
        problems.at_least("clusters", self.clusters, 1);
        problems.at_least("runs", self.runs, 1);
        problems.at_least("max_iterations", self.max_iterations, 1);
        problems.within("tolerance", self.tolerance, 0.0, f64::INFINITY);
    }

    fn foresee(&self, inputs: &Foresight, _root: &Path, problems: &mut Problems) -> Foresight {
        level::foresee(inputs, &["features"], self.at.as_deref(), problems);
        let images = inputs.get("features").and_then(|features| features.rows);
        if let Some(images) = images
            && self.clusters > images
        {
            let message = format!("{images} images cannot be divided into {} clusters", self.clusters);
            problems.add_with_help("clusters", message, format!("use at most {images}"));
        }
        Foresight::from([("labels", Foreseen::rows(images)), ("centroids", Foreseen::rows(self.clusters))])
    }

    fn metrics() -> Vec<Metric> {
        vec![
            Metric::new("nmi", "normalised mutual information of clusters and classes").higher().explains(),
            Metric::new("ari", "adjusted Rand index of clusters and classes").higher(),
            Metric::new("purity", "share of the images in the most common class of their cluster").fraction().higher(),
            Metric::new("inertia", "sum of squared distances to the centres").lower(),
            Metric::new("cluster_size_cv", "coefficient of variation of the cluster sizes").lower(),
        ]
    }

    fn draw(&self, view: &dyn View) -> Vec<Drawing> {
        drawing::draw(view, self.at.as_deref()).into_iter().collect()
    }

    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let level = Level::read(inputs, "features", self.at.as_deref())?;
        let Self { normalize, clusters, runs, max_iterations, tolerance, balanced, confidence, seed, .. } = *self;
        let kmeans =
            cluster::KMeans { clusters, runs, max_iterations, tolerance, normalize, balanced, confidence, seed };
        let found = kmeans.fit_watched(level.features.view(), &cx.stop(), &mut |run| {
            cx.progress(Progress { done: run as u64, total: runs as u64, unit: "run", ..Progress::default() });
        })?;
        if found.distinct < clusters {
            let distinct = found.distinct;
            cx.warn(format!(
                "there are only {distinct} different feature vectors for {clusters} clusters, so equal images are in \
                 different clusters; use at most {distinct} clusters, or look at whether the network has collapsed"
            ));
        }
        cx.metric("inertia", found.inertia);
        cx.metric("iterations", found.iterations as f64);
        cx.metric("margin", found.margin);
        cx.metric("cluster_size_cv", metric::cluster_size_cv(&metric::cluster_sizes(&found.labels, clusters)));
        let mut labels = Artifact::new()
            .with("labels", Tensor::new(found.labels.as_slice(), &Device::Cpu)?)
            .with("confidence", Tensor::new(found.confidence.as_slice(), &Device::Cpu)?)
            .attribute("clusters", clusters);
        if let Some(truth) = level.known_labels() {
            cx.metric("nmi", metric::normalized_mutual_information(&found.labels, truth));
            cx.metric("ari", metric::adjusted_rand(&found.labels, truth));
            cx.metric("purity", metric::purity(&found.labels, truth));
            labels = labels.with("truth", Tensor::new(truth, &Device::Cpu)?);
        }
        let centroids = Artifact::new().with("centroids", level::tensor(found.centroids.view())?);
        Ok(Outputs::new().with("labels", labels).with("centroids", centroids))
    }
}
