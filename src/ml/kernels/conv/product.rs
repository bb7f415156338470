//! A product of two matrices, a block of rows at a time, without a gradient.

use rayon::prelude::*;

use super::{
    forward::{convolve, pack},
    plan::Plan,
};
use crate::ml::kernels::{memory::scratch::Scratch, simd::Isa};

/// The inner products of each row of `left` `[N, width]` with all rows of `right` `[count, width]`. `each` receives the
/// products of a block of rows, `[rows, count]`, while they are in the cache, and its results are returned in the order
/// of the blocks.
pub(crate) fn row_products<T: Send>(
    left: &[f32],
    width: usize,
    right: &[f32],
    count: usize,
    each: impl Fn(Isa, &[f32]) -> T + Sync,
) -> Vec<T> {
    let plan = Plan::pointwise(left.len() / width.max(1), width, count);
    let (packed, unit) = (pack(&plan, right), plan.whole_unit());
    let blocks = left.par_chunks((unit * width).max(1)).enumerate().with_min_len(8).map_init(
        || Scratch::any(unit * count),
        |products, (index, left)| {
            let products = &mut products[..left.len() / width.max(1) * count];
            convolve(&plan, index, left, &packed, products);
            each(plan.isa, products)
        },
    );
    blocks.collect()
}
