//! Memory that the kernels work in: results (`buffer`), scratch blocks (`scratch`) and the floats of tensors
//! (`floats`).

pub(crate) mod buffer;
pub(crate) mod floats;
pub(crate) mod scratch;
