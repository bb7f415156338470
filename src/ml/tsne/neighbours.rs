//! The nearest other rows of each row, by comparing all pairs.

use bhtsne::Neighbor;
use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use crate::ml::{
    Result,
    stop::{Stop, proceed},
};

/// Number of rows whose distances to all others are one product.
const ROWS: usize = 64;

/// The `count` nearest other rows of each row of `points` `[N, D]` with their Euclidean distances, the nearest first.
/// Of equally near rows the earlier comes first.
pub(super) fn nearest(points: ArrayView2<'_, f32>, count: usize, stop: Stop<'_>) -> Result<Vec<Vec<Neighbor<f32>>>> {
    let lengths: Vec<f32> = points.rows().into_iter().map(|row| row.dot(&row)).collect();
    let parts: Result<Vec<Vec<_>>> = points
        .axis_chunks_iter(Axis(0), ROWS)
        .into_par_iter()
        .enumerate()
        .map(|(part, rows)| {
            proceed(stop)?;
            let products = rows.dot(&points.t());
            let of_row = |(row, products): (usize, ndarray::ArrayView1<'_, f32>)| {
                let own = part * ROWS + row;
                let distance = |other: usize| (lengths[own] + lengths[other] - 2.0 * products[other]).max(0.0).sqrt();
                let mut found: Vec<Neighbor<f32>> = (0..lengths.len())
                    .filter(|&other| other != own)
                    .map(|index| Neighbor { index, distance: distance(index) })
                    .collect();
                let order = |a: &Neighbor<f32>, b: &Neighbor<f32>| {
                    a.distance.total_cmp(&b.distance).then(a.index.cmp(&b.index))
                };
                if count < found.len() {
                    found.select_nth_unstable_by(count, order);
                    found.truncate(count);
                }
                found.sort_unstable_by(order);
                found
            };
            Ok(products.rows().into_iter().enumerate().map(of_row).collect())
        })
        .collect();
    Ok(parts?.concat())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::ml::stop::never;

    #[test]
    fn the_nearest_come_first_and_of_equals_the_earlier() -> Result<()> {
        let points = array![[0.0_f32], [1.0], [-1.0], [5.0]];
        let found = nearest(points.view(), 2, &never)?;
        let indices: Vec<Vec<usize>> = found.iter().map(|row| row.iter().map(|n| n.index).collect()).collect();
        assert_eq!(indices, [[1, 2], [0, 2], [0, 1], [1, 0]]);
        assert_eq!(found[3][1], Neighbor { index: 0, distance: 5.0 });
        Ok(())
    }
}
