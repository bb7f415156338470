//! The layers on the CPU, each with its backward pass. Read `pooling` first, then `linear`, `conv_bn` and `batch_norm`.

pub(crate) mod batch_norm;
pub(crate) mod conv_bn;
pub(crate) mod linear;
pub(crate) mod pooling;

use candle_core::{Device, Tensor};

use super::autograd::activation::{Node, Parent};
use super::conv::{
    gradients::{Gradients, Target, Transposed, backward},
    plan::Plan,
};
use super::norm::channel;
use super::{ConvParams, Stats};

use crate::ml::Result;

/// Computes the gradient of a convolution's input, if it is tracked, and returns that of the weights.
fn into_input(plan: &Plan, x: &mut Parent, weight: &[f32], fill: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    if !x.tracked {
        return backward(plan, &x.value, None, fill, |_, _| ()).weights;
    }
    let transposed = Transposed::new(plan, weight);
    let (value, target) = (&x.value, Some(Target { transposed: &transposed, sum: x.gradient.take() }));
    if let Some(layer) = x.layer {
        let finish = |first: usize, g: &mut [f32]| layer.prepare(first, value.stored(first..first + g.len()), g);
        let Gradients { weights, inputs, finished } = backward(plan, value, target, fill, finish);
        x.sums = Some(channel::combine_sums(&finished));
        x.gradient = inputs;
        weights
    } else {
        let Gradients { weights, inputs, .. } = backward(plan, value, target, fill, |_, _| ());
        x.gradient = inputs;
        weights
    }
}

/// The plan of a convolution of `x`, and the dimensions of its output.
fn plan(x: &Node, conv: ConvParams) -> Result<(Plan, [usize; 4])> {
    let [n, height, width, inputs] = x.dims4()?;
    let (outputs, g) = (conv.weight.dim(0)?, &conv.geometry);
    let [rows, columns] = g.output([height, width]);
    Ok((Plan::new(n, [height, width], inputs, outputs, g), [n, rows, columns, outputs]))
}

fn stats(mean: Vec<f32>, var: Vec<f32>) -> Result<Stats> {
    let channels = mean.len();
    Ok(Stats {
        mean: Tensor::from_vec(mean, channels, &Device::Cpu)?,
        var: Tensor::from_vec(var, channels, &Device::Cpu)?,
    })
}
