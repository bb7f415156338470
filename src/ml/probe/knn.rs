//! The weighted k-nearest-neighbour classifier of InstDisc (Wu et al. 2018).

use ndarray::{ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

use super::{Labelled, linear::first_largest, same_width};
use crate::ml::{
    Error, Result,
    features::{Normalize, check},
    stop::{Stop, never, proceed},
};

/// Votes of the `k` training rows of largest cosine similarity s, each with weight exp(s / temperature).
#[derive(Clone, Debug, PartialEq)]
pub struct Knn {
    /// Number of neighbours; all rows vote if there are fewer.
    pub k: usize,
    /// Temperature of the weights.
    pub temperature: f64,
}

impl Default for Knn {
    fn default() -> Self {
        Self { k: 200, temperature: 0.1 }
    }
}

/// Number of queries, and of training rows, whose similarities are one product.
const QUERIES: usize = 64;
const ROWS: usize = 4096;

impl Knn {
    /// The class of every row of `queries` `[M, D]`. With `leave_one_out`, row i of the queries is row i of the
    /// training set and does not vote for itself.
    ///
    /// # Errors
    /// [`Error::Invalid`] for features that are empty, not finite or of different widths, a `k` of zero, or a
    /// temperature that is not positive.
    pub fn predict(&self, train: Labelled<'_>, queries: ArrayView2<'_, f32>, leave_one_out: bool) -> Result<Vec<u32>> {
        self.predict_until(train, queries, leave_one_out, &never)
    }

    /// As [`Knn::predict`], but ends when `stop` says so.
    ///
    /// # Errors
    /// Those of [`Knn::predict`], and [`Error::Cancelled`].
    pub fn predict_until(
        &self,
        train: Labelled<'_>,
        queries: ArrayView2<'_, f32>,
        leave_one_out: bool,
        stop: Stop<'_>,
    ) -> Result<Vec<u32>> {
        train.check()?;
        check(queries)?;
        same_width(train.features, queries)?;
        if self.k == 0 || self.temperature.is_nan() || self.temperature <= 0.0 {
            return Err(Error::Invalid("k must be at least 1 and the temperature positive".into()));
        }
        let bank = Normalize::L2.apply(train.features);
        let queries = Normalize::L2.apply(queries);
        let classes = train.classes();
        let chunks: Result<Vec<Vec<u32>>> = queries
            .axis_chunks_iter(Axis(0), QUERIES)
            .into_par_iter()
            .enumerate()
            .map(|(chunk, queries)| {
                let mut nearest: Vec<Vec<Neighbour>> = vec![Vec::new(); queries.nrows()];
                for (block, rows) in bank.axis_chunks_iter(Axis(0), ROWS).enumerate() {
                    proceed(stop)?;
                    let similarities = queries.dot(&rows.t());
                    for (query, (found, similarities)) in nearest.iter_mut().zip(similarities.rows()).enumerate() {
                        let itself = leave_one_out.then_some(chunk * QUERIES + query);
                        self.collect(found, similarities, block * ROWS, itself);
                    }
                }
                Ok(nearest.iter().map(|found| self.vote(found, train.labels, classes)).collect())
            })
            .collect();
        Ok(chunks?.concat())
    }

    /// Merges the rows from `start` on into the `k` nearest rows so far, which are not sorted.
    fn collect(
        &self,
        found: &mut Vec<Neighbour>,
        similarities: ArrayView1<'_, f32>,
        start: usize,
        itself: Option<usize>,
    ) {
        let least = if found.len() < self.k { f32::NEG_INFINITY } else { found[self.k - 1].similarity };
        let rows = similarities.iter().enumerate().map(|(i, &similarity)| Neighbour { row: start + i, similarity });
        found.extend(rows.filter(|n| n.similarity > least && Some(n.row) != itself));
        if found.len() >= self.k {
            // Ties go to the earlier row. The k-th nearest moves to its place, and nearer ones come before it.
            found.select_nth_unstable_by(self.k - 1, |a, b| {
                b.similarity.total_cmp(&a.similarity).then(a.row.cmp(&b.row))
            });
            found.truncate(self.k);
        }
    }

    fn vote(&self, found: &[Neighbour], labels: &[u32], classes: usize) -> u32 {
        let mut ordered = found.to_vec();
        ordered.sort_unstable_by_key(|n| n.row); // sums in one order
        // Similarities are relative to the nearest, so that no temperature is too low.
        let nearest = ordered.iter().map(|n| n.similarity).fold(f32::NEG_INFINITY, f32::max);
        let mut votes = vec![0.0_f64; classes];
        for neighbour in ordered {
            votes[labels[neighbour.row] as usize] +=
                (f64::from(neighbour.similarity - nearest) / self.temperature).exp();
        }
        first_largest(votes.into_iter())
    }
}

#[derive(Clone, Copy)]
struct Neighbour {
    row: usize,
    similarity: f32,
}
