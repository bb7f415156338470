//! One pass over a tensor that changes it in place.

use candle_core::{CpuStorage, InplaceOp3, Layout, Tensor};
use rayon::prelude::*;

use crate::ml::Result;

/// Elements of a chunk.
const CHUNK: usize = 16 * 1024;

struct Pass<F>(F);

/// Calls `f(chunk of target, the same chunk of each source)` for all chunks in parallel. All tensors must be
/// contiguous, float32, of one length, and on the CPU.
///
/// # Errors
/// If a tensor is on another device, of another type, not contiguous, or the target is also a source.
pub(super) fn in_place(
    target: &Tensor,
    [first, second]: [&Tensor; 2],
    f: impl Fn(&mut [f32], [&[f32]; 2]) + Sync,
) -> Result<()> {
    Ok(target.inplace_op3(first, second, &Pass(f))?)
}

fn span(layout: &Layout) -> candle_core::Result<std::ops::Range<usize>> {
    let (start, end) = layout
        .contiguous_offsets()
        .ok_or_else(|| candle_core::Error::Msg("a pass in place needs contiguous tensors".to_owned()))?;
    Ok(start..end)
}

impl<F: Fn(&mut [f32], [&[f32]; 2]) + Sync> InplaceOp3 for Pass<F> {
    fn name(&self) -> &'static str {
        "pass in place"
    }

    fn cpu_fwd(
        &self,
        target: &mut CpuStorage,
        layout: &Layout,
        first: &CpuStorage,
        first_layout: &Layout,
        second: &CpuStorage,
        second_layout: &Layout,
    ) -> candle_core::Result<()> {
        let CpuStorage::F32(target) = target else {
            return Err(candle_core::Error::Msg("a pass in place needs float32".to_owned()));
        };
        let target = &mut target[span(layout)?];
        let mut slices: [&[f32]; 2] = [&[]; 2];
        for (slice, (storage, layout)) in slices.iter_mut().zip([(first, first_layout), (second, second_layout)]) {
            *slice = &storage.as_slice::<f32>()?[span(layout)?];
            if slice.len() != target.len() {
                return Err(candle_core::Error::Msg("a pass in place needs tensors of one length".to_owned()));
            }
        }
        target.par_chunks_mut(CHUNK).enumerate().for_each(|(index, chunk)| {
            let (start, end) = (index * CHUNK, index * CHUNK + chunk.len());
            (self.0)(chunk, slices.map(|slice| &slice[start..end]));
        });
        Ok(())
    }
}
