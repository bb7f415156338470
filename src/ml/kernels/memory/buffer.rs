//! Memory for results, written in parallel.
//!
//! Zeroing a whole buffer first would cost a pass over memory. Here each piece is set to zero by the thread that writes
//! it, right before it does, so the zeros only reach the cache.

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// Floats of a chunk: both operands of a sum fit the L1 cache.
const CHUNK: usize = 8 * 1024;

/// Memory for a part of a result. The iterator returns it in pieces of zeros.
pub(crate) struct Pieces<'a> {
    rest: &'a mut [MaybeUninit<f32>],
    size: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a mut [f32];

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        let (piece, rest) = rest.split_at_mut(self.size.min(rest.len()));
        self.rest = rest;
        (!piece.is_empty()).then(|| zeroed(piece))
    }
}

fn zeroed(piece: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    piece.fill(MaybeUninit::new(0.0));
    // SAFETY: every element has just been written.
    unsafe { piece.assume_init_mut() }
}

/// A vector that tasks write in parallel. Task `t` receives `lengths[t]` floats in pieces of `size` floats; the results
/// of the tasks are returned in their order.
pub(crate) fn in_tasks<T: Send>(
    lengths: &[usize],
    size: usize,
    write: impl Fn(usize, &mut Pieces) -> T + Sync,
) -> (Vec<f32>, Vec<T>) {
    let len = lengths.iter().sum();
    let mut floats = Vec::with_capacity(len);
    let mut rest = &mut floats.spare_capacity_mut()[..len];
    let mut tasks = Vec::with_capacity(lengths.len());
    for &length in lengths {
        let (own, after) = rest.split_at_mut(length);
        rest = after;
        tasks.push(Pieces { rest: own, size: size.max(1) });
    }
    let run = |(task, mut pieces): (usize, Pieces)| {
        let result = write(task, &mut pieces);
        pieces.for_each(drop);
        result
    };
    let results = tasks.into_par_iter().enumerate().map(run).collect();
    // SAFETY: the capacity is at least `len`. The pieces of the tasks cover all `len` floats, and each piece was set to
    // zero when it was taken, by `write` or by the loop after it.
    unsafe { floats.set_len(len) };
    (floats, results)
}

/// A vector of `len` floats that is written in parallel, in chunks of `size` floats of which a thread takes at least
/// `least`. `write(scratch, index, chunk)` receives each chunk as zeros.
pub(crate) fn in_chunks<S>(
    len: usize,
    size: usize,
    least: usize,
    scratch: impl Fn() -> S + Send + Sync,
    write: impl Fn(&mut S, usize, &mut [f32]) + Send + Sync,
) -> Vec<f32> {
    let mut floats = Vec::with_capacity(len);
    let chunks = floats.spare_capacity_mut()[..len].par_chunks_mut(size.max(1)).enumerate().with_min_len(least);
    chunks.for_each_init(scratch, |scratch, (index, chunk)| write(scratch, index, zeroed(chunk)));
    // SAFETY: the capacity is at least `len`, and each of the chunks, which cover all `len` floats, was set to zero.
    unsafe { floats.set_len(len) };
    floats
}

/// `sum += more`.
pub(crate) fn add_to(sum: &mut [f32], more: &[f32]) {
    let chunks = sum.par_chunks_mut(CHUNK).with_min_len(8).zip(more.par_chunks(CHUNK));
    chunks.for_each(|(sum, more)| sum.iter_mut().zip(more).for_each(|(sum, x)| *sum += x));
}
