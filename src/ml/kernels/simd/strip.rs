//! The one matrix kernel: a strip `C = A B` or `C += A B` whose operands are read in place.
//!
//! `A` is addressed by two strides and a list of segments, so that one loop computes a convolution over a padded image
//! (where segments are rows of the window), its two gradients and a plain product. Only the weights are packed.

use crate::ml::kernels::simd::{Isa, Simd};

/// Operands of a strip of `rows` by `cols` elements; `cols` is at most [`Kernel::width`].
///
/// Element `(row, k)` of segment `s` of `A` is `a[segments[s] + row * a_row + k * a_step]`; row `k` of segment `s` of
/// `B` is at `b[s * b_segment + k * b_row]`.
#[derive(Clone, Copy)]
pub(crate) struct Strip<'a> {
    pub a: *const f32,
    pub a_row: usize,
    pub a_step: usize,
    pub segments: &'a [usize],
    pub depth: usize,
    pub b: *const f32,
    pub b_row: usize,
    pub b_segment: usize,
    pub c: *mut f32,
    pub c_row: usize,
    pub rows: usize,
    pub cols: usize,
    pub accumulate: bool,
}

/// The kernel for panels of one or two vectors of columns.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    run: unsafe fn(&Strip),
    /// Columns of a panel, a multiple of the vector's lanes: `B` is read in rows of this many floats.
    pub width: usize,
}

impl Kernel {
    /// The kernel of an instruction set of this processor, for `cols` columns in all.
    pub(crate) fn of(isa: Isa, cols: usize) -> Self {
        assert!(isa <= Isa::detect(), "this processor has no {isa:?}");
        let (lanes, single) = (isa.lanes(), cols <= isa.lanes());
        let run: unsafe fn(&Strip) = match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if single => avx512::<8, 1>,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::<8, 2>,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 if single => avx2::<8, 1>,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::<6, 2>,
            Isa::Portable if single => body::<[f32; 4], 8, 1>,
            Isa::Portable => body::<[f32; 4], 6, 2>,
        };
        Self { run, width: if single { lanes } else { 2 * lanes } }
    }

    /// Computes the strip.
    ///
    /// # Safety
    /// All elements of `A` and `C` that the strip names, and `width` floats from the start of each row of `B`, must lie
    /// in live allocations; `C` must not overlap the operands nor be touched by another thread meanwhile.
    pub(crate) unsafe fn run(self, strip: &Strip) {
        debug_assert!(strip.cols <= self.width);
        // SAFETY: `of` chose a function that this processor can run; the rest is the caller's.
        unsafe { (self.run)(strip) }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,fma")]
unsafe fn avx512<const Q: usize, const R: usize>(strip: &Strip) {
    // SAFETY: this function's instructions are those of the vector type; the strip's conditions are the caller's.
    unsafe { body::<std::arch::x86_64::__m512, Q, R>(strip) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<const Q: usize, const R: usize>(strip: &Strip) {
    // SAFETY: this function's instructions are those of the vector type; the strip's conditions are the caller's.
    unsafe { body::<std::arch::x86_64::__m256, Q, R>(strip) }
}

#[inline(always)]
unsafe fn body<S: Simd, const Q: usize, const R: usize>(strip: &Strip) {
    // A stride that the compiler knows becomes an offset inside the instruction.
    if strip.a_row == 1 {
        // SAFETY: the caller's conditions are those of `Kernel::run`, passed on whole.
        unsafe { all_rows::<S, Q, R, true>(strip) }
    } else {
        // SAFETY: the caller's conditions are those of `Kernel::run`, passed on whole.
        unsafe { all_rows::<S, Q, R, false>(strip) }
    }
}

#[inline(always)]
unsafe fn all_rows<S: Simd, const Q: usize, const R: usize, const UNIT: bool>(strip: &Strip) {
    let mut row = 0;
    while row + Q <= strip.rows {
        // SAFETY: the conditions are the caller's; the block's rows lie below `rows`, checked beside.
        unsafe { block::<S, Q, R, UNIT>(strip, row) };
        row += Q;
    }
    if Q > 8 && row + 8 <= strip.rows {
        // SAFETY: the conditions are the caller's; the block's rows lie below `rows`, checked beside.
        unsafe { block::<S, 8, R, UNIT>(strip, row) };
        row += 8;
    }
    if Q > 4 && row + 4 <= strip.rows {
        // SAFETY: the conditions are the caller's; the block's rows lie below `rows`, checked beside.
        unsafe { block::<S, 4, R, UNIT>(strip, row) };
        row += 4;
    }
    if row + 2 <= strip.rows {
        // SAFETY: the conditions are the caller's; the block's rows lie below `rows`, checked beside.
        unsafe { block::<S, 2, R, UNIT>(strip, row) };
        row += 2;
    }
    if row < strip.rows {
        // SAFETY: the conditions are the caller's; the block's rows lie below `rows`, checked beside.
        unsafe { block::<S, 1, R, UNIT>(strip, row) };
    }
}

/// `Q` rows of the strip; the sums stay in registers.
#[inline(always)]
unsafe fn block<S: Simd, const Q: usize, const R: usize, const UNIT: bool>(strip: &Strip, row: usize) {
    // SAFETY: the caller vouches for the instructions, for all elements of `A` and `C` that the strip names and for
    // whole rows of `B`; `row + Q <= rows`, and the pointers only move past the last element after its last use.
    unsafe {
        let a_row = if UNIT { 1 } else { strip.a_row };
        let start = strip.a.add(row * a_row);
        let mut sums = [[S::zero(); R]; Q];
        for (s, &segment) in strip.segments.iter().enumerate() {
            let mut a = start.add(segment);
            let mut b = strip.b.add(s * strip.b_segment);
            for _ in 0..strip.depth {
                let mut columns = [S::zero(); R];
                for (r, column) in columns.iter_mut().enumerate() {
                    *column = S::load(b.add(r * S::LANES));
                }
                for (q, sums) in sums.iter_mut().enumerate() {
                    let x = S::splat(a.add(q * a_row));
                    for (sum, &column) in sums.iter_mut().zip(&columns) {
                        *sum = sum.fma(x, column);
                    }
                }
                a = a.wrapping_add(strip.a_step);
                b = b.wrapping_add(strip.b_row);
            }
        }
        let c = strip.c.add(row * strip.c_row);
        if strip.cols == R * S::LANES {
            for (q, sums) in sums.iter().enumerate() {
                for (r, &sum) in sums.iter().enumerate() {
                    let to = c.add(q * strip.c_row + r * S::LANES);
                    (if strip.accumulate { S::load(to).add(sum) } else { sum }).store(to);
                }
            }
        } else {
            let mut line = [0f32; 64];
            for (q, sums) in sums.iter().enumerate() {
                for (r, &sum) in sums.iter().enumerate() {
                    sum.store(line.as_mut_ptr().add(r * S::LANES));
                }
                let to = std::slice::from_raw_parts_mut(c.add(q * strip.c_row), strip.cols);
                for (to, &sum) in to.iter_mut().zip(&line) {
                    *to = if strip.accumulate { *to + sum } else { sum };
                }
            }
        }
    }
}
