//! The nearest of many centroids for each of many points.

use crate::ml::kernels::{row_products, vectorised};

/// Centroids that are compared at a time.
const LANES: usize = 16;

/// For each point of `points` `[N, width]` the nearest centroid of `[K, width]`, the first of several, and its squared
/// distance less the point's own squared length. `lengths` are the squared lengths of the centroids.
///
/// All values must be finite, and so small that squared distances are finite too. A point without a finite distance has
/// no nearest centroid, and its label is `u32::MAX`. A block of points is multiplied with all centroids at a time.
///
/// # Panics
/// If there is no centroid, or the length of a slice is not a whole number of rows.
#[must_use]
pub(super) fn nearest(points: &[f32], width: usize, centroids: &[f32], lengths: &[f32]) -> (Vec<u32>, Vec<f32>) {
    let count = lengths.len();
    assert!(count > 0 && centroids.len() == count * width && points.len().is_multiple_of(width.max(1)));
    let blocks = row_products(points, width, centroids, count, |isa, products| {
        let (mut labels, mut offsets) = (vec![0; products.len() / count], vec![0.0; products.len() / count]);
        least(isa, products, lengths, &mut labels, &mut offsets);
        (labels, offsets)
    });
    let (labels, offsets): (Vec<_>, Vec<_>) = blocks.into_iter().unzip();
    (labels.concat(), offsets.concat())
}

vectorised! {
    /// The first index of the least `length - 2 * product` in each row of products, and that value.
    fn least(products: &[f32], lengths: &[f32], labels: &mut [u32], offsets: &mut [f32]) {
        let count = lengths.len();
        let whole = count / LANES * LANES;
        for ((row, label), offset) in products.chunks_exact(count).zip(labels).zip(offsets) {
            let (mut best, mut at) = ([f32::INFINITY; LANES], [0u32; LANES]);
            for first in (0..whole).step_by(LANES) {
                let mut value = [0f32; LANES];
                for (lane, value) in value.iter_mut().enumerate() {
                    *value = lengths[first + lane] - 2.0 * row[first + lane];
                }
                for lane in 0..LANES {
                    let less = value[lane] < best[lane];
                    best[lane] = if less { value[lane] } else { best[lane] };
                    at[lane] = if less { (first + lane) as u32 } else { at[lane] };
                }
            }
            let mut nearest = (f32::INFINITY, u32::MAX);
            for lane in 0..LANES {
                if best[lane] < nearest.0 || (best[lane] == nearest.0 && at[lane] < nearest.1) {
                    nearest = (best[lane], at[lane]);
                }
            }
            for index in whole..count {
                let value = lengths[index] - 2.0 * row[index];
                if value < nearest.0 {
                    nearest = (value, index as u32);
                }
            }
            (*offset, *label) = nearest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::kernels::test_support::{in_pools, noise};

    #[test]
    fn the_nearest_is_that_of_float64_and_the_first_of_equals() {
        for (rows, width, count) in [(1, 1, 1), (7, 3, 2), (300, 20, 17), (500, 33, 64), (129, 128, 100)] {
            let (points, mut centroids) = (noise(rows * width, 1), noise(count * width, 2));
            if count > 20 {
                let (first, last) = centroids.split_at_mut(width * (count - 1));
                last.copy_from_slice(&first[..width]);
            }
            let squared = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>();
            let lengths: Vec<f32> = centroids.chunks(width).map(squared).collect();
            let found = in_pools(|| {
                let (labels, offsets) = nearest(&points, width, &centroids, &lengths);
                vec![labels.into_iter().map(|label| label as f32).collect(), offsets]
            });
            for (index, point) in points.chunks(width).enumerate() {
                let distance = |centroid: &[f32]| -> f64 {
                    point.iter().zip(centroid).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
                };
                let distances: Vec<f64> = centroids.chunks(width).map(distance).collect();
                let least = distances.iter().copied().fold(f64::INFINITY, f64::min);
                let label = found[0][index] as usize;
                assert!(distances[label] <= least + 1e-5 * (1.0 + least), "{rows} {width} {count}: point {index}");
                assert!(count <= 20 || label != count - 1, "the last is the first once more");
                let offset = f64::from(found[1][index]) + f64::from(squared(point));
                assert!((offset - distances[label]).abs() <= 1e-5 * (width as f64), "{offset} {}", distances[label]);
            }
        }
    }
}
