//! Each layer of a network: convolution, normalisation, residual and ReLU, forward and backward.

use std::time::Instant;

use candle_core::{Device, Tensor, Var};
use strata::ml::{
    kernels::{Activation, BnParams, ConvParams, Geometry, Norm},
    rng::Stream,
};

use super::{Failure, median};

/// A layer and how often the network has it.
struct Layer {
    count: usize,
    /// Edge of its input, in pixels.
    size: usize,
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    residual: bool,
}

const fn layer(count: usize, size: usize, channels: [usize; 2], window: [usize; 2], residual: bool) -> Layer {
    let ([inputs, outputs], [kernel, stride]) = (channels, window);
    Layer { count, size, inputs, outputs, kernel, stride, residual }
}

/// The reference's bottleneck ResNet with n = 4.
const RESNET: [Layer; 17] = [
    layer(1, 32, [3, 16], [3, 1], false),
    layer(1, 32, [16, 16], [1, 1], false),
    layer(3, 32, [64, 16], [1, 1], false),
    layer(4, 32, [16, 16], [3, 1], false),
    layer(4, 32, [16, 64], [1, 1], true),
    layer(1, 32, [16, 64], [1, 1], false),
    layer(1, 32, [64, 64], [1, 1], false),
    layer(1, 32, [64, 64], [3, 2], false),
    layer(3, 16, [128, 64], [1, 1], false),
    layer(3, 16, [64, 64], [3, 1], false),
    layer(4, 16, [64, 128], [1, 1], true),
    layer(1, 32, [64, 128], [1, 2], false),
    layer(1, 16, [128, 128], [3, 2], false),
    layer(3, 8, [256, 128], [1, 1], false),
    layer(3, 8, [128, 128], [3, 1], false),
    layer(4, 8, [128, 256], [1, 1], true),
    layer(1, 16, [128, 256], [1, 2], false),
];

/// ResNet-18 with a 3x3 stem.
const RESNET18: [Layer; 12] = [
    layer(1, 32, [3, 64], [3, 1], false),
    layer(2, 32, [64, 64], [3, 1], false),
    layer(2, 32, [64, 64], [3, 1], true),
    layer(1, 32, [64, 128], [3, 2], false),
    layer(1, 16, [128, 128], [3, 1], false),
    layer(2, 16, [128, 128], [3, 1], true),
    layer(1, 16, [128, 256], [3, 2], false),
    layer(1, 8, [256, 256], [3, 1], false),
    layer(2, 8, [256, 256], [3, 1], true),
    layer(1, 8, [256, 512], [3, 2], false),
    layer(1, 4, [512, 512], [3, 1], false),
    layer(2, 4, [512, 512], [3, 1], true),
];

/// Prints a line for each layer.
///
/// FLOPs are those of the definition: a layer computed with fewer multiplications shows a higher rate. Bytes are what must be
/// read and written forward: input, weights and product, and with a residual that, the product again and the result. The time
/// backward contains a sum of all results and its gradient.
pub(crate) fn measure(network: &str, batch: usize, repeats: usize) -> Result<(), Failure> {
    let layers: &[Layer] = match network {
        "resnet" => &RESNET,
        "resnet18" => &RESNET18,
        other => return Err(format!("{other}: not one of resnet, resnet18").into()),
    };
    println!("count  layer                        forward                        backward");
    let mut sums = [0.0; 2];
    for layer in layers {
        let [forward, backward] = layer.times(2 * batch, repeats)?;
        let (flops, bytes) = (layer.flops(2 * batch), layer.bytes(2 * batch));
        let Layer { count, size, inputs, outputs, kernel, stride, residual } = *layer;
        println!(
            "{count:>5}  {kernel}x{kernel}/{stride} {inputs:>3} -> {outputs:<3} at {size:<3}{}  {:6.2} ms {:5.0} GFLOP/s {:5.0} MB  \
             {:6.2} ms {:5.0} GFLOP/s",
            if residual { " + residual" } else { "           " },
            forward * 1e3,
            flops / forward / 1e9,
            bytes / 1e6,
            backward * 1e3,
            2.0 * flops / backward / 1e9,
        );
        sums[0] += count as f64 * forward;
        sums[1] += count as f64 * backward;
    }
    println!("all layers: {:.1} ms forward, {:.1} ms backward", sums[0] * 1e3, sums[1] * 1e3);
    Ok(())
}

impl Layer {
    fn pixels(&self) -> usize {
        self.size.div_ceil(self.stride).pow(2)
    }

    fn flops(&self, images: usize) -> f64 {
        2.0 * (images * self.pixels() * self.kernel.pow(2) * self.inputs * self.outputs) as f64
    }

    fn bytes(&self, images: usize) -> f64 {
        let (input, output) = (images * self.size.pow(2) * self.inputs, images * self.pixels() * self.outputs);
        // The product is written; behind it a residual is added, which reads both and writes the result.
        let passes = if self.residual { 4 } else { 1 };
        4.0 * (input + passes * output + self.kernel.pow(2) * self.inputs * self.outputs) as f64
    }

    /// Median seconds forward and backward, after one pass to warm up.
    fn times(&self, images: usize, repeats: usize) -> Result<[f64; 2], Failure> {
        let mut stream = Stream::new(0, "bench");
        let mut variable = |shape: &[usize]| -> Result<Tensor, Failure> {
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.normal()).collect();
            Ok(Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu)?)?.as_tensor().clone())
        };
        let edge = self.size.div_ceil(self.stride);
        let x = variable(&[images, self.size, self.size, self.inputs])?;
        let weight = variable(&[self.outputs, self.inputs, self.kernel, self.kernel])?;
        let (gamma, beta) = (variable(&[self.outputs])?, variable(&[self.outputs])?);
        let residual = if self.residual { Some(variable(&[images, edge, edge, self.outputs])?) } else { None };
        let geometry = Geometry::same_tf(self.kernel, self.stride, [self.size; 2]);
        let (mut forward, mut backward) = (Vec::new(), Vec::new());
        for _ in 0..=repeats {
            let x = Activation::new(&x)?;
            let residual = residual.as_ref().map(Activation::new).transpose()?;
            let start = Instant::now();
            let conv = ConvParams { weight: &weight, bias: None, geometry };
            let bn = BnParams { gamma: &gamma, beta: &beta, eps: 1e-3, norm: Norm::Train };
            let (y, _) = x.conv_bn(conv, bn, residual.as_ref(), true)?;
            forward.push(start.elapsed().as_secs_f64());
            let sum = y.into_tensor()?.sum_all()?;
            let start = Instant::now();
            let gradients = sum.backward()?;
            backward.push(start.elapsed().as_secs_f64());
            drop(gradients);
        }
        Ok([forward, backward].map(|times| median(times[1..].to_vec())))
    }
}
