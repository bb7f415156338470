//! The parameters of a convolution and of a batch normalisation, as operands of a layer.

use candle_core::Tensor;

use super::Geometry;

/// The parameters of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct ConvParams<'a> {
    /// Weights, `[O, C, k, k]`.
    pub weight: &'a Tensor,
    /// Bias, `[O]`.
    pub bias: Option<&'a Tensor>,
    /// Window, stride and padding.
    pub geometry: Geometry,
}

/// The parameters of a batch normalisation of C channels.
#[derive(Clone, Copy, Debug)]
pub struct BnParams<'a> {
    /// Scale of each channel, `[C]`.
    pub gamma: &'a Tensor,
    /// Shift of each channel, `[C]`.
    pub beta: &'a Tensor,
    /// Added to the variance.
    pub eps: f64,
    /// The statistics that it uses.
    pub norm: Norm<'a>,
}

/// The statistics that a batch normalisation uses.
#[derive(Clone, Copy, Debug)]
pub enum Norm<'a> {
    /// Those of the batch itself; gradients flow through them.
    Train,
    /// Running averages, `[C]` each.
    Eval {
        /// Running mean.
        mean: &'a Tensor,
        /// Running variance.
        var: &'a Tensor,
    },
}

/// Statistics of one batch, detached from the graph.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Mean of each channel, `[C]`.
    pub mean: Tensor,
    /// Biased variance of each channel, `[C]`.
    pub var: Tensor,
}
