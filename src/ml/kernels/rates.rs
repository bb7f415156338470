use super::convolve::forward;
use super::convolve_grad::{Transposed, backward};
use super::plan::Plan;
use super::{Geometry, test_support::*};
use std::time::Instant;

fn best(mut f: impl FnMut()) -> f64 {
    (0..12)
        .map(|_| {
            let t = Instant::now();
            f();
            t.elapsed().as_secs_f64()
        })
        .fold(9e9, f64::min)
}

#[test]
#[ignore]
fn rates() {
    let n = 128;
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for (size, i, o, k, s) in [
            (32, 3, 16, 3, 1),
            (32, 16, 16, 3, 1),
            (32, 64, 16, 1, 1),
            (32, 16, 64, 1, 1),
            (32, 64, 64, 3, 2),
            (16, 64, 64, 3, 1),
            (16, 128, 64, 1, 1),
            (16, 64, 128, 1, 1),
            (8, 128, 128, 3, 1),
            (8, 256, 128, 1, 1),
            (8, 128, 256, 1, 1),
            (32, 64, 128, 1, 2),
        ] {
            let g = Geometry::symmetric(k, s);
            let plan = Plan::new(n, [size; 2], i, o, &g);
            let x = noise(n * size * size * i, 1);
            let w = noise(plan.weights(), 2);
            let mut y = vec![0f32; plan.pixels * o];
            let mut dx = vec![0f32; x.len()];
            let flop = 2.0 * (plan.weights() * plan.pixels) as f64 / 1e9;
            let (f, b, wg) = pool.install(|| {
                let packed = plan.pack_forward(&w);
                let f = best(|| {
                    forward(&plan, &x, &packed, &mut y, |_| {});
                });
                let t = Transposed::new(&plan, &w);
                let b = best(|| {
                    backward(&plan, &x, Some((&t, &mut dx)), false, |p, l| l.copy_from_slice(&y[p * o..][..l.len()]));
                });
                let wg = best(|| {
                    backward(&plan, &x, None, false, |p, l| l.copy_from_slice(&y[p * o..][..l.len()]));
                });
                (f, b, wg)
            });
            println!(
                "{threads}t {k}x{k}/{s} {i}->{o} @{size}: fwd {:.0} GF/s ({:.2} ms) bwd {:.0} GF/s ({:.2} ms) dw only {:.0} GF/s",
                flop / f,
                f * 1e3,
                2.0 * flop / b,
                b * 1e3,
                flop / wg
            );
        }
    }
}
