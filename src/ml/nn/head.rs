//! The projection head of contrastive learning.

use candle_core::Tensor;

use super::layers::{Linear, Mode};
use crate::ml::{Result, init::Scope};

/// Linear layers with ReLU between them.
#[derive(Clone, Debug)]
pub struct Head {
    layers: Vec<Linear>,
}

impl Head {
    /// Layers from `inputs` features through `sizes`, named `0`, `1`, … below `scope`.
    ///
    /// # Errors
    /// If a parameter cannot be made.
    pub fn new(scope: &mut Scope, inputs: usize, sizes: &[usize]) -> Result<Self> {
        let mut inputs = inputs;
        let mut layers = Vec::with_capacity(sizes.len());
        for (index, &outputs) in sizes.iter().enumerate() {
            layers.push(Linear::new(&mut scope.at(&index.to_string()), inputs, outputs)?);
            inputs = outputs;
        }
        Ok(Self { layers })
    }

    /// The activations after each layer for features `[N, F]`: the hidden ones, then the projection.
    ///
    /// # Errors
    /// If the features have another length.
    pub fn forward(&self, features: &Tensor, mode: Mode) -> Result<Vec<Tensor>> {
        let mut outputs: Vec<Tensor> = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let input = outputs.last().unwrap_or(features);
            outputs.push(layer.forward(input, mode, index + 1 < self.layers.len())?);
        }
        Ok(outputs)
    }
}
