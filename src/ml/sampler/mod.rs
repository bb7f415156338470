//! Draws batches of images, at random or by their cluster. Read `dealer`, then `shuffle_buffer`.

mod dealer;
mod shuffle_buffer;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use dealer::{Dealer, capped_shares};

use super::{
    Error, Result,
    metric::{cluster_sizes, distinct_clusters, expected_rate_with_pairs, same_label_rate},
    rng::Stream,
};

pub use shuffle_buffer::draw_buffered;

/// How batches are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// From all images alike, whatever their cluster.
    Random,
    /// Every batch holds each cluster in proportion to its size, and each image comes once a round at most.
    #[default]
    Stratified,
    /// The reference: one fixed order by (rank inside the cluster, cluster), cut into batches; the rest is never seen.
    Rank,
    /// As few pairs of one cluster as can be: batch size / clusters images of each, rounded up, at most. Small clusters repeat.
    Balanced,
}

/// Batches of image indices.
#[derive(Clone, Debug, PartialEq)]
pub struct Batches {
    /// Image indices, row-major `[rounds, batches, batch_size]`.
    pub indices: Vec<u32>,
    /// Number of passes over the images, each with batches of its own.
    pub rounds: usize,
    /// Batches in a round: images / `batch_size`, rounded down.
    pub batches: usize,
    /// Images in a batch.
    pub batch_size: usize,
    /// The expected share of each cluster in a batch; the sum is 1.
    pub shares: Vec<f64>,
}

/// Measures of batches. Rates are over the pairs within a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchMetrics {
    /// Fraction of pairs that share a cluster.
    pub same_cluster_rate: f64,
    /// Mean number of clusters in a batch.
    pub distinct_clusters: f64,
    /// If classes are known: the fraction of pairs that share a true class, and the value of the closed form (p - s q)
    /// / (1 - s) for batches of the same shares without pairs of one cluster.
    pub false_negative_rate: Option<(f64, f64)>,
}

/// Draws `rounds` rounds of batches from images of these cluster labels.
///
/// The images that do not fill a batch differ between rounds, except with `rank`: images that a round left out come
/// first in the next round.
///
/// # Errors
/// [`Error::Invalid`] if a batch or the number of rounds is zero, or a batch is larger than the number of images.
pub fn draw(labels: &[u32], policy: Policy, batch_size: usize, rounds: usize, seed: u64) -> Result<Batches> {
    let images = labels.len();
    if batch_size == 0 || rounds == 0 {
        return Err(Error::Invalid("batches need at least one image and one round".into()));
    }
    if batch_size > images {
        return Err(Error::Invalid(format!(
            "a batch of {batch_size} cannot be drawn from {images} images; use a batch size of at most {images}"
        )));
    }
    let batches = images / batch_size;
    let clusters = labels.iter().max().map_or(0, |&l| l as usize + 1);
    let sizes = cluster_sizes(labels, clusters);
    let proportional: Vec<f64> = sizes.iter().map(|&n| n as f64 / images as f64).collect();
    let stream = Stream::new(seed, "sampler");
    let (indices, shares) = match policy {
        Policy::Rank => (rank_order(labels)[..batches * batch_size].repeat(rounds), proportional),
        Policy::Random => {
            let one_group = vec![0; images];
            (Dealer::new(&one_group, &[1.0], &stream).rounds(rounds, batches, batch_size), proportional)
        }
        Policy::Stratified => {
            let drawn = Dealer::new(labels, &proportional, &stream).rounds(rounds, batches, batch_size);
            (drawn, proportional)
        }
        Policy::Balanced => {
            let shares = capped_shares(&sizes, batch_size);
            (Dealer::new(labels, &shares, &stream).rounds(rounds, batches, batch_size), shares)
        }
    };
    Ok(Batches { indices, rounds, batches, batch_size, shares })
}

impl Batches {
    /// Measures the batches by the cluster of every image and, if it is known, its class.
    ///
    /// # Panics
    /// If a label is missing.
    #[must_use]
    pub fn metrics(&self, clusters: &[u32], classes: Option<&[u32]>) -> BatchMetrics {
        let same_cluster_rate = same_label_rate(&self.indices, self.batch_size, clusters);
        BatchMetrics {
            same_cluster_rate,
            distinct_clusters: distinct_clusters(&self.indices, self.batch_size, clusters),
            false_negative_rate: classes.map(|classes| {
                (
                    same_label_rate(&self.indices, self.batch_size, classes),
                    expected_rate_with_pairs(clusters, classes, Some(&self.shares), same_cluster_rate),
                )
            }),
        }
    }
}

/// All images by (rank inside the cluster, cluster); the rank follows the index.
fn rank_order(labels: &[u32]) -> Vec<u32> {
    let mut seen = std::collections::BTreeMap::<u32, u32>::new();
    let mut order: Vec<(u32, u32, u32)> = Vec::with_capacity(labels.len());
    for (index, &label) in labels.iter().enumerate() {
        let rank = seen.entry(label).or_default();
        order.push((*rank, label, index as u32));
        *rank += 1;
    }
    order.sort_unstable();
    order.into_iter().map(|(.., index)| index).collect()
}

#[cfg(test)]
mod tests;
