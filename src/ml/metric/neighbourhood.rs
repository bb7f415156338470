//! Measures whether neighbours on a map are neighbours in the original space.

use ndarray::{ArrayView2, Axis, s};
use rayon::prelude::*;

use crate::ml::{
    Result,
    stop::{Stop, proceed},
};

/// Number of rows whose distances to all others are one product.
const ROWS: usize = 64;

/// The trustworthiness of a `map` `[N, d]` of `points` `[N, D]`: 1 if the `k` nearest rows on the map are among the `k`
/// nearest in `points` too, and less by the rank of each row that is not (Venna and Kaski 2001). It is defined only if
/// 3 k + 1 is less than 2 N.
///
/// # Errors
/// [`Error::Cancelled`](crate::ml::Error::Cancelled) when it is time to stop.
///
/// # Panics
/// If the numbers of rows differ.
pub fn trustworthiness(
    points: ArrayView2<'_, f32>,
    map: ArrayView2<'_, f32>,
    k: usize,
    stop: Stop<'_>,
) -> Result<Option<f64>> {
    let rows = points.nrows();
    assert_eq!(rows, map.nrows(), "a map has a place for each row");
    if k == 0 || 3 * k + 1 >= 2 * rows {
        return Ok(None);
    }
    let lengths: Vec<f32> = points.rows().into_iter().map(|row| row.dot(&row)).collect();
    // Distances are computed directly, because products would lose small distances of a wide map.
    let on_map = |a: usize, b: usize| map.row(a).iter().zip(map.row(b)).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    let chunk_starts: Vec<usize> = (0..rows).step_by(ROWS).collect();
    let excess = chunk_starts.par_iter().map(|&start| {
        proceed(stop)?;
        let products = points.slice(s![start..(start + ROWS).min(rows), ..]).dot(&points.t());
        let mut excess = 0_u64;
        for (offset, products) in products.axis_iter(Axis(0)).enumerate() {
            let own = start + offset;
            // The squared length of the row itself is left out, since it does not change the order.
            let distance = |other: usize| (lengths[other] - 2.0 * products[other], other);
            let nearer = |a: (f32, usize), b: (f32, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).is_lt();
            let mut others: Vec<(f32, usize)> =
                (0..rows).filter(|&other| other != own).map(|o| (on_map(own, o), o)).collect();
            others.select_nth_unstable_by(k - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            for &(_, neighbour) in &others[..k] {
                let least = distance(neighbour);
                let rank = 1 + (0..rows).filter(|&o| o != own && nearer(distance(o), least)).count();
                excess += rank.saturating_sub(k) as u64;
            }
        }
        Ok(excess)
    });
    let (n, k, excess) = (rows as f64, k as f64, excess.sum::<Result<u64>>()? as f64);
    Ok(Some(1.0 - 2.0 / (n * k * (2.0 * n - 3.0 * k - 1.0)) * excess))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::ml::stop::never;

    #[test]
    fn a_map_that_is_the_points_is_trusted_and_a_mirror_of_order_is_not() -> Result<()> {
        let points = Array2::from_shape_fn((20, 1), |(i, _)| (i * i) as f32);
        let trusted =
            |points: &Array2<f32>, map: &Array2<f32>, k| trustworthiness(points.view(), map.view(), k, &never);
        assert_eq!(trusted(&points, &points, 3)?, Some(1.0));
        // 0 1 2 3 4 on a line, mapped with 4 beside 0: by hand, k = 1 gives one rank of 4 too many by 3.
        let line = array![[0.0_f32], [1.0], [2.2], [3.6], [5.2]];
        let map = array![[0.0_f32], [1.0], [2.2], [3.6], [-0.5]];
        // 0 has 4 (rank 4), 4 has 0 (rank 4); 2 / (5 * 1 * (10 - 3 - 1)) * 6.
        assert!(trusted(&line, &map, 1)?.is_some_and(|found| (found - (1.0 - 2.0 / 30.0 * 6.0)).abs() < 1e-12));
        Ok(())
    }

    #[test]
    fn too_many_neighbours_are_nothing_to_trust() -> Result<()> {
        let points = array![[0.0_f32], [1.0], [2.0]];
        assert_eq!(trustworthiness(points.view(), points.view(), 2, &never)?, None);
        Ok(())
    }
}
