//! The passes over channels give the same bits on every instruction set of the machine.

use crate::ml::kernels::{
    norm::channel::{
        Combination, Row, ScaleShift, combine, mask_by_output, mask_by_value, mask_combine, offset, scale_shift,
        scale_shift_add, sum_and_product, sum_and_squares,
    },
    simd::Isa,
    test_support::noise,
};

/// The results of all passes for the same numbers.
fn passes(isa: Isa, pixels: usize, channels: usize) -> Vec<u32> {
    let len = pixels * channels;
    let [g, y, residual] = [1, 2, 3].map(|seed| noise(len, seed));
    let rows = [4, 5, 6, 7, 8].map(|seed| Row::new(&noise(channels, seed)));
    let [scale, shift, by_g, by_y, rest] = rows.each_ref().map(Row::get);
    let (map, sum) = (ScaleShift { scale, shift }, Combination { by_g, by_y, rest });
    let mut results = Vec::new();
    let (mut first, mut second) = (vec![0.0; scale.len()], vec![0.0; scale.len()]);
    sum_and_squares(isa, &y, shift, &mut first, &mut second);
    results.push([first.clone(), second.clone()].concat());
    first.fill(0.0);
    second.fill(0.0);
    sum_and_product(isa, &g, &y, shift, &mut first, &mut second);
    results.push([first, second].concat());
    let mut pass = |f: &dyn Fn(&mut [f32])| {
        let mut out = g.clone();
        f(&mut out);
        results.push(out);
    };
    for relu in [true, false] {
        pass(&|out| scale_shift(isa, &y, map, relu, out));
        pass(&|out| scale_shift_add(isa, &y, map, &residual, relu, out));
        pass(&|out| offset(isa, out, shift, relu));
    }
    pass(&|out| mask_by_output(isa, out, &y));
    pass(&|out| mask_by_value(isa, out, &y, map));
    pass(&|out| combine(isa, &residual, &y, sum, out));
    pass(&|out| mask_combine(isa, &residual, &y, map, sum, out));
    results.concat().into_iter().map(f32::to_bits).collect()
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    for (pixels, channels) in [(1, 1), (37, 3), (130, 16), (9, 64), (5, 100), (11, 256)] {
        let portable = passes(Isa::Portable, pixels, channels);
        for isa in Isa::available() {
            assert!(passes(isa, pixels, channels) == portable, "{isa:?} with {pixels} pixels of {channels} channels");
        }
    }
}
