//! Lloyd's iterations, with the distances of a chunk of points as one matrix product.

use ndarray::{Array1, Array2, ArrayView2, Axis, linalg::general_mat_mul};
use rayon::prelude::*;

use crate::ml::{
    Result,
    cluster::nearest::nearest,
    stop::{Stop, proceed},
};

/// Points whose distances are one product. The last bits of the result depend on it.
const CHUNK: usize = 512;

/// The state of one run of k-means.
pub(super) struct Run {
    pub labels: Vec<u32>,
    pub centroids: Array2<f32>,
    pub inertia: f64,
    pub iterations: usize,
}

/// Iterates from `centroids` until no label changes or the centroids' squared shift is at most `tolerance`.
pub(super) fn run(
    points: ArrayView2<'_, f32>,
    mut centroids: Array2<f32>,
    max_iterations: usize,
    tolerance: f64,
    stop: Stop<'_>,
) -> Result<Run> {
    let own = squared_lengths(points);
    let mut sums: Option<Sums> = None;
    let mut settled = false;
    let mut iterations = 0;
    while iterations < max_iterations && !settled {
        proceed(stop)?;
        iterations += 1;
        let (mut labels, distances) = assign(points, &own, centroids.view());
        fill_empty(&mut labels, &distances, centroids.nrows());
        let moved = match &mut sums {
            Some(sums) => sums.relabel(points, labels),
            none => none.insert(Sums::new(points, labels, centroids.nrows())).means().into(),
        };
        match moved {
            Some(moved) => {
                settled = shift(&moved, &centroids) <= tolerance;
                centroids = moved;
            }
            None => settled = true,
        }
    }
    // Takes the labels of the last centroids, and then the means of those labels.
    let (mut labels, distances) = assign(points, &own, centroids.view());
    fill_empty(&mut labels, &distances, centroids.nrows());
    let centroids = means(points, &labels, centroids.nrows());
    let inertia = inertia(points, &labels, centroids.view());
    Ok(Run { labels, centroids, inertia, iterations })
}

/// The sum of every cluster's points. Only the points that changed their cluster are added and subtracted, and after
/// the first iterations these are few. The sums are float64, so that the rounding errors of such changes do not show in
/// the means.
struct Sums {
    labels: Vec<u32>,
    counts: Vec<usize>,
    sums: Array2<f64>,
}

impl Sums {
    fn new(points: ArrayView2<'_, f32>, labels: Vec<u32>, clusters: usize) -> Self {
        let (counts, sums) = sums(points, &labels, clusters);
        Self { labels, counts, sums }
    }

    /// The means of new labels, or none if no label changed.
    fn relabel(&mut self, points: ArrayView2<'_, f32>, labels: Vec<u32>) -> Option<Array2<f32>> {
        let mut changed = false;
        for ((point, &new), old) in points.rows().into_iter().zip(&labels).zip(&mut self.labels) {
            if new == *old {
                continue;
            }
            changed = true;
            self.sums.row_mut(*old as usize).zip_mut_with(&point, |sum, &x| *sum -= f64::from(x));
            self.sums.row_mut(new as usize).zip_mut_with(&point, |sum, &x| *sum += f64::from(x));
            self.counts[*old as usize] -= 1;
            self.counts[new as usize] += 1;
            *old = new;
        }
        changed.then(|| self.means())
    }

    fn means(&self) -> Array2<f32> {
        divided(&self.counts, &self.sums)
    }
}

/// The nearest centroid of every point (the first of several), and the squared distance to it; `own` are the squared
/// lengths of the points.
fn assign(points: ArrayView2<'_, f32>, own: &Array1<f32>, centroids: ArrayView2<'_, f32>) -> (Vec<u32>, Vec<f32>) {
    let (points, centroids) = (points.as_standard_layout(), centroids.as_standard_layout());
    let lengths = squared_lengths(centroids.view()).to_vec();
    let (rows, of) = (points.as_slice().unwrap_or_default(), centroids.as_slice().unwrap_or_default());
    let (labels, mut distances) = nearest(rows, points.ncols(), of, &lengths);
    distances.iter_mut().zip(own).for_each(|(distance, own)| *distance += own);
    (labels, distances)
}

/// Squared distances of all points to all centroids, `[N, clusters]`.
pub(super) fn distances(points: ArrayView2<'_, f32>, centroids: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut out = Array2::zeros((points.nrows(), centroids.nrows()));
    let lengths = squared_lengths(centroids);
    points
        .axis_chunks_iter(Axis(0), CHUNK)
        .into_par_iter()
        .zip(out.axis_chunks_iter_mut(Axis(0), CHUNK).into_par_iter())
        .for_each(|(chunk, mut out)| {
            general_mat_mul(-2.0, &chunk, &centroids.t(), 0.0, &mut out);
            out += &lengths;
            for (mut row, point) in out.rows_mut().into_iter().zip(chunk.rows()) {
                row += point.dot(&point);
            }
        });
    out
}

fn squared_lengths(rows: ArrayView2<'_, f32>) -> Array1<f32> {
    rows.rows().into_iter().map(|row| row.dot(&row)).collect()
}

/// Gives every empty cluster the point that is farthest from its own centroid and not alone there.
fn fill_empty(labels: &mut [u32], distances: &[f32], clusters: usize) {
    let mut sizes = vec![0_usize; clusters];
    for &label in &*labels {
        sizes[label as usize] += 1;
    }
    let empty: Vec<usize> = (0..clusters).filter(|&c| sizes[c] == 0).collect();
    if empty.is_empty() {
        return;
    }
    let mut farthest: Vec<usize> = (0..labels.len()).collect();
    farthest.sort_by(|&a, &b| distances[b].total_cmp(&distances[a]));
    let mut candidates = farthest.into_iter();
    for cluster in empty {
        let Some(point) = candidates.find(|&p| sizes[labels[p] as usize] > 1) else { return };
        sizes[labels[point] as usize] -= 1;
        sizes[cluster] = 1;
        labels[point] = cluster as u32;
    }
}

/// The mean of every cluster.
pub(super) fn means(points: ArrayView2<'_, f32>, labels: &[u32], clusters: usize) -> Array2<f32> {
    let (counts, sums) = sums(points, labels, clusters);
    divided(&counts, &sums)
}

/// Size and sum of every cluster. Each is summed by one thread, in the order of its points.
fn sums(points: ArrayView2<'_, f32>, labels: &[u32], clusters: usize) -> (Vec<usize>, Array2<f64>) {
    let mut members = vec![Vec::new(); clusters];
    for (index, &label) in labels.iter().enumerate() {
        members[label as usize].push(index);
    }
    let mut sums = Array2::zeros((clusters, points.ncols()));
    sums.axis_iter_mut(Axis(0)).into_par_iter().zip(&members).for_each(|(mut sum, members)| {
        for &member in members {
            sum.zip_mut_with(&points.row(member), |sum, &x| *sum += f64::from(x));
        }
    });
    (members.iter().map(Vec::len).collect(), sums)
}

fn divided(counts: &[usize], sums: &Array2<f64>) -> Array2<f32> {
    Array2::from_shape_fn(sums.dim(), |(cluster, column)| {
        (sums[[cluster, column]] / counts[cluster].max(1) as f64) as f32
    })
}

/// Squared distance between two sets of centroids.
pub(super) fn shift(a: &Array2<f32>, b: &Array2<f32>) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

/// Sum of squared distances of the points to the centroids of their labels.
pub(super) fn inertia(points: ArrayView2<'_, f32>, labels: &[u32], centroids: ArrayView2<'_, f32>) -> f64 {
    let partial: Vec<f64> = points
        .axis_chunks_iter(Axis(0), CHUNK)
        .into_par_iter()
        .zip(labels.par_chunks(CHUNK))
        .map(|(chunk, labels)| {
            let each = chunk.rows().into_iter().zip(labels).map(|(point, &label)| {
                let differences = point.iter().zip(centroids.row(label as usize)).map(|(a, b)| f64::from(a - b));
                differences.map(|d| d * d).sum::<f64>()
            });
            each.sum()
        })
        .collect();
    partial.iter().sum()
}
