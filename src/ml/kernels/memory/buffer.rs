//! Memory for results.

use std::mem::{ManuallyDrop, MaybeUninit};

use rayon::prelude::*;

/// Floats of a chunk: both operands of a sum fit the L1 cache.
const CHUNK: usize = 8 * 1024;

/// `len` floats of any value, for a kernel that writes them all: zeroing them first would cost a pass over memory.
pub(crate) fn buffer(len: usize) -> Vec<f32> {
    let mut floats: Vec<MaybeUninit<f32>> = Vec::with_capacity(len);
    // SAFETY: `MaybeUninit` needs no value, and the capacity is at least `len`.
    unsafe { floats.set_len(len) };
    let mut floats = ManuallyDrop::new(floats);
    // SAFETY: the parts are those of a vector of elements of the same layout. Every bit pattern is a float, and callers
    // write each element before anything reads it.
    unsafe { Vec::from_raw_parts(floats.as_mut_ptr().cast(), len, floats.capacity()) }
}

/// `sum += more`.
pub(crate) fn add_to(sum: &mut [f32], more: &[f32]) {
    let chunks = sum.par_chunks_mut(CHUNK).with_min_len(8).zip(more.par_chunks(CHUNK));
    chunks.for_each(|(sum, more)| sum.iter_mut().zip(more).for_each(|(sum, x)| *sum += x));
}
