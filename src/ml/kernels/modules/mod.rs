//! The layers on the CPU, each with its backward pass.

pub(crate) mod cpu;
pub(crate) mod pooling;
