//! False negatives of a contrastive loss: negatives that have the class of the image itself.
//!
//! Rates are over the pairs of distinct positions of a batch, each with its weight as a negative. A second view of each
//! image does not change a rate. Pairs are never listed, because their sums follow from the sums of groups.

use std::collections::BTreeMap;

use crate::ml::loss::PseudoLabels;

/// The weight of negative pairs, and of the false ones among them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FalseNegatives {
    /// Weight of the negatives of the image's own class.
    pub wrong: f64,
    /// Weight of all negatives.
    pub all: f64,
}

impl FalseNegatives {
    /// The negatives among images of these classes. `labels` of the same images give the weight of each pair.
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

    /// Adds `times` times the weights of another batch.
    pub fn add(&mut self, other: Self, times: f64) {
        self.wrong += times * other.wrong;
        self.all += times * other.all;
    }

    /// The share of false negatives; 0 if there are no negatives.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::rng::Stream;

    #[test]
    fn sums_of_groups_are_sums_over_pairs() {
        let mut stream = Stream::new(2, "pairs");
        let mut draw = |below: usize| -> Vec<u32> { (0..60).map(|_| stream.below(below) as u32).collect() };
        let (labels, classes, confidence) = (draw(7), draw(4), draw(100));
        let confidence: Vec<f32> = confidence.iter().map(|&c| c as f32 / 99.0).collect();
        let certain = PseudoLabels::certain(labels.clone());
        let unsure = PseudoLabels { labels, confidence: Some(confidence) };
        for labels in [None, Some(&certain), Some(&unsure)] {
            let (mut wrong, mut all) = (0.0, 0.0);
            for i in 0..60 {
                for j in (0..60).filter(|&j| j != i) {
                    let weight = labels.map_or(1.0, |labels| f64::from(labels.negative(i, j)));
                    all += weight;
                    wrong += if classes[i] == classes[j] { weight } else { 0.0 };
                }
            }
            let found = FalseNegatives::of(&classes, labels);
            assert!((found.wrong - wrong).abs() < 1e-3 && (found.all - all).abs() < 1e-3, "{found:?} {wrong} {all}");
        }
    }

    #[test]
    fn one_cluster_leaves_no_negatives() {
        let one = PseudoLabels::certain(vec![0; 4]);
        assert_eq!(FalseNegatives::of(&[0, 0, 1, 1], Some(&one)).rate(), 0.0);
    }
}
