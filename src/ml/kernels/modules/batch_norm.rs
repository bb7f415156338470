//! A normalisation without a convolution before it.

use std::sync::Arc;

use super::stats;

use crate::ml::{
    Result,
    kernels::{
        BnParams, Norm, Stats,
        autograd::activation::{Activation, Module, Node, Parent},
        memory::{
            floats::{Floats, contiguous},
            scratch::Scratch,
        },
        norm::{
            channel::Sums,
            normalise::{self, Affine},
        },
    },
};

/// A normalisation by itself.
#[derive(Debug)]
struct BatchNorm {
    affine: Affine,
    relu: bool,
}

pub(crate) fn batch_norm(x: &Arc<Node>, bn: BnParams, relu: bool) -> Result<(Activation, Option<Stats>)> {
    let BnParams { gamma, beta, eps, norm } = bn;
    let [gamma, beta] = [contiguous(gamma)?, contiguous(beta)?];
    let (scale, shift, values) = (Floats::of(&gamma), Floats::of(&beta), x.floats());
    let (affine, stats) = match norm {
        Norm::Train => {
            let affine = Affine::of_batch(&normalise::moments(&values, scale.len()), &scale, &shift, eps);
            let stats = stats(affine.mean.clone(), affine.var.clone())?;
            (affine, Some(stats))
        }
        Norm::Eval { mean, var } => {
            let [mean, var] = [contiguous(mean)?, contiguous(var)?];
            (Affine::of_running(&Floats::of(&mean), &Floats::of(&var), &scale, &shift, eps), None)
        }
    };
    let out = affine.apply(&values, relu);
    drop((scale, shift));
    let out = Node::result(x.dims.clone(), out, &[x], &[&gamma, &beta], || Box::new(BatchNorm { affine, relu }));
    Ok((out, stats))
}

impl Module for BatchNorm {
    fn backward(
        &self,
        parameters: &[Floats],
        _: &[f32],
        gradient: Vec<f32>,
        _: Option<Sums>,
        parents: &mut [Parent],
    ) -> Vec<Vec<f32>> {
        let x = &mut parents[0];
        let mut scratch = Scratch::any(0);
        let values = x.value.chunk(0..x.value.len(), &mut scratch);
        let bn = self.affine.backward(&parameters[0], values, &gradient, self.relu);
        let gradients = vec![bn.gamma.clone(), bn.beta.clone()];
        let dx = x.tracked.then(|| bn.all());
        if let Some(dx) = dx {
            x.add(dx);
        }
        gradients
    }
}
