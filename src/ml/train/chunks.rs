//! Large batches in little memory (GradCache, Gao et al. 2021, arXiv 2101.06983).
//!
//! A contrastive loss needs the projections of the whole batch at once, but its gradient with respect to them does not
//! need the network. So all chunks go forward once, and only their projections are kept. The loss gives the gradient of
//! the projections. Then each chunk goes forward again and back, with its part of that gradient. The sum of the
//! gradients of the chunks is exactly the gradient of the batch, except that batch normalisation uses the statistics of
//! each chunk.

use std::ops::Range;

use candle_core::{Tensor, Var, backprop::GradStore};

use crate::ml::{
    Result,
    init::Params,
    loss::{Loss, PseudoLabels},
};

/// Projections of some views, and the features before them.
pub(super) struct Projected {
    /// `[N, D]`, with its graph.
    pub z: Tensor,
    /// `[N, F]`, without a graph.
    pub features: Tensor,
}

/// The result of a batch that went through the network in chunks.
pub(super) struct Whole {
    pub loss: f64,
    pub gradients: GradStore,
    /// Projections and features of all views, without graphs.
    pub projected: Projected,
}

/// The loss of the views `[V B, …]` of B images and its gradients, `chunk` images (all their views) at a time.
///
/// The statistics of each chunk enter the running statistics once.
pub(super) fn gradients(
    views: &Tensor,
    labels: Option<&PseudoLabels>,
    chunk: usize,
    loss: &Loss,
    params: &Params,
    project: impl Fn(&Tensor) -> Result<Projected>,
) -> Result<Whole> {
    let each = loss.views;
    let count = views.dim(0)? / each;
    let chunks: Vec<Range<usize>> = (0..count).step_by(chunk).map(|at| at..(at + chunk).min(count)).collect();
    let before = Running::remember(params)?;
    let mut parts = Vec::with_capacity(chunks.len());
    for images in &chunks {
        let Projected { z, features } = project(&of(views, images, each)?)?;
        parts.push([z.detach(), features]);
    }
    before.restore()?;
    let joined = |part: usize| -> Result<Tensor> {
        let of = |view: usize| {
            let rows = move |(images, parts): (&Range<usize>, &[Tensor; 2])| {
                parts[part].narrow(0, view * images.len(), images.len())
            };
            chunks.iter().zip(&parts).map(rows)
        };
        let all = (0..each).flat_map(of).collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::cat(&all, 0)?)
    };
    let projected = Projected { z: joined(0)?, features: joined(1)? };
    drop(parts);
    let (loss, gradient) = loss.with_gradient(&projected.z, labels)?;
    let mut gradients = GradStore::default();
    for images in &chunks {
        let Projected { z, .. } = project(&of(views, images, each)?)?;
        gradients.extend((z * of(&gradient, images, each)?)?.sum_all()?.backward()?)?;
    }
    Ok(Whole { loss, gradients, projected })
}

/// The rows of all `views` of the images `images`: `[V B, …]` to `[V B', …]`.
fn of(rows: &Tensor, images: &Range<usize>, views: usize) -> Result<Tensor> {
    let (all, count) = (rows.dim(0)? / views, images.len());
    let parts = (0..views).map(|view| rows.narrow(0, view * all + images.start, count));
    Ok(Tensor::cat(&parts.collect::<Result<Vec<_>, _>>()?, 0)?)
}

/// A copy of the running statistics.
struct Running(Vec<(Var, Tensor)>);

impl Running {
    fn remember(params: &Params) -> Result<Self> {
        let copy = |(_, var): &(String, Var)| Ok((var.clone(), var.as_detached_tensor().copy()?));
        Ok(Self(params.buffers().iter().map(copy).collect::<Result<_>>()?))
    }

    fn restore(self) -> Result<()> {
        self.0.into_iter().try_for_each(|(var, old)| Ok(var.set(&old)?))
    }
}

#[cfg(test)]
mod tests;
