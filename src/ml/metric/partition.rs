//! Agreement of two partitions of the same items, and the evenness of one.

use std::collections::BTreeMap;

/// The number of items in each cluster of either partition, and in each pair of them.
struct Contingency {
    first: Vec<f64>,
    second: Vec<f64>,
    /// Cluster of the first partition, cluster of the second, number of items; only pairs that have items.
    cells: Vec<(usize, usize, f64)>,
    total: f64,
}

impl Contingency {
    fn new(first: &[u32], second: &[u32]) -> Self {
        assert_eq!(first.len(), second.len(), "both partitions label the same items");
        let first_ids = compact(first);
        let second_ids = compact(second);
        let mut cells = BTreeMap::new();
        for (a, b) in first.iter().zip(second) {
            *cells.entry((first_ids[a], second_ids[b])).or_insert(0_u64) += 1;
        }
        let mut table = Self {
            first: vec![0.0; first_ids.len()],
            second: vec![0.0; second_ids.len()],
            cells: cells.into_iter().map(|((a, b), n)| (a, b, n as f64)).collect(),
            total: first.len() as f64,
        };
        for &(a, b, n) in &table.cells {
            table.first[a] += n;
            table.second[b] += n;
        }
        table
    }
}

/// Labels in use, in ascending order, numbered from zero.
fn compact(labels: &[u32]) -> BTreeMap<u32, usize> {
    let mut ids: BTreeMap<u32, usize> = labels.iter().map(|&l| (l, 0)).collect();
    for (index, id) in ids.values_mut().enumerate() {
        *id = index;
    }
    ids
}

fn entropy(counts: &[f64], total: f64) -> f64 {
    counts.iter().filter(|&&n| n > 0.0).map(|n| -(n / total) * (n / total).ln()).sum()
}

/// Normalised mutual information with the arithmetic mean of both entropies: 1 for equal partitions, 0 for
/// independent ones. As `sklearn.metrics.normalized_mutual_info_score`.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn normalized_mutual_information(first: &[u32], second: &[u32]) -> f64 {
    let table = Contingency::new(first, second);
    if table.first.len() <= 1 && table.second.len() <= 1 {
        return 1.0; // two partitions of a single cluster agree
    }
    let n = table.total;
    let mutual: f64 =
        table.cells.iter().map(|&(a, b, c)| c / n * (c * n / (table.first[a] * table.second[b])).ln()).sum();
    let mean = (entropy(&table.first, n) + entropy(&table.second, n)) / 2.0;
    // Rounding may give slightly less than zero or more than one.
    (mutual / mean).clamp(0.0, 1.0)
}

/// Adjusted Rand index (Hubert and Arabie 1985): 1 for equal partitions, 0 expected by chance.
/// As `sklearn.metrics.adjusted_rand_score`.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn adjusted_rand(first: &[u32], second: &[u32]) -> f64 {
    let table = Contingency::new(first, second);
    let pairs = |n: f64| n * (n - 1.0) / 2.0;
    let both: f64 = table.cells.iter().map(|&(.., n)| pairs(n)).sum();
    let in_first: f64 = table.first.iter().copied().map(pairs).sum();
    let in_second: f64 = table.second.iter().copied().map(pairs).sum();
    if both == in_first && both == in_second {
        return 1.0;
    }
    let expected = in_first * in_second / pairs(table.total);
    (both - expected) / ((in_first + in_second) / 2.0 - expected)
}

/// Purity of `clusters`: the fraction of items that belong to the most frequent class of their cluster.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn purity(clusters: &[u32], classes: &[u32]) -> f64 {
    let table = Contingency::new(clusters, classes);
    if table.total == 0.0 {
        return 0.0;
    }
    let mut largest = vec![0.0_f64; table.first.len()];
    for &(cluster, _, n) in &table.cells {
        largest[cluster] = largest[cluster].max(n);
    }
    largest.iter().sum::<f64>() / table.total
}

/// Items in each of `clusters` clusters.
///
/// # Panics
/// If a label is not below `clusters`.
#[must_use]
pub fn cluster_sizes(labels: &[u32], clusters: usize) -> Vec<u64> {
    let mut sizes = vec![0; clusters];
    for &label in labels {
        sizes[label as usize] += 1;
    }
    sizes
}

/// Coefficient of variation of cluster sizes: population standard deviation over mean. Zero when all are equal.
#[must_use]
pub fn cluster_size_cv(sizes: &[u64]) -> f64 {
    let total: u64 = sizes.iter().sum();
    if total == 0 {
        return 0.0;
    }
    let mean = total as f64 / sizes.len() as f64;
    let variance = sizes.iter().map(|&n| (n as f64 - mean).powi(2)).sum::<f64>() / sizes.len() as f64;
    variance.sqrt() / mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_partitions_agree_whatever_their_names() {
        let first = [0, 0, 1, 1, 2, 2, 2];
        let renamed = [9, 9, 4_000_000_000, 4_000_000_000, 5, 5, 5];
        assert!((normalized_mutual_information(&first, &renamed) - 1.0).abs() < 1e-12);
        assert_eq!(adjusted_rand(&first, &renamed), 1.0);
        assert_eq!(purity(&first, &renamed), 1.0);
    }

    #[test]
    fn one_cluster_says_nothing_about_two() {
        assert_eq!(normalized_mutual_information(&[0; 4], &[0, 0, 1, 1]), 0.0);
        assert_eq!(adjusted_rand(&[0; 4], &[0, 0, 1, 1]), 0.0);
        assert_eq!(purity(&[0; 4], &[0, 0, 1, 1]), 0.5);
    }

    #[test]
    fn size_cv() {
        assert_eq!(cluster_size_cv(&cluster_sizes(&[0, 1, 2, 0, 1, 2], 3)), 0.0);
        assert!((cluster_size_cv(&[1, 3]) - 0.5).abs() < 1e-12);
    }
}
