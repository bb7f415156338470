//! t-SNE: a map of features in the plane (van der Maaten and Hinton 2008; van der Maaten 2014).
//!
//! The gradient descent is that of bhtsne, with the tree of Barnes and Hut. It runs on one thread: bhtsne recentres the
//! map with a sum whose order depends on the number of threads. Neighbours, the initial map and the measures are
//! computed here, on all threads and in a fixed order, because those of bhtsne 0.7.13 use random numbers of the system,
//! and its divergence uses the affinities of the wrong pairs. Read `params` and `neighbours`, then `descent`.

mod descent;
mod neighbours;
mod params;

pub use params::Tsne;

use ndarray::{Array1, Array2, ArrayView2, s};

use super::{
    Error, Result,
    features::{check, distance_scale, distinct_rows, moments, rescale},
    metric, pca,
    rng::Stream,
    stop::{Stop, never, proceed},
};

/// A map of features, with measures of its quality.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Places, `[N, 2]`, around 0.
    pub points: Array2<f32>,
    /// The Kullback-Leibler divergence that t-SNE minimises, without exaggeration.
    pub kl_divergence: f64,
    /// [Trustworthiness](metric::trustworthiness) of 5 neighbours; NaN if it is not defined: for at most 8 rows, and if
    /// all rows are equal.
    pub trustworthiness: f64,
}

impl Tsne {
    /// The fewest images for a perplexity: three times as many neighbours, and the image itself.
    #[must_use]
    pub fn least_images(perplexity: f64) -> usize {
        neighbour_count(perplexity) + 1
    }

    /// Maps the rows of `features` `[N, D]`. The result does not depend on the number of threads.
    ///
    /// # Errors
    /// [`Error::Invalid`] for features that are not finite or too few for the perplexity, or a perplexity or
    /// exaggeration below 1.
    pub fn fit(&self, features: ArrayView2<'_, f32>) -> Result<Map> {
        self.fit_watched(features, &never, &mut |_| ())
    }

    /// As [`Tsne::fit`], but ends when `stop` says so. `after_step` receives the number of steps that are done.
    ///
    /// # Errors
    /// Those of [`Tsne::fit`], and [`Error::Cancelled`].
    pub fn fit_watched(
        &self,
        features: ArrayView2<'_, f32>,
        stop: Stop<'_>,
        after_step: &mut dyn FnMut(usize),
    ) -> Result<Map> {
        check(features)?;
        if !(self.perplexity >= 1.0 && self.exaggeration >= 1.0) {
            return Err(Error::Invalid("perplexity and exaggeration must be at least 1".into()));
        }
        let (rows, least) = (features.nrows(), Self::least_images(self.perplexity));
        if rows < least {
            let perplexity = self.perplexity;
            return Err(Error::Invalid(format!(
                "a perplexity of {perplexity} needs {least} images, but there are {rows}"
            )));
        }
        let mut points = self.normalize.apply(features);
        // Only the order and the ratios of distances matter.
        let scale = distance_scale(points.view());
        rescale(&mut points, scale);
        points -= &Array1::from_iter(moments(points.view()).0.iter().map(|&mean| mean as f32));
        let components = pca::scores(points.view(), self.pca.max(2), &Stream::new(self.seed, "tsne/pca"))?;
        let initial = initial(&components, Stream::new(self.seed, "tsne/jitter"));
        if (1..points.ncols()).contains(&self.pca) {
            points = components.slice(s![.., ..self.pca]).to_owned();
        }
        let near = neighbours::nearest(points.view(), neighbour_count(self.perplexity), stop)?;
        let found = descent::run(self, &near, initial, &mut |step| {
            after_step(step);
            proceed(stop)
        })?;
        if found.points.iter().any(|x| !x.is_finite()) {
            return Err(Error::Invalid("the map is no longer finite; a lower exaggeration may help".into()));
        }
        let equal = distinct_rows(points.view(), 2) < 2;
        let trusted = if equal { None } else { metric::trustworthiness(points.view(), found.points.view(), 5, stop)? };
        let trustworthiness = trusted.unwrap_or(f64::NAN);
        Ok(Map { kl_divergence: found.divergence(), points: found.points, trustworthiness })
    }
}

/// Neighbours of an image that attract it, as in the method's paper.
fn neighbour_count(perplexity: f64) -> usize {
    (3.0 * perplexity) as usize
}

/// The first two components, scaled to a deviation of 1e-4 along the first; `[N * 2]`. Some noise, as in openTSNE,
/// separates equal images, which would otherwise stay in one place for ever.
fn initial(components: &Array2<f32>, mut noise: Stream) -> Vec<f32> {
    let column = |j: usize| (j < components.ncols()).then(|| components.column(j));
    let square: f64 = column(0).iter().flatten().map(|&x| f64::from(x).powi(2)).sum();
    let deviation = (square / components.nrows() as f64).sqrt().max(f64::from(f32::MIN_POSITIVE));
    let scaled = |i: usize, j: usize| column(j).map_or(0.0, |c| (f64::from(c[i]) / deviation * 1e-4) as f32);
    (0..components.nrows() * 2).map(|at| scaled(at / 2, at % 2) + 1e-6 * noise.normal()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// `groups` groups of 30 rows of width 12, their centres far apart.
    fn blobs(groups: usize) -> Array2<f32> {
        let mut stream = Stream::new(0, "blobs");
        let centres = Array2::from_shape_simple_fn((groups, 12), || 10.0 * stream.normal());
        Array2::from_shape_fn((groups * 30, 12), |(i, j)| centres[[i % groups, j]] + stream.normal())
    }

    fn small() -> Tsne {
        Tsne { perplexity: 10.0, iterations: 250, ..Tsne::default() }
    }

    #[test]
    fn groups_that_are_apart_stay_apart() -> Result<()> {
        let map = small().fit(blobs(6).view())?;
        let near = neighbours::nearest(map.points.view(), 10, &never)?;
        let strangers = near.iter().enumerate().flat_map(|(i, row)| row.iter().filter(move |n| n.index % 6 != i % 6));
        assert_eq!(strangers.count(), 0);
        assert!(map.trustworthiness > 0.9 && map.kl_divergence > 0.0 && map.kl_divergence < 1.0, "{map:?}");
        Ok(())
    }

    #[test]
    fn maps_do_not_depend_on_threads() {
        let points = blobs(5);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| small().fit(points.view())).unwrap()
        };
        let one = with(1);
        assert_eq!([with(1), with(2), with(5)], [one.clone(), one.clone(), one]);
    }

    #[test]
    fn equal_rows_and_one_column_are_no_trouble() -> Result<()> {
        for points in [Array2::zeros((50, 3)), Array2::from_shape_fn((50, 1), |(i, _)| (i / 10) as f32)] {
            let map = Tsne { perplexity: 5.0, iterations: 60, ..Tsne::default() }.fit(points.view())?;
            assert_eq!(map.points.dim(), (50, 2));
        }
        Ok(())
    }

    #[test]
    fn too_few_images_are_refused_and_the_watcher_can_stop() {
        let points = blobs(2);
        let message = Tsne::default().fit(points.view()).unwrap_err().to_string();
        assert_eq!(message, "a perplexity of 30 needs 91 images, but there are 60");
        let steps = AtomicUsize::new(0);
        let stop = || steps.load(Ordering::Relaxed) == 7;
        let stopped = small().fit_watched(points.view(), &stop, &mut |done| steps.store(done, Ordering::Relaxed));
        assert!(matches!(stopped, Err(Error::Cancelled)) && steps.into_inner() == 7);
    }

    /// Distances in squared float32 would overflow, or vanish.
    #[test]
    fn large_and_small_features_have_the_map_of_ordinary_ones() -> Result<()> {
        let points = blobs(3);
        let usual = small().fit(points.view())?;
        for power in [-100, 100] {
            let scaled = points.mapv(|x| (f64::from(x) * 2f64.powi(power)) as f32);
            let map = small().fit(scaled.view())?;
            assert!((map.trustworthiness - usual.trustworthiness).abs() < 0.02, "2^{power}: {map:?}");
        }
        Ok(())
    }

    #[test]
    fn where_nothing_is_near_or_far_nothing_is_trusted() -> Result<()> {
        let tiny = Tsne { perplexity: 1.0, iterations: 20, ..Tsne::default() };
        for points in [Array2::zeros((50, 3)), Array2::from_shape_fn((5, 2), |(i, j)| (i * j) as f32)] {
            assert!(tiny.fit(points.view())?.trustworthiness.is_nan());
        }
        Ok(())
    }
}
