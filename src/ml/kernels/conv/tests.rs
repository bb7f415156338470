//! Convolution and its gradients against sums in float64.

use proptest::prelude::*;

use crate::ml::kernels::{
    Geometry,
    autograd::source::Source,
    conv::{
        forward::{forward, pack},
        gradients::{Target, Transposed, backward},
        plan::Plan,
    },
    memory::floats::Floats,
    simd::Isa,
    test_support::*,
};

/// Outputs, input gradient and weight gradient by the definition.
fn reference(n: usize, [h, w]: [usize; 2], i: usize, o: usize, g: &Geometry, operands: [&[f32]; 3]) -> [Vec<f64>; 3] {
    let [x, weights, dy] = operands;
    let [ho, wo] = g.output([h, w]);
    let (k, s, [top, _, left, _]) = (g.kernel, g.stride, g.padding);
    let (mut y, mut dx, mut dw) = (vec![0f64; n * ho * wo * o], vec![0f64; n * h * w * i], vec![0f64; o * i * k * k]);
    for image in 0..n {
        for (oy, ox) in (0..ho).flat_map(|a| (0..wo).map(move |b| (a, b))) {
            for (ky, kx) in (0..k).flat_map(|a| (0..k).map(move |b| (a, b))) {
                let (iy, ix) = (oy * s + ky, ox * s + kx);
                if iy < top || ix < left || iy - top >= h || ix - left >= w {
                    continue;
                }
                let from = ((image * h + iy - top) * w + ix - left) * i;
                let to = ((image * ho + oy) * wo + ox) * o;
                for (b, a) in (0..o).flat_map(|b| (0..i).map(move |a| (b, a))) {
                    let weight = ((b * i + a) * k + ky) * k + kx;
                    y[to + b] += f64::from(x[from + a]) * f64::from(weights[weight]);
                    dx[from + a] += f64::from(dy[to + b]) * f64::from(weights[weight]);
                    dw[weight] += f64::from(dy[to + b]) * f64::from(x[from + a]);
                }
            }
        }
    }
    [y, dx, dw]
}

/// A convolution of `n` images.
#[derive(Clone, Copy, Debug)]
struct Case {
    n: usize,
    size: [usize; 2],
    inputs: usize,
    outputs: usize,
    geometry: Geometry,
    seed: u32,
}

fn check(case: Case) {
    let [height, width] = case.geometry.output(case.size);
    if height == 0 || width == 0 {
        return;
    }
    for isa in Isa::available() {
        check_on(isa, case);
    }
}

/// On one instruction set, with equal bits on 1, 2 and 3 threads.
fn check_on(isa: Isa, case: Case) {
    let Case { n, size, inputs: i, outputs: o, geometry: g, seed } = case;
    let [ho, wo] = g.output(size);
    let plan = Plan { isa, ..Plan::new(n, size, i, o, &g) };
    let x = noise(n * size[0] * size[1] * i, seed);
    let weights = noise(plan.weights(), seed + 1);
    let dy = noise(n * ho * wo * o, seed + 2);
    let add = noise(x.len(), seed + 3);
    let [y64, dx64, dw64] = reference(n, size, i, o, &g, [&x, &weights, &dy]);
    let source = Source::Floats(Floats::Slice(&x));
    let runs = in_pools(|| {
        let (y, _) = forward(&plan, &source, &pack(&plan, &weights), |_| ());
        let transposed = Transposed::new(&plan, &weights);
        let fill = |first: usize, line: &mut [f32]| line.copy_from_slice(&dy[first * o..][..line.len()]);
        let back = |sum| backward(&plan, &source, Some(Target { transposed: &transposed, sum }), fill, |_, _| ());
        let (alone, added) = (back(None), back(Some(add.clone())));
        assert_eq!(alone.weights, added.weights);
        vec![y, alone.inputs.expect("a target"), alone.weights, added.inputs.expect("a target")]
    });
    let sum64: Vec<f64> = dx64.iter().zip(&add).map(|(a, &b)| a + f64::from(b)).collect();
    close("y", &runs[0], &y64);
    close("dx", &runs[1], &dx64);
    close("dw", &runs[2], &dw64);
    close("dx + add", &runs[3], &sum64);
}

#[test]
fn sizes_of_the_networks() {
    for (n, size, inputs, outputs, k, s) in [
        (3, 32, 3, 16, 3, 1),
        (2, 32, 16, 16, 3, 1),
        (2, 32, 64, 16, 1, 1),
        (2, 16, 64, 64, 3, 2),
        (1, 16, 64, 128, 1, 2),
        (3, 8, 128, 128, 3, 1),
        (5, 6, 48, 32, 3, 1),
        (9, 4, 32, 80, 3, 1),
        (1, 33, 3, 64, 7, 2),
    ] {
        let geometry = Geometry::symmetric(k, s);
        let case = Case { n, size: [size; 2], inputs, outputs, geometry, seed: 1 };
        check(case);
        check(Case { geometry: Geometry::same_tf(k, s, [size; 2]), seed: 2, ..case });
    }
}

/// The last unit has fewer images than the others.
#[test]
fn several_images_to_a_unit() {
    for (n, size, inputs, outputs, k, s) in [(9, 4, 86, 88, 3, 1), (9, 5, 88, 86, 3, 2), (9, 3, 260, 256, 1, 2)] {
        let geometry = Geometry::symmetric(k, s);
        let plan = Plan::new(n, [size; 2], inputs, outputs, &geometry);
        assert!(plan.units > 1 && plan.images_of(plan.units - 1) < plan.unit_images, "{plan:?}");
        check(Case { n, size: [size; 2], inputs, outputs, geometry, seed: 1 });
    }
}

fn any_case() -> impl Strategy<Value = Case> {
    let window = (prop::sample::select(vec![1usize, 2, 3, 5, 7]), 1usize..4);
    let shape = (1usize..6, (1usize..12, 1usize..12), (1usize..40, 1usize..40));
    (shape, window, any::<(bool, bool)>(), 0u32..1000).prop_map(|(shape, (kernel, stride), padding, seed)| {
        let (n, (height, width), (inputs, outputs)) = shape;
        let geometry = match padding {
            (true, _) => Geometry::same_tf(kernel, stride, [height, width]),
            (_, true) => Geometry { kernel, stride, padding: [0; 4] },
            _ => Geometry::symmetric(kernel, stride),
        };
        Case { n, size: [height, width], inputs, outputs, geometry, seed }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn any_shape(case in any_case()) {
        check(case);
    }
}
