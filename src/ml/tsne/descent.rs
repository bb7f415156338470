//! The gradient descent of bhtsne on one thread, and its final divergence.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::mpsc,
};

use bhtsne::{Neighbor, SparseAffinities, tSNE};
use ndarray::Array2;
use rayon::prelude::*;

use super::params::Tsne;
use crate::ml::{Error, Result};

/// The accuracy of the tree: cells narrower than this share of their distance count as one point. scikit-learn's
/// default.
const THETA: f32 = 0.5;

/// Learning rate for each image once the exaggeration has ended. openTSNE takes 1 (Belkina et al. 2019), and lets the
/// gain of a coordinate grow without bound; bhtsne's ends at 2. With 8 the divergence after 1000 steps is that of
/// scikit-learn.
const RATE: f64 = 8.0;

/// Steps with exaggeration, at most.
const EARLY: usize = 250;

/// A map, and the affinities from which it was made.
pub(super) struct Found {
    /// Places, `[N, 2]`.
    pub points: Array2<f32>,
    affinities: SparseAffinities<f32>,
}

/// The payload of the unwinding that stops a descent.
struct Stopped;

/// Moves the `initial` map `[N * 2]` down the gradient.
pub(super) fn run(
    tsne: &Tsne,
    near: &[Vec<Neighbor<f32>>],
    initial: Vec<f32>,
    after_step: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<Found> {
    let failed = |what: &dyn std::fmt::Display| Error::Invalid(format!("t-SNE: {what}"));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().map_err(|error| failed(&error))?;
    let (tell, told) = mpsc::sync_channel(0);
    let mut outcome: Result<Option<Found>, Box<dyn Any + Send>> = Ok(None);
    let watched = pool.in_place_scope(|scope| {
        let outcome = &mut outcome;
        scope.spawn(move |_| {
            *outcome = catch_unwind(AssertUnwindSafe(|| {
                descend(tsne, near, initial, |step| {
                    // The receiver is gone, so the descent must stop. The library has no way to stop it except
                    // unwinding, which prints no message here.
                    if tell.send(step + 1).is_err() {
                        resume_unwind(Box::new(Stopped));
                    }
                })
            }))
            .map(Some);
        });
        told.into_iter().try_for_each(after_step)
    });
    watched?;
    match outcome {
        Ok(found) => found.ok_or_else(|| failed(&"it did not run")),
        Err(cause) => resume_unwind(cause),
    }
}

/// There are two descents, since each may have a learning rate of its own.
fn descend(tsne: &Tsne, near: &[Vec<Neighbor<f32>>], initial: Vec<f32>, mut each: impl FnMut(usize)) -> Found {
    let rows = vec![(); near.len()];
    let early = (tsne.iterations / 4).min(EARLY);
    let images = near.len() as f64;
    let mut exaggerated = tSNE::<f32, (), 2>::new(&rows);
    exaggerated
        .perplexity(tsne.perplexity as f32)
        .epochs(early)
        .early_exaggeration(tsne.exaggeration as f32)
        .stop_lying_epoch(early + 1)
        .momentum(0.5)
        .momentum_switch_epoch(early + 1)
        .learning_rate((images / tsne.exaggeration).max(200.0) as f32)
        .initial_embedding(initial)
        .epoch_callback(|step, _| each(step))
        .barnes_hut_with_neighbors(THETA, near);
    let initial = exaggerated.embedding();
    let affinities = exaggerated.affinities().expect("a fit has affinities");
    drop(exaggerated);
    let mut fit = tSNE::<f32, (), 2>::new(&rows);
    fit.with_affinities(affinities.clone())
        .epochs(tsne.iterations - early)
        .early_exaggeration(1.0)
        .stop_lying_epoch(0)
        .momentum(0.8)
        .learning_rate((RATE * images).max(200.0) as f32)
        .initial_embedding(initial)
        .epoch_callback(|step, _| each(early + step))
        // The affinities exist already, so no distance is computed.
        .barnes_hut(THETA, |(), ()| 0.0);
    let points = Array2::from_shape_vec((near.len(), 2), fit.embedding()).expect("two numbers for each image");
    Found { points, affinities }
}

impl Found {
    /// The Kullback-Leibler divergence between the affinities and those of the map, over all pairs.
    pub(super) fn divergence(&self) -> f64 {
        let point = |i: usize| [f64::from(self.points[[i, 0]]), f64::from(self.points[[i, 1]])];
        let affinity = |a: [f64; 2], b: [f64; 2]| (1.0 + (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).recip();
        let rows = self.points.nrows();
        // The sums of the rows are added in order.
        let sum = |of_row: &(dyn Fn(usize) -> f64 + Sync)| -> f64 {
            (0..rows).into_par_iter().map(of_row).collect::<Vec<f64>>().iter().sum()
        };
        let all = sum(&|i| (0..rows).filter(|&j| j != i).map(|j| affinity(point(i), point(j))).sum());
        let (starts, columns, values) = (self.affinities.rows(), self.affinities.columns(), self.affinities.values());
        let total: f64 = values.iter().map(|&p| f64::from(p)).sum();
        sum(&|i| {
            let pairs = (starts[i]..starts[i + 1]).filter(|&entry| values[entry] > 0.0);
            let terms = pairs.map(|entry| {
                let p = f64::from(values[entry]) / total;
                p * (p * all / affinity(point(i), point(columns[entry] as usize))).ln()
            });
            terms.sum()
        })
    }
}
