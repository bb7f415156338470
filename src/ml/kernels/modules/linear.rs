//! A convolution or a linear map with a bias and ReLU.

use std::sync::Arc;

use candle_core::Tensor;

use super::{into_input, plan};

use crate::ml::{
    Result,
    kernels::{
        ConvParams,
        autograd::activation::{Activation, Module, Node, Parent},
        conv::{
            forward::{forward, pack},
            plan::Plan,
        },
        memory::floats::{Floats, contiguous},
        norm::{
            channel::{self, Sums},
            normalise,
        },
        simd::Isa,
    },
};

/// A convolution or a linear map, with an optional bias and ReLU.
#[derive(Debug)]
struct Linear {
    plan: Plan,
    relu: bool,
    bias: bool,
}

/// `conv(x) + bias`.
pub(crate) fn conv2d(x: &Arc<Node>, conv: ConvParams) -> Result<Activation> {
    let (plan, out_dims) = plan(x, conv)?;
    linear_map(x, plan, out_dims.to_vec(), conv.weight, conv.bias, false)
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
    linear_map(x, Plan::pointwise(rows, inputs, outputs), vec![rows, outputs], weight, bias, relu)
}

fn linear_map(
    x: &Arc<Node>,
    plan: Plan,
    dims: Vec<usize>,
    weight: &Tensor,
    bias: Option<&Tensor>,
    relu: bool,
) -> Result<Activation> {
    let weight = contiguous(weight)?;
    let bias = bias.map(contiguous).transpose()?;
    let packed = pack(&plan, &Floats::of(&weight));
    let offset = bias.as_ref().map(|bias| channel::Row::new(&Floats::of(bias)));
    let (y, _) = forward(&plan, &x.source(), &packed, |y| {
        if offset.is_some() || relu {
            channel::offset(Isa::detect(), y, offset.as_ref().map_or(&[0.0; 64], |offset| offset.get()), relu);
        }
    });
    let parameters: Vec<&Tensor> = std::iter::once(&weight).chain(&bias).collect();
    let bias = bias.is_some();
    Ok(Node::result(dims, y, &[x], &parameters, || Box::new(Linear { plan, relu, bias })))
}

impl Module for Linear {
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
