//! `tsne`: features as a map in the plane.

use std::path::Path;

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{
    images,
    level::{self, Level},
};
use crate::{
    ml::{data::split, features::Normalize, rng::Stream, tsne},
    stage::{
        Context, Drawing, Foreseen, Foresight, Form, Groups, Inputs, Metric, Outputs, Port, Problems, Progress, Stage,
        StageError, View,
    },
    store::Artifact,
};

/// Draws features as a map in the plane on which near images are near (t-SNE), to be looked at.
///
/// The metric `kl_divergence` is what t-SNE minimises; `trustworthiness` says how far the five nearest images on the map are
/// near in truth, at most 1; it is NaN where it is not defined, for at most 8 images and where all images are equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tsne {
    /// The level of the features: `latent`, `p1`, …; by default the only one there is.
    pub at: Option<String>,
    /// Scaling of the features: `none`, `l2` (each image to length 1) or `standardize` (each column to deviation 1).
    pub normalize: Normalize,
    /// Principal components that distances are taken in; 0 takes all columns.
    pub pca: usize,
    /// Most images; of more, so many are drawn, each class by its share.
    pub limit: usize,
    /// How many neighbours an image has, in effect, from 1; of few images at most a third.
    pub perplexity: f64,
    /// Steps of the gradient descent.
    pub iterations: usize,
    /// Factor of the attraction in the first quarter of the steps, and in the first 250 at most; at least 1.
    pub exaggeration: f64,
    /// Seed of the draw, and of a little noise in the initial map.
    pub seed: u64,
}

impl Default for Tsne {
    fn default() -> Self {
        let tsne::Tsne { perplexity, iterations, exaggeration, normalize, pca, seed } = tsne::Tsne::default();
        Self { at: None, normalize, pca, limit: 5000, perplexity, iterations, exaggeration, seed }
    }
}

impl Stage for Tsne {
    const KIND: &'static str = "tsne";
    const VERSION: u32 = 1;
    const INPUTS: &'static [Port] = &[Port::new("features", &[Form::Features], "what to draw")];
    const OUTPUTS: &'static [Port] = &[Port::new(
        "map",
        &[Form::Matrix],
        "`points` [N, 2], the `indices` [N] of their images among the features, and the true `labels` [N], if there are any",
    )];

    fn check(&self, problems: &mut Problems) {
        problems.at_least("limit", self.limit, 1);
        problems.at_least("iterations", self.iterations, 1);
        problems.within("perplexity", self.perplexity, 1.0, 1e6);
        problems.within("exaggeration", self.exaggeration, 1.0, 1e6);
    }

    fn foresee(&self, inputs: &Foresight, _root: &Path, problems: &mut Problems) -> Foresight {
        level::foresee(inputs, &["features"], self.at.as_deref(), problems);
        let Some(images) = inputs.get("features").and_then(|features| features.rows) else { return Foresight::new() };
        let images = images.min(self.limit);
        let least = tsne::Tsne::least_images(1.0);
        if images < least {
            problems.add("limit", format!("a map needs {least} images, there are {images}"));
        }
        Foresight::from([("map", Foreseen::rows(images))])
    }

    fn metrics() -> Vec<Metric> {
        vec![
            Metric::new("trustworthiness", "how far neighbours in the map are neighbours in the features").higher(),
            Metric::new("kl_divergence", "divergence of the map's similarities from those of the features").lower(),
        ]
    }

    fn draw(&self, view: &dyn View) -> Vec<Drawing> {
        map(view).into_iter().collect()
    }

    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let level = Level::read(inputs, "features", self.at.as_deref())?;
        let indices = split::stratified(&level.labels, self.limit, &Stream::new(self.seed, "tsne/limit"));
        let drawn = level.rows(&indices);
        let Self { perplexity, iterations, exaggeration, normalize, pca, seed, .. } = *self;
        // A small trial of a large experiment should not fail because of its picture.
        let perplexity = perplexity.min((indices.len().saturating_sub(1) / 3).max(1) as f64);
        cx.metric("perplexity", perplexity);
        let tsne = tsne::Tsne { perplexity, iterations, exaggeration, normalize, pca, seed };
        let found = tsne.fit_watched(drawn.features.view(), &cx.stop(), &mut |done| {
            cx.progress(Progress {
                done: done as u64,
                total: iterations as u64,
                unit: "iteration",
                ..Progress::default()
            });
        })?;
        cx.metric("kl_divergence", found.kl_divergence);
        cx.metric("trustworthiness", found.trustworthiness);
        let map = Artifact::new()
            .with("points", level::tensor(found.points.view())?)
            .with("indices", Tensor::new(indices.as_slice(), &Device::Cpu)?)
            .attribute("at", level.name.as_str());
        let map = match drawn.known_labels() {
            Some(labels) => {
                let (_, classes) = images::labels(inputs.at("features"), level.labels.len())?;
                map.with("labels", Tensor::new(labels, &Device::Cpu)?).attribute("classes", classes)
            }
            None => map,
        };
        Ok(Outputs::new().with("map", map))
    }
}

/// The map, coloured by class and by the labels that other stages gave to the same images.
fn map(view: &dyn View) -> Option<Drawing> {
    let artifact = view.output("map")?;
    let points = artifact.tensor("points").ok()?.to_vec2::<f32>().ok()?;
    // Digits finer than a pixel of the screen would only make the page larger.
    let rounded = |value: f32| (f64::from(value) * 1e3).round() / 1e3;
    let points: Vec<(f64, f64)> = points.iter().map(|point| (rounded(point[0]), rounded(point[1]))).collect();
    let indices: Vec<u32> = artifact.tensor("indices").ok()?.to_vec1().ok()?;
    let own: Vec<usize> = indices.into_iter().map(|index| index as usize).collect();
    // Images without labels have no colours by class.
    let class = || {
        let of = artifact.tensor("labels").ok()?.to_vec1().ok()?;
        Some(Groups { by: "class".to_owned(), of, names: artifact.get("classes").ok()? })
    };
    let features = view.input("features");
    let all = features.as_ref().and_then(|features| features.tensors().values().next()?.dims().first().copied());
    let count = all.unwrap_or(points.len());
    let cluster = view.labels("features", count).map(|(name, labels)| Groups {
        by: format!("cluster of {name}"),
        of: own.iter().map(|&image| labels[image]).collect(),
        names: Vec::new(),
    });
    Some(Drawing::Map {
        caption: "t-SNE: near points are alike, distances between groups mean little. The image is under the pointer."
            .to_owned(),
        points,
        groups: class().into_iter().chain(cluster).collect(),
        images: view.images("features", count).map(|images| (images, own)),
    })
}
