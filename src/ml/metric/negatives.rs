//! False negatives of a contrastive loss: negatives of the image's own class.
//!
//! Rates are over the pairs of distinct positions of a batch, each with the weight that it has as a negative. Two views of
//! each image double positions without changing a rate. Pairs are never listed: their sums follow from those of groups.

use std::collections::BTreeMap;

use super::expected_false_negative_rate;
use crate::ml::loss::PseudoLabels;

/// Weight of negative pairs, and of those of one class among them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FalseNegatives {
    /// Weight of the negatives of the image's own class.
    pub wrong: f64,
    /// Weight of all negatives.
    pub all: f64,
}

impl FalseNegatives {
    /// The negatives among images of these classes, `labels` (of the same images) saying what each pair counts.
    ///
    /// # Panics
    /// If there are fewer labels than classes.
    #[must_use]
    pub fn of(classes: &[u32], labels: Option<&PseudoLabels>) -> Self {
        let ones = || std::iter::repeat(1.0);
        let class = || classes.iter().copied();
        let pairs = |n: usize| (n * n.saturating_sub(1)) as f64;
        let mut found = Self { wrong: equal_pairs(class(), ones()), all: pairs(classes.len()) };
        if let Some(PseudoLabels { labels, confidence }) = labels {
            let label = || labels.iter().copied();
            let both = || label().zip(class());
            let (wrong, all) = match confidence {
                None => (equal_pairs(both(), ones()), equal_pairs(label(), ones())),
                Some(confidence) => {
                    let sure = || confidence.iter().map(|&c| f64::from(c));
                    (equal_pairs(both(), sure()), equal_pairs(label(), sure()))
                }
            };
            found.wrong -= wrong;
            found.all -= all;
        }
        found
    }

    /// Adds `times` times what another batch has.
    pub fn add(&mut self, other: Self, times: f64) {
        self.wrong += times * other.wrong;
        self.all += times * other.all;
    }

    /// The share of false negatives; 0 where there are none at all.
    #[must_use]
    pub fn rate(self) -> f64 {
        if self.all > 0.0 { (self.wrong / self.all).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// Sum of `a_i a_j` over the ordered pairs of distinct places with equal keys.
fn equal_pairs<K: Ord>(keys: impl Iterator<Item = K>, values: impl Iterator<Item = f64>) -> f64 {
    let mut groups = BTreeMap::<K, (f64, f64)>::new();
    for (key, value) in keys.zip(values) {
        let (sum, squares) = groups.entry(key).or_default();
        *sum += value;
        *squares += value * value;
    }
    groups.values().map(|(sum, squares)| sum * sum - squares).sum()
}

/// The rate that batches drawn from these images have by expectation.
///
/// With certain labels it is the closed form (p - s q) / (1 - s): s = sum of squared cluster shares, p = sum of squared
/// class frequencies, q = P(same class | same cluster). With none or uncertain ones it is the same of all pairs of
/// different images: their weight with equal classes over their weight.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn expected_negatives_rate(classes: &[u32], labels: Option<&PseudoLabels>) -> f64 {
    match labels {
        Some(PseudoLabels { labels, confidence: None }) => expected_false_negative_rate(labels, classes, None),
        _ => FalseNegatives::of(classes, labels).rate(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::{
        cluster::KMeans,
        metric::{cluster_size_cv, cluster_sizes, false_negative_rate, masked_false_negative_rate},
        rng::Stream,
        sampler::{Policy, draw},
    };

    #[test]
    fn sums_of_groups_are_sums_over_pairs() {
        let mut stream = Stream::new(2, "pairs");
        let mut draw = |below: usize| -> Vec<u32> { (0..60).map(|_| stream.below(below) as u32).collect() };
        let (labels, classes, confidence) = (draw(7), draw(4), draw(100));
        let confidence: Vec<f32> = confidence.iter().map(|&c| c as f32 / 99.0).collect();
        let batch: Vec<u32> = (0..60).collect();
        let plain = FalseNegatives::of(&classes, None).rate();
        assert!((plain - false_negative_rate(&batch, 60, &classes)).abs() < 1e-12);
        let certain = PseudoLabels::certain(labels.clone());
        let masked = FalseNegatives::of(&classes, Some(&certain)).rate();
        assert!((masked - masked_false_negative_rate(&batch, 60, &labels, &classes)).abs() < 1e-12);
        assert!((masked - expected_negatives_rate(&classes, Some(&certain))).abs() < 1e-12);
        let unsure = PseudoLabels { labels, confidence: Some(confidence) };
        let (mut wrong, mut all) = (0.0, 0.0);
        for i in 0..60 {
            for j in (0..60).filter(|&j| j != i) {
                let weight = f64::from(unsure.negative(i, j));
                all += weight;
                wrong += if classes[i] == classes[j] { weight } else { 0.0 };
            }
        }
        let found = FalseNegatives::of(&classes, Some(&unsure));
        assert!((found.wrong - wrong).abs() < 1e-3 && (found.all - all).abs() < 1e-3, "{found:?} {wrong} {all}");
    }

    #[test]
    fn one_cluster_leaves_no_negatives() {
        let one = PseudoLabels::certain(vec![0; 4]);
        assert_eq!(FalseNegatives::of(&[0, 0, 1, 1], Some(&one)).rate(), 0.0);
        assert_eq!(expected_negatives_rate(&[0, 0, 1, 1], Some(&one)), 0.0);
    }

    /// Clusters as k-means finds them in features that tell classes apart in part: of unequal sizes.
    #[test]
    fn the_closed_form_holds_for_masks_and_balanced_batches() {
        let mut stream = Stream::new(4, "features");
        let centres: Vec<f32> = (0..10 * 8).map(|_| 1.3 * stream.normal()).collect();
        let images = 8000;
        let classes: Vec<u32> = (0..images).map(|i| i % 10).collect();
        let features: Vec<f32> = classes
            .iter()
            .flat_map(|&class| {
                // Skewed, as features of images are.
                (0..8).map(|d| (0.7 * (centres[class as usize * 8 + d] + stream.normal())).exp()).collect::<Vec<_>>()
            })
            .collect();
        let features = ndarray::Array2::from_shape_vec((images as usize, 8), features).unwrap();
        for clusters in [10, 16, 32, 64, 128, 256] {
            let kmeans = KMeans { clusters, runs: 1, max_iterations: 20, ..KMeans::default() };
            let found = kmeans.fit(features.view()).unwrap();
            let cv = cluster_size_cv(&cluster_sizes(&found.labels, clusters));
            assert!(cv > 0.15, "sizes of {clusters} clusters differ: {cv}");
            let all = expected_negatives_rate(&classes, None);
            let certain = PseudoLabels::certain(found.labels.clone());
            let unsure = PseudoLabels { labels: found.labels.clone(), confidence: Some(found.confidence) };
            for batch_size in [64, 256] {
                let random = draw(&found.labels, Policy::Random, batch_size, 16, 0).unwrap();
                for labels in [None, Some(&certain), Some(&unsure)] {
                    let mut measured = FalseNegatives::default();
                    for batch in random.indices.chunks(batch_size) {
                        let classes: Vec<u32> = batch.iter().map(|&i| classes[i as usize]).collect();
                        let labels = labels.map(|labels| labels.select(batch));
                        measured.add(FalseNegatives::of(&classes, labels.as_ref()), 1.0);
                    }
                    let expected = expected_negatives_rate(&classes, labels);
                    let gap = measured.rate() - expected;
                    assert!(gap.abs() < 1e-3, "k = {clusters}, batches of {batch_size}: {gap}");
                    assert!(labels.is_none() || expected < all, "labels tell: {expected} {all}");
                }
                // Batches of one image a cluster at most hold no pair of one cluster.
                let batch_size = batch_size.min(clusters);
                let balanced = draw(&found.labels, Policy::Balanced, batch_size, 16, 0).unwrap();
                let metrics = balanced.metrics(&found.labels, Some(&classes));
                let (measured, expected) = metrics.false_negative_rate.unwrap();
                assert!((measured - expected).abs() < 1e-3, "balanced, k = {clusters}: {measured} {expected}");
            }
        }
    }
}
