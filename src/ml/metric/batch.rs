//! Measures of batches: pairs of one cluster, and pairs of one class, which contrastive losses wrongly push apart.
//!
//! All rates are over pairs of distinct positions of one batch. Every batch and pair has equal weight. A second view of
//! each image does not change a rate.

use std::collections::BTreeMap;

use super::FalseNegatives;
use crate::ml::loss::PseudoLabels;

/// The fraction of pairs within a batch that share a label. If the labels are classes, it is the rate of false
/// negatives. `batches` holds image indices, `batch_size` for each batch.
///
/// # Panics
/// If `batch_size` is zero or an index is out of range.
#[must_use]
pub fn same_label_rate(batches: &[u32], batch_size: usize, labels: &[u32]) -> f64 {
    let mut found = FalseNegatives::default();
    for batch in batches.chunks_exact(batch_size) {
        let labels: Vec<u32> = batch.iter().map(|&i| labels[i as usize]).collect();
        found.add(FalseNegatives::of(&labels, None), 1.0);
    }
    found.rate()
}

/// The false-negative rate of a batch without pairs of one cluster, in closed form: (p - s q) / (1 - s).
///
/// With w_j the share of a batch that cluster j has, s = sum of w_j squared, p = sum of squared class frequencies, and
/// q = P(same class | same cluster). `shares` gives w (it need not sum to 1); without it, w_j = n_j / n, as in batches
/// that draw clusters by their size. Then the closed form is exact for every pair of images of different clusters. It
/// is 0 for a single cluster, whose batches have no such pair.
///
/// # Panics
/// If the lengths differ, or a cluster is not an index into `shares`.
#[must_use]
pub fn expected_false_negative_rate(clusters: &[u32], classes: &[u32], shares: Option<&[f64]>) -> f64 {
    closed_form(clusters, classes, shares).0
}

/// The same for a batch in which the share `same_cluster` of the pairs is of one cluster. Those pairs share a class
/// with probability q.
///
/// # Panics
/// As [`expected_false_negative_rate`].
#[must_use]
pub fn expected_rate_with_pairs(clusters: &[u32], classes: &[u32], shares: Option<&[f64]>, same_cluster: f64) -> f64 {
    let (apart, together) = closed_form(clusters, classes, shares);
    same_cluster * together + (1.0 - same_cluster) * apart
}

/// The expected rate of batches that are drawn from these images.
///
/// With certain labels it is the closed form (p - s q) / (1 - s): s = sum of squared cluster shares, p = sum of squared
/// class frequencies, q = P(same class | same cluster). Without labels, or with uncertain ones, it is the weight of all
/// pairs of different images with equal classes divided by the weight of all pairs of different images.
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

/// P(same class | different cluster) and P(same class | same cluster).
fn closed_form(clusters: &[u32], classes: &[u32], shares: Option<&[f64]>) -> (f64, f64) {
    assert_eq!(clusters.len(), classes.len(), "clusters and classes label the same images");
    let mut sizes = BTreeMap::<u32, f64>::new();
    let mut cells = BTreeMap::<(u32, u32), f64>::new();
    for (&cluster, &class) in clusters.iter().zip(classes) {
        *sizes.entry(cluster).or_default() += 1.0;
        *cells.entry((cluster, class)).or_default() += 1.0;
    }
    let weight = |cluster: u32| shares.map_or(sizes[&cluster], |w| w[cluster as usize]);
    let total: f64 = sizes.keys().map(|&j| weight(j)).sum();
    let s: f64 = sizes.keys().map(|&j| (weight(j) / total).powi(2)).sum();
    let mut frequency = BTreeMap::<u32, f64>::new();
    let mut sq = 0.0;
    for (&(cluster, class), n) in &cells {
        let share = weight(cluster) / total * n / sizes[&cluster];
        *frequency.entry(class).or_default() += share;
        sq += share * share;
    }
    let p: f64 = frequency.values().map(|f| f * f).sum();
    (if sizes.len() < 2 { 0.0 } else { (p - sq) / (1.0 - s) }, if s > 0.0 { sq / s } else { 0.0 })
}

/// The mean number of distinct clusters in a batch.
///
/// # Panics
/// If `batch_size` is zero or an index is out of range.
#[must_use]
pub fn distinct_clusters(batches: &[u32], batch_size: usize, clusters: &[u32]) -> f64 {
    let mut distinct = 0;
    let mut count = 0;
    for batch in batches.chunks_exact(batch_size) {
        let mut present: Vec<u32> = batch.iter().map(|&i| clusters[i as usize]).collect();
        present.sort_unstable();
        present.dedup();
        distinct += present.len();
        count += 1;
    }
    if count == 0 { 0.0 } else { distinct as f64 / f64::from(count) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::{
        cluster::KMeans,
        metric::{cluster_size_cv, cluster_sizes},
        rng::Stream,
        sampler::{Policy, draw},
    };

    #[test]
    fn pairs_counted_by_hand() {
        let clusters = [0, 0, 1, 1];
        let classes = [0, 1, 1, 1];
        let batches = [0, 1, 2, 3];
        // Of 6 pairs, {0,1} and {2,3} share a cluster; {1,2}, {1,3}, {2,3} share a class.
        assert_eq!(same_label_rate(&batches, 4, &clusters), 2.0 / 6.0);
        assert_eq!(same_label_rate(&batches, 4, &classes), 3.0 / 6.0);
        let masked = PseudoLabels::certain(clusters.to_vec());
        assert_eq!(FalseNegatives::of(&classes, Some(&masked)).rate(), 2.0 / 4.0);
        assert_eq!(distinct_clusters(&batches, 2, &clusters), 1.0);
        assert_eq!(distinct_clusters(&[0, 2, 1, 0], 2, &clusters), 1.5);
    }

    #[test]
    fn the_closed_form_counts_every_pair_of_different_clusters() {
        let clusters = [0, 0, 1, 1, 2, 2, 2];
        let classes = [0, 1, 1, 1, 0, 0, 1];
        let masked = PseudoLabels::certain(clusters.to_vec());
        let counted = FalseNegatives::of(&classes, Some(&masked)).rate();
        assert!((expected_negatives_rate(&classes, Some(&masked)) - counted).abs() < 1e-12);
        // Uniform shares: each pair of clusters counts alike. P(same class): 0-1: 1/2; 0-2: 1/2; 1-2: 1/3.
        let uniform = expected_false_negative_rate(&clusters, &classes, Some(&[1.0; 3]));
        assert!((uniform - (0.5 + 0.5 + 1.0 / 3.0) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn one_cluster_leaves_nothing_to_expect() {
        assert_eq!(expected_negatives_rate(&[0, 0, 1, 1], Some(&PseudoLabels::certain(vec![0; 4]))), 0.0);
    }

    /// Clusters as k-means finds them in features that distinguish classes in part: their sizes are unequal.
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
                // Batches with at most one image of a cluster have no pair of one cluster.
                let batch_size = batch_size.min(clusters);
                let balanced = draw(&found.labels, Policy::Balanced, batch_size, 16, 0).unwrap();
                let metrics = balanced.metrics(&found.labels, Some(&classes));
                let (measured, expected) = metrics.false_negative_rate.unwrap();
                assert!((measured - expected).abs() < 1e-3, "balanced, k = {clusters}: {measured} {expected}");
            }
        }
    }
}
