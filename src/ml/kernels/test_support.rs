//! Helpers of the tests of kernels: noise, pools of threads, and the comparison with float64.

/// Numbers in [-1, 1) from a small generator.
pub(crate) fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = u64::from(seed) * 2 + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// The result of `f`. It must have the same bits with 1, 2 and 3 threads.
pub(crate) fn in_pools(f: impl Fn() -> Vec<Vec<f32>> + Sync) -> Vec<Vec<f32>> {
    let run = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool").install(&f);
    let [one, two, three] = [1, 2, 3].map(run);
    let bits = |v: &[Vec<f32>]| v.iter().flatten().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert!(bits(&one) == bits(&two) && bits(&one) == bits(&three), "the bits depend on the number of threads");
    one
}

/// Checks that the lists differ by at most 1e-5 of the largest magnitude.
#[track_caller]
pub(crate) fn close(what: &str, got: &[f32], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    let scale = want.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
    let worst = got
        .iter()
        .zip(want)
        .map(|(&a, &b)| (f64::from(a) - b).abs())
        .fold(0.0, |m: f64, x| if x.is_nan() { f64::INFINITY } else { m.max(x) });
    assert!(worst <= 1e-5 * scale, "{what}: off by {worst:e}, largest magnitude {scale:e}");
}
