//! The layers' arithmetic: convolution, batch normalisation, linear maps and pooling, forward and backward.
//!
//! Layers are methods of [`Activation`] (`layer`), which check shapes and choose an implementation: the CPU kernels of
//! this folder, or `candle`, made of candle's own operations, which runs on every device. A chain of layers has one backward
//! pass, which begins where [`Activation::into_tensor`] ends the chain (`chain`).
//!
//! On the CPU: `strip` is the one matrix product, written once for each instruction set (`simd`) and chosen at run time.
//! `plan` cuts a convolution into units that fit the cache, `convolve` and `convolve_grad` run it over them, `tile` holds
//! padded copies; `winograd` computes a unit of 3x3 windows and many channels with fewer products, by the transforms of
//! `transform`. `channel` and `normalise` are the passes of batch normalisation. Sums are split by sizes alone and added in
//! a fixed order: the result does not depend on the number of threads. The only `unsafe` code of the crate is here.
//!
//! Layouts: activations `[N, H, W, C]` float32, convolution weights `[out, in, height, width]`, linear weights `[out, in]`.

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
