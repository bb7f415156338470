//! k-means: pseudo labels from features.
//!
//! Seeds come from linfa's k-means++ and a local search (`seed`), the iterations are Lloyd's with the distances of a
//! whole chunk as one matrix product (`lloyd`), and `balance` makes the sizes equal where equal sizes are asked for.
//! linfa's own iterations compute distances row by row, which is several times slower. Read `seed`, `nearest` and
//! `lloyd`, then `balance` and `confidence`.

mod balance;
mod confidence;
mod lloyd;
mod nearest;
mod seed;

pub use confidence::Confidence;
use ndarray::{Array1, Array2, ArrayView2};

use super::{
    Error, Result,
    features::{Normalize, check, distance_scale, distinct_rows, moments, rescale},
    rng::Stream,
    stop::{Stop, never},
};

/// Parameters of k-means.
#[derive(Clone, Debug, PartialEq)]
pub struct KMeans {
    /// Number of clusters.
    pub clusters: usize,
    /// Independent starts; the one of least inertia is kept.
    pub runs: usize,
    /// Most iterations of one run.
    pub max_iterations: usize,
    /// A run ends when the squared shift of all centroids is at most this times the mean variance of the features.
    pub tolerance: f64,
    /// Scaling of the features beforehand.
    pub normalize: Normalize,
    /// Clusters of equal size: sizes differ by one at most.
    pub balanced: bool,
    /// What the confidence of a label is.
    pub confidence: Confidence,
    /// Seed of the starts.
    pub seed: u64,
}

impl Default for KMeans {
    fn default() -> Self {
        Self {
            clusters: 64,
            runs: 10,
            max_iterations: 300,
            tolerance: 1e-4,
            normalize: Normalize::None,
            balanced: false,
            confidence: Confidence::default(),
            seed: 0,
        }
    }
}

/// The result of k-means.
#[derive(Clone, Debug, PartialEq)]
pub struct Clustering {
    /// Cluster of each row, numbered by first occurrence; every cluster has at least one row.
    pub labels: Vec<u32>,
    /// How sure each label is, in [0, 1].
    pub confidence: Vec<f32>,
    /// The mean margin, in [0, 1]: 1 less the distance to the own centroid over that to the nearest other one, and 0
    /// where another one is nearer.
    pub margin: f64,
    /// Means of the clusters, `[clusters, D]`, in the space after normalisation.
    pub centroids: Array2<f32>,
    /// Sum of squared distances to the centroids.
    pub inertia: f64,
    /// Iterations of the run that was kept.
    pub iterations: usize,
    /// How many different rows there are after normalisation, counted up to the number of clusters: with fewer, equal
    /// rows are in several clusters.
    pub distinct: usize,
}

impl KMeans {
    /// Clusters the rows of `features` `[N, D]`. The result does not depend on the number of threads.
    ///
    /// # Errors
    /// [`Error::Invalid`] with no clusters or runs, or more clusters than rows; [`Error::NotFinite`] for features that
    /// are not finite.
    pub fn fit(&self, features: ArrayView2<'_, f32>) -> Result<Clustering> {
        self.fit_watched(features, &never, &mut |_| ())
    }

    /// As [`KMeans::fit`], but ends when `stop` says so. `before_run` receives the number of runs that are done.
    ///
    /// # Errors
    /// Those of [`KMeans::fit`], and [`Error::Cancelled`].
    pub fn fit_watched(
        &self,
        features: ArrayView2<'_, f32>,
        stop: Stop<'_>,
        before_run: &mut dyn FnMut(usize),
    ) -> Result<Clustering> {
        let (rows, columns) = features.dim();
        if self.clusters == 0 || self.runs == 0 {
            return Err(Error::Invalid("k-means needs at least one cluster and one run".into()));
        }
        if self.clusters > rows {
            let k = self.clusters;
            return Err(Error::Invalid(format!(
                "{rows} images cannot be divided into {k} clusters; use at most {rows}"
            )));
        }
        check(features)?;
        let mut points = self.normalize.apply(features);
        let distinct = distinct_rows(points.view(), self.clusters);
        let scale = distance_scale(points.view());
        rescale(&mut points, scale);
        let (mean, variance) = moments(points.view());
        // Around the mean, ||x||^2 - 2 x c + ||c||^2 loses the fewest digits.
        let mean = Array1::from_iter(mean.iter().map(|&m| m as f32));
        points -= &mean;
        let tolerance = self.tolerance * variance.iter().sum::<f64>() / columns as f64;

        let stream = Stream::new(self.seed, "kmeans");
        let mut best: Option<lloyd::Run> = None;
        for run in 0..self.runs {
            before_run(run);
            let seeds = seed::centroids(points.view(), self.clusters, &stream.at(run as u64), stop)?;
            let mut found = lloyd::run(points.view(), seeds, self.max_iterations, tolerance, stop)?;
            if self.balanced {
                balance::run(points.view(), &mut found, self.max_iterations, tolerance, stop)?;
            }
            if best.as_ref().is_none_or(|b| found.inertia < b.inertia) {
                best = Some(found);
            }
        }
        let best = best.ok_or_else(|| Error::Invalid("no run of k-means had a finite inertia".into()))?;
        let margins = confidence::margins(points.view(), &best.labels, best.centroids.view());
        let margin = margins.iter().map(|&margin| f64::from(margin)).sum::<f64>() / rows as f64;
        let confidence = self.confidence.of(margins);
        let (labels, order) = by_first_occurrence(&best.labels, self.clusters);
        let mut centroids = best.centroids.select(ndarray::Axis(0), &order);
        centroids += &mean;
        rescale(&mut centroids, scale.recip());
        let (inertia, iterations) = (best.inertia / (scale * scale), best.iterations);
        Ok(Clustering { labels, confidence, margin, centroids, inertia, iterations, distinct })
    }
}

/// Labels renumbered by first occurrence, and the old number of every new one.
fn by_first_occurrence(labels: &[u32], clusters: usize) -> (Vec<u32>, Vec<usize>) {
    let mut new = vec![u32::MAX; clusters];
    let mut order = Vec::with_capacity(clusters);
    for &label in labels {
        if new[label as usize] == u32::MAX {
            new[label as usize] = order.len() as u32;
            order.push(label as usize);
        }
    }
    (labels.iter().map(|&l| new[l as usize]).collect(), order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::metric::{adjusted_rand, cluster_sizes};

    /// `groups` round groups of `each` points in `width` dimensions, far apart; the group of every point.
    fn blobs(groups: usize, each: usize, width: usize) -> (Array2<f32>, Vec<u32>) {
        let mut stream = Stream::new(1, "blobs");
        let centres = Array2::from_shape_simple_fn((groups, width), || 10.0 * stream.normal());
        let labels: Vec<u32> = (0..groups * each).map(|i| (i % groups) as u32).collect();
        let points = Array2::from_shape_fn((groups * each, width), |(i, j)| centres[[i % groups, j]] + stream.normal());
        (points, labels)
    }

    #[test]
    fn clear_groups_are_found_from_one_start() {
        let (points, groups) = blobs(40, 50, 8);
        let found = KMeans { clusters: 40, runs: 1, ..KMeans::default() }.fit(points.view()).unwrap();
        assert_eq!(adjusted_rand(&found.labels, &groups), 1.0);
        assert_eq!(found.labels[..40], (0..40).collect::<Vec<u32>>(), "numbered by first occurrence");
        let mean = points.slice(ndarray::s![0..;40, ..]).mean_axis(ndarray::Axis(0)).unwrap();
        assert!((&mean - &found.centroids.row(0)).iter().all(|d| d.abs() < 1e-4), "centroids follow their labels");
    }

    #[test]
    fn one_and_two_threads_give_the_same_bytes() {
        let (points, _) = blobs(7, 500, 5);
        for balanced in [false, true] {
            let kmeans = KMeans { clusters: 12, runs: 2, balanced, ..KMeans::default() };
            let on = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| kmeans.fit(points.view()).unwrap())
            };
            assert_eq!(on(1), on(2));
        }
    }

    #[test]
    fn balanced_sizes_differ_by_one_at_most() {
        let (points, _) = blobs(3, 67, 4);
        for clusters in [1, 2, 7, 64, 201] {
            let kmeans = KMeans { clusters, runs: 1, balanced: true, ..KMeans::default() };
            let sizes = cluster_sizes(&kmeans.fit(points.view()).unwrap().labels, clusters);
            let (low, high) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            assert!(high - low <= 1, "{clusters}: {sizes:?}");
        }
    }

    #[test]
    fn no_cluster_is_empty_even_where_points_coincide() {
        let points = Array2::from_shape_fn((20, 3), |(i, _)| (i % 2) as f32);
        for clusters in [3, 20] {
            let kmeans = KMeans { clusters, runs: 1, ..KMeans::default() };
            let found = kmeans.fit(points.view()).unwrap();
            assert!(cluster_sizes(&found.labels, clusters).iter().all(|&n| n > 0));
            assert_eq!((found.inertia, found.distinct), (0.0, 2));
        }
    }

    /// A power of two changes no bit but the exponents, so large and small features have the clusters of ordinary ones.
    #[test]
    fn clusters_do_not_depend_on_the_scale_of_the_features() {
        let (points, _) = blobs(5, 40, 7);
        for balanced in [false, true] {
            let kmeans = KMeans { clusters: 5, runs: 2, balanced, ..KMeans::default() };
            let usual = kmeans.fit(points.view()).unwrap();
            for power in [-120_i32, -60, 60, 110] {
                let factor = 2f64.powi(power);
                let scaled = kmeans.fit(points.mapv(|x| (f64::from(x) * factor) as f32).view()).unwrap();
                assert_eq!((&scaled.labels, &scaled.confidence), (&usual.labels, &usual.confidence), "2^{power}");
                assert!((scaled.inertia / (usual.inertia * factor * factor) - 1.0).abs() < 1e-9, "2^{power}");
                let back = scaled.centroids.mapv(|x| (f64::from(x) / factor) as f32);
                assert!(back.iter().zip(&usual.centroids).all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs().max(1.0)));
            }
        }
        let edge = Array2::from_shape_fn((40, 3), |(i, _)| if i % 2 == 0 { f32::MAX } else { -f32::MAX });
        let found = KMeans { clusters: 2, runs: 1, ..KMeans::default() }.fit(edge.view()).unwrap();
        assert!(found.labels.iter().enumerate().all(|(i, &label)| label == i as u32 % 2));
        assert!(found.centroids.iter().all(|x| x.is_finite()) && found.inertia == 0.0);
    }

    #[test]
    fn work_that_is_asked_to_stop_does() {
        let (points, _) = blobs(5, 40, 7);
        let stopped = KMeans::default().fit_watched(points.view(), &|| true, &mut |_| ());
        assert!(matches!(stopped, Err(Error::Cancelled)));
    }

    #[test]
    fn more_clusters_than_rows_are_refused() {
        let fit = |clusters| KMeans { clusters, ..KMeans::default() }.fit(Array2::zeros((3, 2)).view());
        assert!(fit(3).is_ok());
        assert!(matches!(fit(4), Err(Error::Invalid(m)) if m.contains("at most 3")));
        assert!(matches!(fit(0), Err(Error::Invalid(_))));
    }
}
