//! Passes over `[pixels, channels]` buffers with coefficients for each channel.

use crate::ml::kernels::simd::{Isa, vectorised};

/// Columns whose sums stay in registers.
const BLOCK: usize = 64;

/// Coefficients of the channels, repeated until a row of them is long enough for vectors.
#[derive(Clone, Debug)]
pub(crate) struct Row(Vec<f32>);

impl Row {
    /// Repeats `channels` up to at least 64 floats.
    pub(crate) fn new(channels: &[f32]) -> Self {
        Self(channels.repeat(BLOCK.div_ceil(channels.len().max(1))))
    }

    /// The repeated coefficients.
    pub(crate) fn get(&self) -> &[f32] {
        &self.0
    }
}

/// The map `y * scale + shift`, with coefficients for each channel of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScaleShift<'a> {
    pub scale: &'a [f32],
    pub shift: &'a [f32],
}

/// The sum `by_g * g + by_y * y + rest`, with coefficients for each channel of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Combination<'a> {
    pub by_g: &'a [f32],
    pub by_y: &'a [f32],
    pub rest: &'a [f32],
}

/// Two sums of each channel over a chunk, and the number of its pixels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    pub count: f64,
    pub first: Vec<f64>,
    pub second: Vec<f64>,
}

impl Sums {
    fn fold(channels: usize, pixels: usize, first: &[f32], second: &[f32]) -> Self {
        let fold = |row: &[f32]| {
            let mut sums = vec![0f64; channels];
            for row in row.chunks(channels) {
                for (sum, &x) in sums.iter_mut().zip(row) {
                    *sum += f64::from(x);
                }
            }
            sums
        };
        Self { count: pixels as f64, first: fold(first), second: fold(second) }
    }
}

/// The mean of each channel of a chunk `[pixels, channels]`, and the sum of squared distances from it.
pub(crate) fn moments(y: &[f32], channels: usize) -> Sums {
    // Distances are from one of the values, so that the squares stay small even if the mean is large.
    let origin = Row::new(&y[..channels]);
    let (mut first, mut second) = (vec![0f32; origin.get().len()], vec![0f32; origin.get().len()]);
    sum_and_squares(Isa::detect(), y, origin.get(), &mut first, &mut second);
    let pixels = y.len() / channels;
    let mut sums = Sums::fold(channels, pixels, &first, &second);
    for ((mean, m2), &origin) in sums.first.iter_mut().zip(&mut sums.second).zip(origin.get()) {
        *m2 -= *mean * *mean / pixels as f64;
        *mean = *mean / pixels as f64 + f64::from(origin);
    }
    sums
}

/// Mean and sum of squared distances over all chunks, in their order (Chan, Golub and LeVeque 1979).
pub(crate) fn combine_moments(chunks: &[Sums]) -> Sums {
    let mut total = chunks.first().cloned().unwrap_or_default();
    for chunk in chunks.iter().skip(1) {
        let count = total.count + chunk.count;
        let (share, weight) = (chunk.count / count, total.count * chunk.count / count);
        let sums = total.first.iter_mut().zip(&mut total.second);
        for ((mean, m2), (&other, &other_m2)) in sums.zip(chunk.first.iter().zip(&chunk.second)) {
            let distance = other - *mean;
            *mean += distance * share;
            *m2 += other_m2 + distance * distance * weight;
        }
        total.count = count;
    }
    total
}

/// Plain sums over all chunks, in their order.
pub(crate) fn combine_sums(chunks: &[Sums]) -> Sums {
    let mut total = chunks.first().cloned().unwrap_or_default();
    for chunk in chunks.iter().skip(1) {
        total.count += chunk.count;
        for (sum, &x) in total.first.iter_mut().zip(&chunk.first) {
            *sum += x;
        }
        for (sum, &x) in total.second.iter_mut().zip(&chunk.second) {
            *sum += x;
        }
    }
    total
}

vectorised! {
    pub(crate) fn sum_and_squares(y: &[f32], origin: &[f32], first: &mut [f32], second: &mut [f32]) {
        let period = origin.len();
        let whole = y.len() / period * period;
        if period.is_multiple_of(BLOCK) {
            for column in (0..period).step_by(BLOCK) {
                let mut shift = [0f32; BLOCK];
                shift.copy_from_slice(&origin[column..column + BLOCK]);
                let (mut sum, mut squares) = ([0f32; BLOCK], [0f32; BLOCK]);
                for line in y[..whole].chunks_exact(period) {
                    let line = &line[column..column + BLOCK];
                    for j in 0..BLOCK {
                        let distance = line[j] - shift[j];
                        sum[j] += distance;
                        squares[j] += distance * distance;
                    }
                }
                first[column..column + BLOCK].copy_from_slice(&sum);
                second[column..column + BLOCK].copy_from_slice(&squares);
            }
        } else {
            for line in y[..whole].chunks_exact(period) {
                for ((x, origin), (first, second)) in line.iter().zip(origin).zip(first.iter_mut().zip(second.iter_mut())) {
                    *first += x - origin;
                    *second += (x - origin) * (x - origin);
                }
            }
        }
        for ((x, origin), (first, second)) in y[whole..].iter().zip(origin).zip(first.iter_mut().zip(second.iter_mut())) {
            *first += x - origin;
            *second += (x - origin) * (x - origin);
        }
    }
}

/// Sums of `g` and of `g * (y - mean)` of each channel over a chunk.
pub(crate) fn gradient_sums(g: &[f32], y: &[f32], mean: &Row, channels: usize) -> Sums {
    let period = mean.get().len();
    let (mut first, mut second) = (vec![0f32; period], vec![0f32; period]);
    sum_and_product(Isa::detect(), g, y, mean.get(), &mut first, &mut second);
    Sums::fold(channels, y.len() / channels, &first, &second)
}

vectorised! {
    pub(crate) fn sum_and_product(g: &[f32], y: &[f32], mean: &[f32], first: &mut [f32], second: &mut [f32]) {
        let period = mean.len();
        let whole = y.len() / period * period;
        if period.is_multiple_of(BLOCK) {
            for column in (0..period).step_by(BLOCK) {
                let mut shift = [0f32; BLOCK];
                shift.copy_from_slice(&mean[column..column + BLOCK]);
                let (mut sum, mut products) = ([0f32; BLOCK], [0f32; BLOCK]);
                for (g, y) in g[..whole].chunks_exact(period).zip(y[..whole].chunks_exact(period)) {
                    let (g, y) = (&g[column..column + BLOCK], &y[column..column + BLOCK]);
                    for j in 0..BLOCK {
                        sum[j] += g[j];
                        products[j] += g[j] * (y[j] - shift[j]);
                    }
                }
                first[column..column + BLOCK].copy_from_slice(&sum);
                second[column..column + BLOCK].copy_from_slice(&products);
            }
        } else {
            for (g, y) in g[..whole].chunks_exact(period).zip(y[..whole].chunks_exact(period)) {
                for (((g, y), mean), (first, second)) in
                    g.iter().zip(y).zip(mean).zip(first.iter_mut().zip(second.iter_mut()))
                {
                    *first += g;
                    *second += g * (y - mean);
                }
            }
        }
        for (((g, y), mean), (first, second)) in
            g[whole..].iter().zip(&y[whole..]).zip(mean).zip(first.iter_mut().zip(second.iter_mut()))
        {
            *first += g;
            *second += g * (y - mean);
        }
    }
}

vectorised! {
    /// `out = y * scale + shift`, followed by ReLU if `relu` is set.
    pub(crate) fn scale_shift(y: &[f32], map: ScaleShift<'_>, relu: bool, out: &mut [f32]) {
        let ScaleShift { scale, shift } = map;
        let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
        let period = scale.len();
        for (out, y) in out.chunks_mut(period).zip(y.chunks(period)) {
            for ((out, y), (scale, shift)) in out.iter_mut().zip(y).zip(scale.iter().zip(shift)) {
                *out = rectify(y * scale + shift, floor);
            }
        }
    }
}

vectorised! {
    /// `y += offset`, followed by ReLU if `relu` is set.
    pub(crate) fn offset(y: &mut [f32], offset: &[f32], relu: bool) {
        let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
        for y in y.chunks_mut(offset.len()) {
            for (y, offset) in y.iter_mut().zip(offset) {
                *y = rectify(*y + offset, floor);
            }
        }
    }
}

vectorised! {
    /// `out = y * scale + shift + residual`, followed by ReLU if `relu` is set.
    pub(crate) fn scale_shift_add(y: &[f32], map: ScaleShift<'_>, residual: &[f32], relu: bool, out: &mut [f32]) {
        let ScaleShift { scale, shift } = map;
        let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
        let period = scale.len();
        for ((out, y), residual) in out.chunks_mut(period).zip(y.chunks(period)).zip(residual.chunks(period)) {
            for (((out, y), residual), (scale, shift)) in
                out.iter_mut().zip(y).zip(residual).zip(scale.iter().zip(shift))
            {
                *out = rectify(y * scale + shift + residual, floor);
            }
        }
    }
}

/// The larger of the two. A NaN stays a NaN, so that a diverged network is noticed.
#[inline(always)]
fn rectify(x: f32, floor: f32) -> f32 {
    if x < floor { floor } else { x }
}

vectorised! {
    /// Sets `g` to zero where `out` is not positive.
    pub(crate) fn mask_by_output(g: &mut [f32], out: &[f32]) {
        for (g, out) in g.iter_mut().zip(out) {
            *g = if *out > 0.0 { *g } else { 0.0 };
        }
    }
}

vectorised! {
    /// Sets `g` to zero where `y * scale + shift` is not positive.
    pub(crate) fn mask_by_value(g: &mut [f32], y: &[f32], map: ScaleShift<'_>) {
        let ScaleShift { scale, shift } = map;
        let period = scale.len();
        for (g, y) in g.chunks_mut(period).zip(y.chunks(period)) {
            for ((g, y), (scale, shift)) in g.iter_mut().zip(y).zip(scale.iter().zip(shift)) {
                *g = if y * scale + shift > 0.0 { *g } else { 0.0 };
            }
        }
    }
}

vectorised! {
    /// `dy = by_g * g + by_y * y + rest`.
    pub(crate) fn combine(g: &[f32], y: &[f32], sum: Combination<'_>, dy: &mut [f32]) {
        let Combination { by_g, by_y, rest } = sum;
        let period = by_g.len();
        for ((dy, g), y) in dy.chunks_mut(period).zip(g.chunks(period)).zip(y.chunks(period)) {
            for (((dy, g), y), ((by_g, by_y), rest)) in
                dy.iter_mut().zip(g).zip(y).zip(by_g.iter().zip(by_y).zip(rest))
            {
                *dy = by_g * g + by_y * y + rest;
            }
        }
    }
}

vectorised! {
    /// [`mask_by_value`] and [`combine`] in one pass.
    pub(crate) fn mask_combine(
        dout: &[f32], y: &[f32], map: ScaleShift<'_>, sum: Combination<'_>, dy: &mut [f32],
    ) {
        let (ScaleShift { scale, shift }, Combination { by_g, by_y, rest }) = (map, sum);
        let period = by_g.len();
        for ((dy, dout), y) in dy.chunks_mut(period).zip(dout.chunks(period)).zip(y.chunks(period)) {
            let coefficients = scale.iter().zip(shift).zip(by_g.iter().zip(by_y).zip(rest));
            for (((dy, dout), y), ((scale, shift), ((by_g, by_y), rest))) in
                dy.iter_mut().zip(dout).zip(y).zip(coefficients)
            {
                let g = if y * scale + shift > 0.0 { *dout } else { 0.0 };
                *dy = by_g * g + by_y * y + rest;
            }
        }
    }
}
