//! The floats of a tensor as a slice.

use std::ops::Deref;

use candle_core::{CpuStorage, DType, Storage, Tensor};

use crate::ml::{Error, Result};

/// Contiguous floats: borrowed from a vector or from a tensor, or owned.
pub(crate) enum Floats<'a> {
    Slice(&'a [f32]),
    Owned(Vec<f32>),
    Guard(Box<dyn Deref<Target = Storage> + Sync + 'a>, [usize; 2]),
}

impl Deref for Floats<'_> {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        match self {
            Self::Slice(floats) => floats,
            Self::Owned(floats) => floats,
            Self::Guard(guard, [start, end]) => match &***guard {
                Storage::Cpu(CpuStorage::F32(floats)) => &floats[*start..*end],
                _ => &[],
            },
        }
    }
}

impl Floats<'_> {
    /// The floats as a vector.
    pub(crate) fn into_vec(self) -> Vec<f32> {
        match self {
            Self::Owned(floats) => floats,
            other => other.to_vec(),
        }
    }

    /// The elements of a contiguous float32 tensor of the CPU.
    pub(crate) fn of(tensor: &Tensor) -> Floats<'_> {
        let (guard, layout) = tensor.storage_and_layout();
        let start = layout.start_offset();
        Floats::Guard(Box::new(guard), [start, start + layout.shape().elem_count()])
    }
}

/// The tensor itself if it is contiguous, otherwise a contiguous copy.
pub(crate) fn contiguous(tensor: &Tensor) -> Result<Tensor> {
    if tensor.dtype() != DType::F32 {
        return Err(Error::Invalid(format!("the kernels need float32, not {:?}", tensor.dtype())));
    }
    Ok(tensor.contiguous()?)
}
