//! Memory that the kernels work in.

pub(crate) mod buffer;
