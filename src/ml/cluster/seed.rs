//! The starting centroids of k-means: linfa's k-means++ on a sample draws the first ones, more are drawn in the same
//! way, and a local search improves them.

use linfa::{DatasetBase, traits::Fit};
use linfa_clustering::{KMeans as LinfaKMeans, KMeansInit};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

use super::lloyd::distances;
use crate::ml::{
    Error, Result,
    rng::Stream,
    stop::{Stop, proceed},
};

/// The number of centroids that linfa draws. It measures every distance again for each of them, so its time grows with
/// the square of their number.
const FROM_LINFA: usize = 64;
/// Points for each centroid in the sample that linfa sees.
const LINFA_POINTS: usize = 32;
/// Points for each centroid in the sample of the local search, and the least size of that sample. The sample is large
/// because a search on 4,096 of 50,000 points ended 0.03 % above scikit-learn, which uses all points, and because the
/// search costs little compared with Lloyd's iterations.
const SEARCH_POINTS: usize = 64;
const SEARCH_LEAST: usize = 65_536;
/// Swaps tried for each centroid.
const SWAPS: usize = 4;

/// `clusters` starting centroids for `points`.
///
/// k-means++ (Arthur and Vassilvitskii 2007) misses some groups when there are many; the swaps of Lattanzi and Sohler
/// ("A better k-means++ algorithm via local search", 2019) find them.
pub(super) fn centroids(
    points: ArrayView2<'_, f32>,
    clusters: usize,
    stream: &Stream,
    stop: Stop<'_>,
) -> Result<Array2<f32>> {
    let order = stream.at(0).permutation(points.nrows());
    let take = |count: usize| -> Array2<f32> {
        let chosen: Vec<usize> = order.iter().take(count).map(|&i| i as usize).collect();
        points.select(Axis(0), &chosen)
    };
    let first = clusters.min(FROM_LINFA);
    let drawn = from_linfa(take(first * LINFA_POINTS), first)?;
    let sample = take((clusters * SEARCH_POINTS).max(SEARCH_LEAST));
    let mut search = Search::new(sample.view(), clusters);
    // linfa has already taken one step. If they start from the points themselves, the search and Lloyd's iterations end
    // lower.
    let distances = distances(sample.view(), drawn.view());
    for column in distances.columns() {
        let nearest = (0..column.len()).min_by(|&a, &b| column[a].total_cmp(&column[b])).unwrap_or(0);
        search.push(sample.row(nearest));
    }
    let mut random = stream.at(1);
    while search.centroids.len() < clusters {
        proceed(stop)?;
        let chosen = search.draw(&mut random);
        search.push(sample.row(chosen));
    }
    for _ in 0..SWAPS * clusters {
        proceed(stop)?;
        let chosen = search.draw(&mut random);
        search.swap(sample.row(chosen));
    }
    Ok(search.into_centroids())
}

/// k-means++ and one iteration by linfa. Its generator is fixed; the order of `sample` is random.
fn from_linfa(sample: Array2<f32>, clusters: usize) -> Result<Array2<f32>> {
    let dataset = DatasetBase::from(sample);
    let params = LinfaKMeans::params(clusters).init_method(KMeansInit::KMeansPlusPlus).n_runs(1).max_n_iterations(1);
    let model = params.fit(&dataset).map_err(|e| Error::Invalid(format!("k-means++: {e}")))?;
    Ok(model.centroids().clone())
}

/// A centroid and the squared distance to it.
#[derive(Clone, Copy)]
struct Near {
    centroid: usize,
    distance: f32,
}

const NOWHERE: Near = Near { centroid: usize::MAX, distance: f32::INFINITY };

/// The nearest and the second nearest centroid of one point.
#[derive(Clone, Copy)]
struct Nearest {
    first: Near,
    second: Near,
}

impl Nearest {
    fn insert(&mut self, near: Near) {
        if near.distance < self.first.distance {
            self.second = self.first;
            self.first = near;
        } else if near.distance < self.second.distance {
            self.second = near;
        }
    }
}

/// The centroids so far, and the nearest two of every point of the sample.
struct Search<'a> {
    sample: ArrayView2<'a, f32>,
    centroids: Vec<Vec<f32>>,
    nearest: Vec<Nearest>,
}

impl<'a> Search<'a> {
    fn new(sample: ArrayView2<'a, f32>, clusters: usize) -> Self {
        let nearest = vec![Nearest { first: NOWHERE, second: NOWHERE }; sample.nrows()];
        Self { sample, centroids: Vec::with_capacity(clusters), nearest }
    }

    /// Squared distances of the whole sample to `centroid`.
    fn distances(&self, centroid: &[f32]) -> Vec<f32> {
        let rows = self.sample.axis_iter(Axis(0)).into_par_iter().with_min_len(512);
        rows.map(|point| squared_distance(point, centroid)).collect()
    }

    /// Adds a centroid.
    fn push(&mut self, centroid: ArrayView1<'_, f32>) {
        let centroid = centroid.to_vec();
        let index = self.centroids.len();
        let distances = self.distances(&centroid);
        for (nearest, distance) in self.nearest.iter_mut().zip(distances) {
            nearest.insert(Near { centroid: index, distance });
        }
        self.centroids.push(centroid);
    }

    /// A point, drawn with a probability proportional to its squared distance from the nearest centroid.
    fn draw(&self, random: &mut Stream) -> usize {
        let total: f64 = self.nearest.iter().map(|n| f64::from(n.first.distance)).sum();
        let mut left = random.uniform64() * total;
        for (index, nearest) in self.nearest.iter().enumerate() {
            left -= f64::from(nearest.first.distance);
            if left < 0.0 {
                return index;
            }
        }
        random.below(self.nearest.len()) // every point is a centroid
    }

    /// Replaces the centroid that is missed least by `candidate`, if that lowers the inertia of the sample.
    fn swap(&mut self, candidate: ArrayView1<'_, f32>) {
        let candidate = candidate.to_vec();
        let distances = self.distances(&candidate);
        let mut now = 0.0_f64;
        let mut with_candidate = 0.0_f64;
        let mut loss = vec![0.0_f64; self.centroids.len()];
        for (nearest, &distance) in self.nearest.iter().zip(&distances) {
            let kept = nearest.first.distance.min(distance);
            now += f64::from(nearest.first.distance);
            with_candidate += f64::from(kept);
            loss[nearest.first.centroid] += f64::from(nearest.second.distance.min(distance)) - f64::from(kept);
        }
        let Some(out) = (0..loss.len()).min_by(|&a, &b| loss[a].total_cmp(&loss[b])) else { return };
        if with_candidate + loss[out] >= now {
            return;
        }
        self.centroids[out] = candidate;
        let (sample, centroids) = (self.sample, &self.centroids);
        self.nearest.par_iter_mut().with_min_len(512).zip(distances).enumerate().for_each(
            |(index, (nearest, distance))| {
                if nearest.first.centroid == out || nearest.second.centroid == out {
                    *nearest = Nearest { first: NOWHERE, second: NOWHERE };
                    for (index_of, centroid) in centroids.iter().enumerate() {
                        let distance = squared_distance(sample.row(index), centroid);
                        nearest.insert(Near { centroid: index_of, distance });
                    }
                } else {
                    nearest.insert(Near { centroid: out, distance });
                }
            },
        );
    }

    fn into_centroids(self) -> Array2<f32> {
        Array2::from_shape_fn((self.centroids.len(), self.sample.ncols()), |(i, j)| self.centroids[i][j])
    }
}

/// Sixteen partial sums, which the compiler turns into vector registers.
fn squared_distance(a: ArrayView1<'_, f32>, b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let Some(a) = a.to_slice() else { return a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum() };
    let mut sums = [0.0_f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| (a - b) * (a - b)).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += (a - b) * (a - b);
        }
    }
    rest + sums.iter().sum::<f32>()
}
