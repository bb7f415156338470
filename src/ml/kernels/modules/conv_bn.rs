//! A convolution and its normalisation.

use std::sync::Arc;

use candle_core::Tensor;

use super::{into_input, plan, stats};

use crate::ml::{
    Result,
    kernels::{
        BnParams, ConvParams, Norm, Stats,
        autograd::{
            activation::{Activation, Data, Module, Node, Parent},
            source::Normalised,
        },
        conv::{
            forward::{forward, pack},
            plan::Plan,
        },
        memory::floats::{Floats, contiguous},
        norm::{
            channel::{self, Sums},
            normalise::Affine,
        },
    },
};

/// A convolution and its normalisation, which share one pass over the outputs.
#[derive(Debug)]
struct ConvBn {
    plan: Plan,
    /// The normalisation, with the outputs of the convolution without its bias.
    normalised: Arc<Normalised>,
    bias: bool,
    residual: bool,
    /// Whether the statistics are running averages.
    frozen: bool,
}

pub(crate) fn conv_bn(
    x: &Arc<Node>,
    conv: ConvParams,
    bn: BnParams,
    residual: Option<&Arc<Node>>,
    relu: bool,
) -> Result<(Activation, Option<Stats>)> {
    let (plan, out_dims) = plan(x, conv)?;
    let BnParams { gamma, beta, eps, norm } = bn;
    let ConvParams { weight, bias, .. } = conv;
    let [weight, gamma, beta] = [contiguous(weight)?, contiguous(gamma)?, contiguous(beta)?];
    let bias = bias.map(contiguous).transpose()?;
    let offset = bias.as_ref().map_or_else(|| vec![0.0; plan.outputs], |bias| Floats::of(bias).to_vec());
    let packed = pack(&plan, &Floats::of(&weight));

    let (scale, shift) = (Floats::of(&gamma), Floats::of(&beta));
    let (y, affine, stats) = match norm {
        Norm::Train => {
            let (y, chunks) = forward(&plan, &x.source(), &packed, |y| channel::moments(y, plan.outputs));
            let affine = Affine::of_batch(&channel::combine_moments(&chunks), &scale, &shift, eps);
            let mean = affine.mean.iter().zip(&offset).map(|(mean, bias)| mean + bias).collect();
            let stats = stats(mean, affine.var.clone())?;
            (y, affine, Some(stats))
        }
        Norm::Eval { mean, var } => {
            let (y, _) = forward(&plan, &x.source(), &packed, |_| ());
            let [mean, var] = [contiguous(mean)?, contiguous(var)?];
            let mean: Vec<f32> = Floats::of(&mean).iter().zip(&offset).map(|(mean, bias)| mean - bias).collect();
            (y, Affine::of_running(&mean, &Floats::of(&var), &scale, &shift, eps), None)
        }
    };
    drop((scale, shift));

    let normalised = Arc::new(Normalised { y, affine, relu });
    let out = match residual {
        Some(residual) => Data::Floats(normalised.plus(&residual.source())),
        None => Data::Normalised(normalised.clone()),
    };

    let parents: Vec<&Arc<Node>> = std::iter::once(x).chain(residual).collect();
    let parameters: Vec<&Tensor> = [&weight, &gamma, &beta].into_iter().chain(&bias).collect();
    let (bias, residual, frozen) = (bias.is_some(), residual.is_some(), stats.is_none());
    let out = Node::result(out_dims.to_vec(), out, &parents, &parameters, || {
        Box::new(ConvBn { plan, normalised, bias, residual, frozen })
    });
    Ok((out, stats))
}

impl Module for ConvBn {
    fn backward(
        &self,
        parameters: &[Floats],
        out: &[f32],
        mut gradient: Vec<f32>,
        sums: Option<Sums>,
        parents: &mut [Parent],
    ) -> Vec<Vec<f32>> {
        let (weight, gamma) = (&parameters[0], &parameters[1]);
        let (x, residual) = parents.split_at_mut(1);
        let Normalised { y, affine, relu } = &*self.normalised;
        let bn = match (residual, *relu) {
            _ if sums.is_some() => affine.backward_prepared(gamma, y, &gradient, &sums.unwrap_or_default()),
            ([], relu) => affine.backward(gamma, y, &gradient, relu),
            ([_], true) => affine.backward_add(gamma, y, out, &mut gradient),
            ([_], false) | ([_, ..], _) => affine.backward(gamma, y, &gradient, false),
        };
        let fill = |first: usize, line: &mut [f32]| bn.line(first, line);
        let weights = into_input(&self.plan, &mut x[0], weight, fill);
        let mut gradients = vec![weights, bn.gamma.clone(), bn.beta.clone()];
        if self.bias {
            // Subtracting the mean of the batch cancels a bias, so its gradient is zero.
            gradients.push(if self.frozen { bn.bias() } else { vec![0.0; self.plan.outputs] });
        }
        drop(bn);
        if let Some(residual) = parents.get_mut(1).filter(|residual| residual.tracked) {
            residual.add(gradient);
        }
        gradients
    }

    fn prepares(&self) -> bool {
        true
    }

    fn prepare(&self, first: usize, out: &[f32], gradient: &mut [f32]) -> Sums {
        let Normalised { y, affine, relu } = &*self.normalised;
        affine.prepare(&y[first..first + gradient.len()], self.residual.then_some(out), *relu, gradient)
    }
}
