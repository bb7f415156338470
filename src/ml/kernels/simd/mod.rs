//! Vectors of float32 and the choice of instruction set at run time.

pub(crate) mod strip;

/// The instruction sets that the kernels are compiled for, the narrowest first. A binary contains all those of its
/// architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Isa {
    /// The instructions of every processor of the architecture: SSE2 or NEON, 4 lanes.
    Portable,
    /// 8 lanes, 16 registers, fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 16 lanes, 32 registers.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// The widest set of this processor.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            let wide = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw");
            return if wide { Self::Avx512 } else { Self::Avx2 };
        }
        Self::Portable
    }

    /// All sets of this processor.
    #[cfg(test)]
    pub(crate) fn available() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let all = [Self::Portable, Self::Avx2, Self::Avx512];
        #[cfg(not(target_arch = "x86_64"))]
        let all = [Self::Portable];
        all.into_iter().filter(|isa| *isa <= Self::detect()).collect()
    }

    /// Floats in a vector.
    pub(crate) fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => 16,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => 8,
            Self::Portable => 4,
        }
    }
}

/// A vector register of float32.
///
/// # Safety
/// Every method may only be called where the processor has the instructions of the implementing type, and with
/// pointers to `LANES` (for `splat` one) readable or writable floats; no alignment is needed.
pub(crate) unsafe trait Simd: Copy {
    /// Floats in the vector.
    const LANES: usize;
    /// All zeros.
    unsafe fn zero() -> Self;
    /// One float in every lane.
    unsafe fn splat(from: *const f32) -> Self;
    /// Consecutive floats.
    unsafe fn load(from: *const f32) -> Self;
    /// Writes the lanes.
    unsafe fn store(self, to: *mut f32);
    /// `self + a * b`.
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// `self + other`.
    unsafe fn add(self, other: Self) -> Self;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Simd;
    use std::arch::x86_64::*;

    // SAFETY: the methods are the instructions of AVX-512F; the trait passes their conditions to the caller.
    unsafe impl Simd for __m512 {
        const LANES: usize = 16;
        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: the caller vouches for AVX-512F.
            unsafe { _mm512_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn splat(from: *const f32) -> Self {
            // SAFETY: the caller vouches for AVX-512F and for one float at the pointer.
            unsafe { _mm512_set1_ps(*from) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller vouches for AVX-512F and for `LANES` floats at the pointer.
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller vouches for AVX-512F and for `LANES` floats at the pointer.
            unsafe { _mm512_storeu_ps(to, self) }
        }
        #[inline(always)]
        unsafe fn fma(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller vouches for AVX-512F.
            unsafe { _mm512_fmadd_ps(a, b, self) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller vouches for AVX-512F.
            unsafe { _mm512_add_ps(self, other) }
        }
    }

    // SAFETY: the methods are the instructions of AVX and FMA; the trait hands their conditions to the caller.
    unsafe impl Simd for __m256 {
        const LANES: usize = 8;
        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: the caller vouches for AVX and FMA.
            unsafe { _mm256_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn splat(from: *const f32) -> Self {
            // SAFETY: the caller vouches for AVX and FMA and for one float at the pointer.
            unsafe { _mm256_set1_ps(*from) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller vouches for AVX and FMA and for `LANES` floats at the pointer.
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller vouches for AVX and FMA and for `LANES` floats at the pointer.
            unsafe { _mm256_storeu_ps(to, self) }
        }
        #[inline(always)]
        unsafe fn fma(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller vouches for AVX and FMA.
            unsafe { _mm256_fmadd_ps(a, b, self) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller vouches for AVX and FMA.
            unsafe { _mm256_add_ps(self, other) }
        }
    }
}

// SAFETY: plain Rust; only the conditions on pointers remain, and the trait passes them to the caller.
unsafe impl Simd for [f32; 4] {
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn zero() -> Self {
        [0.0; 4]
    }
    #[inline(always)]
    unsafe fn splat(from: *const f32) -> Self {
        // SAFETY: the caller vouches for one float at the pointer.
        [unsafe { *from }; 4]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for `LANES` floats at the pointer; unaligned access needs no more.
        unsafe { from.cast::<Self>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for `LANES` floats at the pointer; unaligned access needs no more.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        // A fused instruction exists everywhere on aarch64; elsewhere `mul_add` would be a call.
        if cfg!(target_arch = "aarch64") {
            std::array::from_fn(|i| a[i].mul_add(b[i], self[i]))
        } else {
            std::array::from_fn(|i| a[i] * b[i] + self[i])
        }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] + other[i])
    }
}

/// Compiles a safe function once per instruction set, so that the compiler vectorises its loops for each. The set is
/// the first argument of the function.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name(isa: crate::ml::kernels::Isa, $($arg: $type),*) {
            use crate::ml::kernels::Isa;
            #[inline(always)]
            fn body($($arg: $type),*) $body
            assert!(isa <= Isa::detect(), "this processor has no {isa:?}");
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => {
                    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                    fn avx512($($arg: $type),*) {
                        body($($arg),*)
                    }
                    // SAFETY: the processor has these instructions, asserted above.
                    unsafe { avx512($($arg),*) }
                }
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => {
                    #[target_feature(enable = "avx2,fma")]
                    fn avx2($($arg: $type),*) {
                        body($($arg),*)
                    }
                    // SAFETY: the processor has these instructions, asserted above.
                    unsafe { avx2($($arg),*) }
                }
                Isa::Portable => body($($arg),*),
            }
        }
    };
}
pub(crate) use vectorised;
