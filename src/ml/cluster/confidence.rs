//! The confidence of the labels that k-means gives.

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lloyd::distances;

/// What the confidence of a label is, from the margin of its point: 1 less the distance to the own centroid over that to
/// the nearest other one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The share of images whose margin is no larger. Margins shrink as dimensions grow; their order keeps its meaning.
    #[default]
    Rank,
    /// The margin itself.
    Margin,
}

impl Confidence {
    /// The confidence of each margin, in [0, 1]; a margin of 0 has confidence 0.
    pub(super) fn of(self, margins: Vec<f32>) -> Vec<f32> {
        if self == Self::Margin {
            return margins;
        }
        let mut sorted = margins.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        let share = |margin: f32| sorted.partition_point(|&other| other <= margin) as f32 / sorted.len() as f32;
        margins.into_iter().map(|margin| if margin > 0.0 { share(margin) } else { 0.0 }).collect()
    }
}

/// Points whose distances are in memory at a time.
const CHUNK: usize = 4096;

/// The margin of every point of `points` `[N, D]`: 1 less its distance to its own centroid over that to the nearest
/// other one, in [0, 1].
///
/// The margin is 1 for a point on its centroid, and where there is no other centroid. It is 0 on the border of two
/// clusters, and for a point that is nearer to another cluster than to its own, as clusters of equal size have some. It
/// needs no scale or temperature.
pub(super) fn margins(points: ArrayView2<'_, f32>, labels: &[u32], centroids: ArrayView2<'_, f32>) -> Vec<f32> {
    let mut margins = Vec::with_capacity(labels.len());
    for (points, labels) in points.axis_chunks_iter(Axis(0), CHUNK).zip(labels.chunks(CHUNK)) {
        let squared = distances(points, centroids);
        margins.par_extend(labels.par_iter().enumerate().map(|(row, &label)| {
            let row = squared.row(row);
            let own = row[label as usize].max(0.0);
            let others = row.iter().enumerate().filter(|&(cluster, _)| cluster != label as usize);
            let other = others.map(|(_, &squared)| squared.max(0.0)).fold(f32::INFINITY, f32::min);
            if own >= other { 0.0 } else { 1.0 - (own / other).sqrt() }
        }));
    }
    margins
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn margins_by_hand() {
        let centroids = array![[0.0, 0.0], [4.0, 0.0], [0.0, 90.0]];
        let points = array![[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [0.0, 89.0]];
        let margins = margins(points.view(), &[0, 0, 0, 0, 2], centroids.view());
        for (got, want) in margins.iter().zip([1.0, 1.0 - 1.0 / 3.0, 0.0, 0.0, 1.0 - 1.0 / 89.0]) {
            assert!((got - want).abs() < 1e-3, "{margins:?}");
        }
    }

    #[test]
    fn ranks_are_shares_of_smaller_margins() {
        assert_eq!(Confidence::Rank.of(vec![0.3, 0.0, 0.1, 0.3, 0.0]), [1.0, 0.0, 0.6, 1.0, 0.0]);
        assert_eq!(Confidence::Rank.of(vec![1.0; 3]), [1.0; 3]);
        assert_eq!(Confidence::Margin.of(vec![0.3, 0.0]), [0.3, 0.0]);
    }

    #[test]
    fn one_cluster_is_certain_and_coinciding_ones_are_not() {
        let points = array![[1.0, 2.0], [3.0, 4.0]];
        assert_eq!(margins(points.view(), &[0, 0], array![[2.0, 3.0]].view()), [1.0, 1.0]);
        assert_eq!(margins(points.view(), &[0, 1], array![[2.0, 3.0], [2.0, 3.0]].view()), [0.0, 0.0]);
    }
}
