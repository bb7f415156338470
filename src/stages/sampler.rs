//! `sampler`: chooses the images of each batch.

use std::path::Path;

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::checks;
use crate::{
    ml::sampler::{Policy, draw, draw_buffered},
    stage::{
        Context, Drawing, Foreseen, Foresight, Form, Inputs, Metric, Outputs, Port, Problems, Stage, StageError, View,
    },
    store::Artifact,
};

/// Draws the batches of a contrastive training by the labels of the images.
///
/// Given pseudo labels, the true ones are used for diagnosis only. Given images, their true labels take the part of the
/// clusters: the ceiling of the idea.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Sampler {
    /// How images are drawn: `random`, `stratified`, `rank` (the reference: one fixed order) or `balanced`.
    pub policy: Policy,
    /// Images in a batch.
    pub batch_size: usize,
    /// Passes over the images, each with batches of its own; epoch e of a training uses round e modulo their number.
    pub rounds: usize,
    /// Images among which `random` draws the next, in the order of the dataset (`shuffle` of tf.data); 0 means all.
    pub shuffle_buffer: usize,
    /// Seed of the draws.
    pub seed: u64,
}

const NO_LABELS: &str = "the images at the input `labels` have no labels, which this policy needs";

impl Default for Sampler {
    fn default() -> Self {
        Self { policy: Policy::Stratified, batch_size: 64, rounds: 16, shuffle_buffer: 0, seed: 0 }
    }
}

impl Stage for Sampler {
    const KIND: &'static str = "sampler";
    // 2: the expected rate counts the pairs within one cluster that the batches contain.
    const VERSION: u32 = 2;
    const INPUTS: &'static [Port] =
        &[Port::new("labels", &[Form::Labels, Form::Images], "pseudo labels, or images to go by their true labels")];
    const OUTPUTS: &'static [Port] = &[Port::new("batches", &[Form::Batches], "indices of images")];

    fn check(&self, problems: &mut Problems) {
        problems.at_least("batch_size", self.batch_size, 2);
        problems.at_least("rounds", self.rounds, 1);
    }

    fn idle(&self) -> Vec<&'static str> {
        match self.policy {
            Policy::Random => Vec::new(),
            Policy::Rank => vec!["shuffle_buffer", "seed"],
            Policy::Stratified | Policy::Balanced => vec!["shuffle_buffer"],
        }
    }

    fn foresee(&self, inputs: &Foresight, _root: &Path, problems: &mut Problems) -> Foresight {
        let rows = inputs.get("labels").and_then(|labels| labels.rows);
        checks::check_bytes(problems, "rounds", &[4, self.rounds, rows.unwrap_or(1)]);
        if let Some(images) = rows
            && self.batch_size > images
        {
            let message = format!("a batch of {} cannot be drawn from {images} images", self.batch_size);
            problems.add_with_help("batch_size", message, format!("use at most {images}"));
        }
        // The labels of a clustering are there, whether its images have true ones or not.
        let unlabelled = inputs.get("labels").is_some_and(|images| images.labelled == Some(false));
        if unlabelled && self.policy != Policy::Random {
            problems.add_with_help(
                "policy",
                NO_LABELS,
                "use `policy = \"random\"`, or join the input to pseudo labels",
            );
        }
        Foresight::from([("batches", Foreseen::rows(self.rounds))])
    }

    fn metrics() -> Vec<Metric> {
        vec![
            Metric::new("false_negative_rate", "share of an image's negatives that are of its class")
                .fraction()
                .lower()
                .explains(),
            Metric::new("same_cluster_rate", "share of an image's negatives that are of its cluster")
                .fraction()
                .lower()
                .explains(),
            Metric::new("false_negative_rate_expected", "the closed form for batches without two of one cluster")
                .fraction()
                .predicts("false_negative_rate", Some("same_cluster_rate")),
            Metric::new("distinct_clusters", "mean number of clusters in a batch"),
        ]
    }

    fn draw(&self, view: &dyn View) -> Vec<Drawing> {
        let picture = || {
            let batches = view.output("batches")?.tensor("batches").ok()?.to_vec3::<u32>().ok()?;
            let last = batches.first()?.last()?;
            let labels = view.input("labels")?;
            let images = match labels.tensors().get("images") {
                Some(images) => images.clone(),
                None => view.images("labels", labels.tensor("labels").ok()?.dims().first().copied()?)?,
            };
            let shown: Vec<Option<usize>> = last.iter().take(96).map(|&image| Some(image as usize)).collect();
            let caption = "The last batch of the first round.".to_owned();
            let columns = 16.min(shown.len());
            Some(Drawing::Images { title: "a batch".to_owned(), caption, images, shown, columns })
        };
        picture().into_iter().collect()
    }

    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let artifact = inputs.at("labels");
        let read = |name: &str| Ok::<_, StageError>(artifact.tensor(name)?.to_vec1::<u32>()?);
        let present = artifact.tensors();
        // Images without labels can be drawn at random, as if they were of one class.
        let is_unlabelled = present.contains_key("images") && !present.contains_key("labels");
        if is_unlabelled && self.policy != Policy::Random {
            return Err(StageError::failed(NO_LABELS));
        }
        let labels = match present.get("images") {
            Some(images) if is_unlabelled => vec![0; images.dim(images.rank().saturating_sub(4))?],
            _ => read("labels")?,
        };
        let truth = match (present.contains_key("truth"), present.contains_key("images")) {
            (true, _) => Some(read("truth")?),
            (false, true) if !is_unlabelled => Some(labels.clone()),
            _ => None,
        };
        let Self { policy, batch_size, rounds, shuffle_buffer, seed } = *self;
        let drawn = if policy == Policy::Random && shuffle_buffer > 0 {
            draw_buffered(&labels, shuffle_buffer, batch_size, rounds, seed)?
        } else {
            draw(&labels, policy, batch_size, rounds, seed)?
        };
        let metrics = drawn.metrics(&labels, truth.as_deref());
        if !is_unlabelled {
            cx.metric("same_cluster_rate", metrics.same_cluster_rate);
            cx.metric("distinct_clusters", metrics.distinct_clusters);
        }
        if let Some((measured, closed_form)) = metrics.false_negative_rate {
            cx.metric("false_negative_rate", measured);
            cx.metric("false_negative_rate_expected", closed_form);
        }
        let shape = (drawn.rounds, drawn.batches, drawn.batch_size);
        let batches = Artifact::new().with("batches", Tensor::from_vec(drawn.indices, shape, &Device::Cpu)?);
        Ok(Outputs::new().with("batches", batches))
    }
}
