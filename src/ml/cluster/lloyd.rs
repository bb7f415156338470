//! Lloyd's iterations, with the distances of a chunk of points as one matrix product.

use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut1, Axis, linalg::general_mat_mul};
use rayon::prelude::*;

/// Points handled as one product; part of what the result means in its last bits.
const CHUNK: usize = 512;

/// Where one run of k-means stands.
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
) -> Run {
    let mut labels = vec![u32::MAX; points.nrows()];
    let mut settled = false;
    let mut iterations = 0;
    while iterations < max_iterations && !settled {
        iterations += 1;
        let (mut assigned, distances) = assign(points, centroids.view());
        fill_empty(&mut assigned, &distances, centroids.nrows());
        settled = assigned == labels;
        labels = assigned;
        if !settled {
            let moved = means(points, &labels, centroids.nrows());
            settled = shift(&moved, &centroids) <= tolerance;
            centroids = moved;
        }
    }
    // The labels that belong to the last centroids, and then the means that belong to those labels.
    let (mut labels, distances) = assign(points, centroids.view());
    fill_empty(&mut labels, &distances, centroids.nrows());
    let centroids = means(points, &labels, centroids.nrows());
    let inertia = inertia(points, &labels, centroids.view());
    Run { labels, centroids, inertia, iterations }
}

/// The nearest centroid of every point (the first of several), and the squared distance to it.
fn assign(points: ArrayView2<'_, f32>, centroids: ArrayView2<'_, f32>) -> (Vec<u32>, Vec<f32>) {
    let mut labels = vec![0; points.nrows()];
    let mut distances = vec![0.0; points.nrows()];
    let lengths = squared_lengths(centroids);
    points
        .axis_chunks_iter(Axis(0), CHUNK)
        .into_par_iter()
        .zip(labels.par_chunks_mut(CHUNK))
        .zip(distances.par_chunks_mut(CHUNK))
        .for_each_init(
            || Array2::zeros((CHUNK, centroids.nrows())),
            |scratch, ((chunk, labels), distances)| {
                let mut products = scratch.slice_mut(ndarray::s![..chunk.nrows(), ..]);
                general_mat_mul(-2.0, &chunk, &centroids.t(), 0.0, &mut products);
                for (((products, point), label), distance) in
                    products.rows().into_iter().zip(chunk.rows()).zip(labels).zip(distances)
                {
                    let mut nearest = (0, f32::INFINITY);
                    for (index, (product, length)) in products.iter().zip(&lengths).enumerate() {
                        let offset = product + length;
                        if offset < nearest.1 {
                            nearest = (index as u32, offset);
                        }
                    }
                    *label = nearest.0;
                    *distance = nearest.1 + point.dot(&point);
                }
            },
        );
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

/// The mean of every cluster. Each is summed by one thread, in the order of its points.
pub(super) fn means(points: ArrayView2<'_, f32>, labels: &[u32], clusters: usize) -> Array2<f32> {
    let mut members = vec![Vec::new(); clusters];
    for (index, &label) in labels.iter().enumerate() {
        members[label as usize].push(index);
    }
    let mut centroids = Array2::zeros((clusters, points.ncols()));
    centroids.axis_iter_mut(Axis(0)).into_par_iter().zip(members).for_each(|(centroid, members)| {
        mean_of(points, &members, centroid);
    });
    centroids
}

fn mean_of(points: ArrayView2<'_, f32>, members: &[usize], mut centroid: ArrayViewMut1<'_, f32>) {
    let mut sums = vec![0.0_f64; centroid.len()];
    for &member in members {
        for (sum, &x) in sums.iter_mut().zip(points.row(member)) {
            *sum += f64::from(x);
        }
    }
    let count = members.len().max(1) as f64;
    for (mean, sum) in centroid.iter_mut().zip(sums) {
        *mean = (sum / count) as f32;
    }
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
