//! Clusters of equal size, by Lloyd's iterations with an assignment step that keeps the sizes.

use std::cmp::Ordering;

use ndarray::{Array2, ArrayView2};

use super::lloyd::{Run, distances, inertia, means, shift};
use crate::ml::{
    Result,
    stop::{Stop, proceed},
};

/// Passes over all pairs of clusters in one iteration.
const SWEEPS: usize = 10;

/// Makes the clusters of `found` equal in size (they differ by one at most), and improves them under that constraint.
///
/// Points are placed first in the order of what they would lose by their second choice. Then pairs of points trade
/// clusters as long as a trade lowers the inertia, which is the local search of equal-size k-means.
pub(super) fn run(
    points: ArrayView2<'_, f32>,
    found: &mut Run,
    max_iterations: usize,
    tolerance: f64,
    stop: Stop<'_>,
) -> Result<()> {
    let clusters = found.centroids.nrows();
    let costs = distances(points, found.centroids.view());
    found.labels = place(&costs);
    for _ in 0..max_iterations {
        let centroids = means(points, &found.labels, clusters);
        let moved = shift(&centroids, &found.centroids);
        found.centroids = centroids;
        let costs = distances(points, found.centroids.view());
        let mut traded = 0;
        while traded < SWEEPS && trade(&costs, &mut found.labels, stop)? {
            traded += 1;
        }
        found.iterations += 1;
        if traded == 0 || moved <= tolerance {
            break;
        }
    }
    found.centroids = means(points, &found.labels, clusters);
    found.inertia = inertia(points, &found.labels, found.centroids.view());
    Ok(())
}

/// Assigns every point to its nearest cluster that still has room. The points with most to lose come first.
fn place(costs: &Array2<f32>) -> Vec<u32> {
    let (rows, clusters) = costs.dim();
    let regret: Vec<f32> = costs
        .rows()
        .into_iter()
        .map(|row| {
            let (mut first, mut second) = (f32::INFINITY, f32::INFINITY);
            for &cost in row {
                second = second.min(cost.max(first));
                first = first.min(cost);
            }
            second - first
        })
        .collect();
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_by(|&a, &b| regret[b].total_cmp(&regret[a]));
    let mut sizes = vec![0; clusters];
    let mut larger = rows % clusters; // clusters that may hold one more than the others
    let mut labels = vec![0; rows];
    for point in order {
        let open = |c: &usize| sizes[*c] < rows / clusters || (sizes[*c] == rows / clusters && larger > 0);
        let row = costs.row(point);
        let nearest = (0..clusters).filter(open).min_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
        if sizes[nearest] == rows / clusters {
            larger -= 1;
        }
        sizes[nearest] += 1;
        labels[point] = nearest as u32;
    }
    labels
}

/// One pass over all pairs of clusters; true if any point changed its cluster.
fn trade(costs: &Array2<f32>, labels: &mut [u32], stop: Stop<'_>) -> Result<bool> {
    let clusters = costs.ncols();
    let mut members = vec![Vec::new(); clusters];
    for (point, &label) in labels.iter().enumerate() {
        members[label as usize].push(point);
    }
    let mut changed = false;
    for a in 0..clusters {
        proceed(stop)?;
        for b in a + 1..clusters {
            let from_a = wishes(costs, &members[a], a, b);
            let from_b = wishes(costs, &members[b], b, a);
            let mut moves = Vec::new();
            let mut next = 0;
            // Best against best: each trade is worth less than the one before.
            while let (Some(x), Some(y)) = (from_a.get(next), from_b.get(next)) {
                if x.gain + y.gain <= 0.0 {
                    break;
                }
                moves.extend([(x.point, b), (y.point, a)]);
                next += 1;
            }
            // The larger cluster of two may also give its next point away.
            let lone = match members[a].len().cmp(&members[b].len()) {
                Ordering::Greater => from_a.get(next).map(|w| (w, b)),
                Ordering::Less => from_b.get(next).map(|w| (w, a)),
                Ordering::Equal => None,
            };
            moves.extend(lone.filter(|(wish, _)| wish.gain > 0.0).map(|(wish, to)| (wish.point, to)));
            if !moves.is_empty() {
                changed = true;
                for &(point, to) in &moves {
                    labels[point] = to as u32;
                }
                let both = [std::mem::take(&mut members[a]), std::mem::take(&mut members[b])].concat();
                let (in_a, in_b) = both.into_iter().partition(|&point| labels[point] as usize == a);
                members[a] = in_a;
                members[b] = in_b;
            }
        }
    }
    Ok(changed)
}

/// The gain of one point by a move.
struct Wish {
    point: usize,
    gain: f64,
}

/// The points of cluster `from` in the order of their gain in `to`, the largest first.
fn wishes(costs: &Array2<f32>, members: &[usize], from: usize, to: usize) -> Vec<Wish> {
    let gain = |point: usize| f64::from(costs[[point, from]]) - f64::from(costs[[point, to]]);
    let mut wishes: Vec<Wish> = members.iter().map(|&point| Wish { point, gain: gain(point) }).collect();
    wishes.sort_by(|a, b| b.gain.total_cmp(&a.gain));
    wishes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::stop::never;
    use ndarray::array;

    #[test]
    fn the_point_with_most_to_lose_keeps_its_place() {
        // All prefer cluster 0, which holds two; the third loses least by its second choice.
        let costs = array![[0.0, 9.0], [0.0, 8.0], [0.0, 1.0], [5.0, 0.0]];
        assert_eq!(place(&costs), [0, 0, 1, 1]);
    }

    #[test]
    fn a_trade_needs_a_gain_in_sum() -> Result<()> {
        let costs = array![[0.0, 1.0], [5.0, 0.0], [2.0, 3.0], [1.0, 4.0]];
        let mut labels = vec![0, 0, 1, 1];
        assert!(trade(&costs, &mut labels, &never)?);
        assert_eq!(labels, [0, 1, 1, 0]);
        assert!(!trade(&costs, &mut labels, &never)?);
        Ok(())
    }
}
