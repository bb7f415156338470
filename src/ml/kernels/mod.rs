//! The layers' arithmetic: convolution, batch normalisation, linear maps and pooling, forward and backward.
//!
//! Layers are methods of [`Activation`] (in `fused`), which check shapes and choose an implementation: the CPU kernels
//! of this folder, or `candle`, which consists of candle's own operations and runs on every device. A chain of layers
//! has one backward pass, and [`Activation::into_tensor`] ends the chain.
//!
//! Read `operands` and `fused` first, then the folders from the bottom up, since each imports only from those before
//! it: `simd` (vectors and the one matrix product, for each instruction set), `memory`, `norm` (batch normalisation of
//! slices), `autograd` (values between layers, and the backward pass through a chain of them), `conv` (convolution of
//! slices), `modules` (the layers with their backward passes). Sums are divided by sizes alone and added in a fixed
//! order, so the result does not depend on the number of threads. `ml` has no other `unsafe` code.
//!
//! Layouts: activations `[N, H, W, C]` float32, convolution weights `[out, in, height, width]`, linear weights
//! `[out, in]`.

mod autograd;
mod candle;
mod conv;
mod fused;
#[cfg(test)]
mod fused_test;
mod memory;
mod modules;
mod norm;
mod operands;
mod simd;
#[cfg(test)]
pub(crate) mod test_support;

pub use autograd::activation::Activation;
pub use conv::geometry::Geometry;
pub(crate) use conv::product::row_products;
pub use operands::{BnParams, ConvParams, Norm, Stats};
pub(crate) use simd::{Isa, vectorised};
