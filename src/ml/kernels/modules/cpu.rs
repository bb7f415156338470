//! Convolution, normalisation and linear layers on the CPU kernels.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use crate::ml::Result;
use crate::ml::kernels::autograd::activation::{Activation, Data, Floats, Layer, Node, Parent, contiguous};
use crate::ml::kernels::autograd::source::{Normalised, Source};
use crate::ml::kernels::conv::forward::forward;
use crate::ml::kernels::conv::gradients::{Transposed, backward};
use crate::ml::kernels::conv::plan::Plan;
use crate::ml::kernels::conv::tile::Scratch;
use crate::ml::kernels::memory::buffer::buffer;
use crate::ml::kernels::norm::channel;
use crate::ml::kernels::norm::channel::Sums;
use crate::ml::kernels::norm::normalise::{self, Affine};
use crate::ml::kernels::simd::Isa;
use crate::ml::kernels::{BnParams, ConvParams, Norm, Stats};

/// A convolution and its normalisation, which share one pass over the outputs.
#[derive(Debug)]
struct ConvBn {
    plan: Plan,
    /// With the outputs of the convolution, without its bias.
    normalised: Arc<Normalised>,
    bias: bool,
    residual: bool,
    /// Whether the statistics are running ones.
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
    let mut y = buffer(plan.pixels * plan.outputs);
    let packed = plan.pack_forward(&Floats::of(&weight));

    let (scale, shift) = (Floats::of(&gamma), Floats::of(&beta));
    let (affine, stats) = match norm {
        Norm::Train => {
            let chunks = convolve_with_moments(&plan, &x.source(), &packed, &mut y);
            let affine = Affine::of_batch(&channel::combine_moments(&chunks), &scale, &shift, eps);
            let mean = affine.mean.iter().zip(&offset).map(|(mean, bias)| mean + bias).collect();
            let stats = stats(mean, affine.var.clone())?;
            (affine, Some(stats))
        }
        Norm::Eval { mean, var } => {
            forward(&plan, &x.source(), &packed, &mut y, |_| {});
            let [mean, var] = [contiguous(mean)?, contiguous(var)?];
            let mean: Vec<f32> = Floats::of(&mean).iter().zip(&offset).map(|(mean, bias)| mean - bias).collect();
            (Affine::of_running(&mean, &Floats::of(&var), &scale, &shift, eps), None)
        }
    };
    drop((scale, shift));

    let normalised = Arc::new(Normalised { y, affine, relu });
    let out = match residual {
        Some(residual) => Data::Floats(normalised.affine.apply(&normalised.y, Some(&residual.source()), relu)),
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

impl Layer for ConvBn {
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
        let behind = match (residual, *relu) {
            _ if sums.is_some() => affine.behind(gamma, y, &gradient, &sums.unwrap_or_default()),
            ([], relu) => affine.backward(gamma, y, &gradient, relu),
            ([_], true) => affine.backward_add(gamma, y, out, &mut gradient),
            ([_], false) | ([_, ..], _) => affine.backward(gamma, y, &gradient, false),
        };
        let fill = |first: usize, line: &mut [f32]| behind.line(first, line);
        let weights = into_input(&self.plan, &mut x[0], weight, fill);
        let mut gradients = vec![weights, behind.gamma.clone(), behind.beta.clone()];
        if self.bias {
            // The batch's mean takes a bias away again.
            gradients.push(if self.frozen { behind.bias() } else { vec![0.0; self.plan.outputs] });
        }
        drop(behind);
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

/// Gradients of a convolution's weights, and of its input where that is wanted.
fn into_input(plan: &Plan, x: &mut Parent, weight: &[f32], fill: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    if !x.tracked {
        return backward(plan, &x.value, None, false, fill, |_, _| ()).0;
    }
    let accumulate = x.gradient.is_some();
    let mut dx = x.gradient.take().unwrap_or_else(|| buffer(x.value.len()));
    let transposed = Transposed::new(plan, weight);
    let (value, into) = (&x.value, Some((&transposed, &mut dx[..])));
    let weights = if let Some(layer) = x.layer {
        let finish = |first: usize, g: &mut [f32]| layer.prepare(first, value.stored(first..first + g.len()), g);
        let (weights, sums) = backward(plan, value, into, accumulate, fill, finish);
        x.sums = Some(channel::combine_sums(&sums));
        weights
    } else {
        backward(plan, value, into, accumulate, fill, |_, _| ()).0
    };
    x.gradient = Some(dx);
    weights
}

fn convolve_with_moments(plan: &Plan, x: &Source, packed: &[f32], y: &mut [f32]) -> Vec<channel::Sums> {
    forward(plan, x, packed, y, |y| channel::moments(y, plan.outputs))
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

/// A convolution or linear map with an optional bias and ReLU.
#[derive(Debug)]
struct Affinely {
    plan: Plan,
    relu: bool,
    bias: bool,
}

/// `conv(x) + bias`.
pub(crate) fn conv2d(x: &Arc<Node>, conv: ConvParams) -> Result<Activation> {
    let (plan, out_dims) = plan(x, conv)?;
    affinely(x, plan, out_dims.to_vec(), conv.weight, conv.bias, false)
}

/// `act(x weight^T + bias)`.
pub(crate) fn linear(
    x: &Arc<Node>,
    rows: usize,
    weight: &Tensor,
    bias: Option<&Tensor>,
    relu: bool,
) -> Result<Activation> {
    let (outputs, inputs) = weight.dims2()?;
    affinely(x, Plan::pointwise(rows, inputs, outputs), vec![rows, outputs], weight, bias, relu)
}

fn affinely(
    x: &Arc<Node>,
    plan: Plan,
    dims: Vec<usize>,
    weight: &Tensor,
    bias: Option<&Tensor>,
    relu: bool,
) -> Result<Activation> {
    let weight = contiguous(weight)?;
    let bias = bias.map(contiguous).transpose()?;
    let mut y = buffer(plan.pixels * plan.outputs);
    let packed = plan.pack_forward(&Floats::of(&weight));
    let offset = bias.as_ref().map(|bias| channel::Row::new(&Floats::of(bias)));
    forward(&plan, &x.source(), &packed, &mut y, |y| {
        if offset.is_some() || relu {
            channel::offset(Isa::detect(), y, offset.as_ref().map_or(&[0.0; 64], |offset| offset.get()), relu);
        }
    });
    let parameters: Vec<&Tensor> = std::iter::once(&weight).chain(&bias).collect();
    let bias = bias.is_some();
    Ok(Node::result(dims, y, &[x], &parameters, || Box::new(Affinely { plan, relu, bias })))
}

impl Layer for Affinely {
    fn backward(
        &self,
        parameters: &[Floats],
        out: &[f32],
        mut gradient: Vec<f32>,
        _: Option<Sums>,
        parents: &mut [Parent],
    ) -> Vec<Vec<f32>> {
        if self.relu {
            normalise::mask(&mut gradient, out);
        }
        let outputs = self.plan.outputs;
        let fill = |first: usize, line: &mut [f32]| line.copy_from_slice(&gradient[first * outputs..][..line.len()]);
        let mut gradients = vec![into_input(&self.plan, &mut parents[0], &parameters[0], fill)];
        if self.bias {
            gradients.push(normalise::channel_sums(&gradient, outputs));
        }
        gradients
    }
}

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
    let out = affine.apply(&values, None, relu);
    drop((scale, shift));
    let out = Node::result(x.dims.clone(), out, &[x], &[&gamma, &beta], || Box::new(BatchNorm { affine, relu }));
    Ok((out, stats))
}

impl Layer for BatchNorm {
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
        let behind = self.affine.backward(&parameters[0], values, &gradient, self.relu);
        let gradients = vec![behind.gamma.clone(), behind.beta.clone()];
        let dx = x.tracked.then(|| behind.all());
        if let Some(dx) = dx {
            x.add(dx);
        }
        gradients
    }
}
