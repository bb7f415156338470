//! What batches hold: pairs of one cluster, and pairs of one class, which contrastive losses wrongly push apart.
//!
//! All rates are over pairs of distinct positions of one batch, every batch and pair with equal weight. Two views
//! of each image double positions without changing a rate.

use std::collections::BTreeMap;

/// Pairs considered, and how many of them have the property.
#[derive(Default)]
struct PairRate {
    hits: u64,
    pairs: u64,
}

impl PairRate {
    /// 0 where there are no pairs.
    fn rate(self) -> f64 {
        if self.pairs == 0 { 0.0 } else { self.hits as f64 / self.pairs as f64 }
    }
}

/// Sum over the groups of `keys` of n (n - 1): ordered pairs with equal keys.
fn equal_pairs<K: Ord>(keys: impl Iterator<Item = K>) -> u64 {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_insert(0_u64) += 1;
    }
    counts.values().map(|n| n * (n - 1)).sum()
}

/// The fraction of pairs within a batch that share a cluster. `batches` holds image indices, `batch_size` to a batch.
///
/// # Panics
/// If `batch_size` is zero or an index is out of range.
#[must_use]
pub fn same_cluster_rate(batches: &[u32], batch_size: usize, clusters: &[u32]) -> f64 {
    let mut found = PairRate::default();
    for batch in batches.chunks_exact(batch_size) {
        found.hits += equal_pairs(batch.iter().map(|&i| clusters[i as usize]));
        found.pairs += (batch_size * (batch_size - 1)) as u64;
    }
    found.rate()
}

/// The fraction of pairs within a batch that share a class, and so are false negatives of a contrastive loss.
///
/// # Panics
/// If `batch_size` is zero or an index is out of range.
#[must_use]
pub fn false_negative_rate(batches: &[u32], batch_size: usize, classes: &[u32]) -> f64 {
    same_cluster_rate(batches, batch_size, classes)
}

/// The fraction of the pairs left as negatives that share a class, where pairs of one cluster are masked out.
///
/// # Panics
/// If `batch_size` is zero or an index is out of range.
#[must_use]
pub fn masked_false_negative_rate(batches: &[u32], batch_size: usize, clusters: &[u32], classes: &[u32]) -> f64 {
    let mut found = PairRate::default();
    for batch in batches.chunks_exact(batch_size) {
        let same_class = equal_pairs(batch.iter().map(|&i| classes[i as usize]));
        let same_both = equal_pairs(batch.iter().map(|&i| (clusters[i as usize], classes[i as usize])));
        let same_cluster = equal_pairs(batch.iter().map(|&i| clusters[i as usize]));
        found.hits += same_class - same_both;
        found.pairs += (batch_size * (batch_size - 1)) as u64 - same_cluster;
    }
    found.rate()
}

/// The false-negative rate of a batch without pairs of one cluster, in closed form: (p - s q) / (1 - s).
///
/// With w_j the share of a batch that cluster j has, s = sum of w_j squared, p = sum of squared class frequencies, and
/// q = P(same class | same cluster). `shares` gives w (it need not sum to 1); without it, w_j = n_j / n, as in batches
/// that draw clusters by their size. Then the form is exact for every pair of images of different clusters. 0 with a
/// single cluster, whose batches have no such pair.
///
/// # Panics
/// If the lengths differ, or a cluster is not an index into `shares`.
#[must_use]
pub fn expected_false_negative_rate(clusters: &[u32], classes: &[u32], shares: Option<&[f64]>) -> f64 {
    closed_form(clusters, classes, shares).0
}

/// The same for a batch of whose pairs the share `same_cluster` is of one cluster: those share a class with chance q.
///
/// # Panics
/// As [`expected_false_negative_rate`].
#[must_use]
pub fn expected_rate_with_pairs(clusters: &[u32], classes: &[u32], shares: Option<&[f64]>, same_cluster: f64) -> f64 {
    let (apart, together) = closed_form(clusters, classes, shares);
    same_cluster * together + (1.0 - same_cluster) * apart
}

/// P(same class | other cluster) and P(same class | same cluster).
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

    #[test]
    fn pairs_counted_by_hand() {
        let clusters = [0, 0, 1, 1];
        let classes = [0, 1, 1, 1];
        let batches = [0, 1, 2, 3];
        // Of 6 pairs, {0,1} and {2,3} share a cluster; {1,2}, {1,3}, {2,3} share a class.
        assert_eq!(same_cluster_rate(&batches, 4, &clusters), 2.0 / 6.0);
        assert_eq!(false_negative_rate(&batches, 4, &classes), 3.0 / 6.0);
        assert_eq!(masked_false_negative_rate(&batches, 4, &clusters, &classes), 2.0 / 4.0);
        assert_eq!(distinct_clusters(&batches, 2, &clusters), 1.0);
        assert_eq!(distinct_clusters(&[0, 2, 1, 0], 2, &clusters), 1.5);
    }

    #[test]
    fn the_closed_form_counts_every_pair_of_different_clusters() {
        let clusters = [0, 0, 1, 1, 2, 2, 2];
        let classes = [0, 1, 1, 1, 0, 0, 1];
        let all: Vec<u32> = (0..7).collect();
        let counted = masked_false_negative_rate(&all, 7, &clusters, &classes);
        assert!((expected_false_negative_rate(&clusters, &classes, None) - counted).abs() < 1e-12);
        // Uniform shares: each pair of clusters counts alike. P(same class): 0-1: 1/2; 0-2: 1/2; 1-2: 1/3.
        let uniform = expected_false_negative_rate(&clusters, &classes, Some(&[1.0; 3]));
        assert!((uniform - (0.5 + 0.5 + 1.0 / 3.0) / 3.0).abs() < 1e-12);
    }
}
