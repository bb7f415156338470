//! Convolution on slices. Read `geometry`, `plan` and `tile`, then `forward` and `gradients`, last `winograd` and its
//! `transform`. `product` is the forward pass without windows.

pub(crate) mod forward;
pub(crate) mod geometry;
pub(crate) mod gradients;
pub(crate) mod plan;
pub(crate) mod product;
#[cfg(test)]
mod tests;
pub(crate) mod tile;
mod transform;
mod winograd;
