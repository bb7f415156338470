//! Batch normalisation of `[pixels, channels]`, forward and backward, with ReLU and a residual in the same pass.

use rayon::prelude::*;

use crate::ml::kernels::{
    memory::buffer::in_chunks,
    norm::channel::{self, Combination, Row, ScaleShift, Sums},
    simd::Isa,
};

/// Floats of a chunk: an operand of it fits the L1 cache.
const CHUNK: usize = 8 * 1024;

/// A channel's affine map: `(y - mean) / sqrt(var + eps) * gamma + beta`.
#[derive(Clone, Debug)]
pub(crate) struct Affine {
    pub mean: Vec<f32>,
    pub var: Vec<f32>,
    inverse: Vec<f64>,
    scale: Row,
    shift: Row,
    centre: Row,
    /// Whether the statistics are those of the batch, so that gradients flow through them.
    batch: bool,
    channels: usize,
    /// Floats of a chunk, whole pixels.
    pub chunk: usize,
}

/// Gradients of one normalisation except that of its input, which [`Backward::line`] computes where it is needed.
pub(crate) struct Backward<'a> {
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
    affine: &'a Affine,
    y: &'a [f32],
    dout: &'a [f32],
    masked: bool,
    by_g: Row,
    by_y: Row,
    rest: Row,
}

impl Affine {
    /// The normalisation by the statistics of the batch.
    pub(crate) fn of_batch(moments: &Sums, gamma: &[f32], beta: &[f32], eps: f64) -> Self {
        let var: Vec<f64> = moments.second.iter().map(|m2| (m2 / moments.count).max(0.0)).collect();
        Self::new(&moments.first, &var, gamma, beta, eps, true)
    }

    /// The normalisation by given statistics.
    pub(crate) fn of_running(mean: &[f32], var: &[f32], gamma: &[f32], beta: &[f32], eps: f64) -> Self {
        let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        Self::new(&wide(mean), &wide(var), gamma, beta, eps, false)
    }

    fn new(mean: &[f64], var: &[f64], gamma: &[f32], beta: &[f32], eps: f64, batch: bool) -> Self {
        let inverse: Vec<f64> = var.iter().map(|var| 1.0 / (var + eps).sqrt()).collect();
        let scale: Vec<f64> = inverse.iter().zip(gamma).map(|(inverse, &gamma)| inverse * f64::from(gamma)).collect();
        let shift = mean.iter().zip(&scale).zip(beta).map(|((mean, scale), &beta)| f64::from(beta) - mean * scale);
        let shift = narrow(shift);
        let (scale, mean) = (narrow(scale), narrow(mean.iter().copied()));
        Self {
            var: narrow(var.iter().copied()),
            inverse,
            scale: Row::new(&scale),
            shift: Row::new(&shift),
            centre: Row::new(&mean),
            batch,
            channels: mean.len(),
            chunk: (CHUNK / mean.len().max(1)).max(1) * mean.len(),
            mean,
        }
    }

    /// `act(affine(y))` of all of `y`.
    pub(crate) fn apply(&self, y: &[f32], relu: bool) -> Vec<f32> {
        in_chunks(
            y.len(),
            self.chunk,
            8,
            || (),
            |(), j, out| {
                self.line(&y[j * self.chunk..][..out.len()], relu, out);
            },
        )
    }

    fn map(&self) -> ScaleShift<'_> {
        ScaleShift { scale: self.scale.get(), shift: self.shift.get() }
    }

    /// `act(affine(y))` of whole pixels.
    pub(crate) fn line(&self, y: &[f32], relu: bool, out: &mut [f32]) {
        channel::scale_shift(Isa::detect(), y, self.map(), relu, out);
    }

    /// `act(affine(y) + residual)` of whole pixels.
    pub(crate) fn add_line(&self, y: &[f32], residual: &[f32], relu: bool, out: &mut [f32]) {
        channel::scale_shift_add(Isa::detect(), y, self.map(), residual, relu, out);
    }

    /// The gradients of `out = act(affine(y))`. With `relu` the mask is computed from `y` again.
    pub(crate) fn backward<'a>(&'a self, gamma: &[f32], y: &'a [f32], dout: &'a [f32], relu: bool) -> Backward<'a> {
        let (chunk, channels) = (self.chunk, self.channels);
        let sums =
            y.par_chunks(chunk).with_min_len(8).enumerate().map_init(Vec::new, |masked: &mut Vec<f32>, (j, y)| {
                let dout = &dout[j * chunk..][..y.len()];
                if !relu {
                    return channel::gradient_sums(dout, y, &self.centre, channels);
                }
                masked.resize(chunk, 0.0);
                let g = &mut masked[..y.len()];
                g.copy_from_slice(dout);
                channel::mask_by_value(Isa::detect(), g, y, self.map());
                channel::gradient_sums(g, y, &self.centre, channels)
            });
        self.backward_with(gamma, y, dout, relu, &channel::combine_sums(&sums.collect::<Vec<_>>()))
    }

    /// Masks a chunk of the gradient of `out = act(affine(y) + residual)`, and returns the sums of the chunk for
    /// [`Affine::backward_prepared`]. `out` must be given if there is a residual.
    pub(crate) fn prepare(&self, y: &[f32], out: Option<&[f32]>, relu: bool, g: &mut [f32]) -> Sums {
        match out {
            _ if !relu => {}
            Some(out) => channel::mask_by_output(Isa::detect(), g, out),
            None => channel::mask_by_value(Isa::detect(), g, y, self.map()),
        }
        channel::gradient_sums(g, y, &self.centre, self.channels)
    }

    /// The gradients for a prepared gradient `g` of the output and the sums of all its chunks.
    pub(crate) fn backward_prepared<'a>(
        &'a self,
        gamma: &[f32],
        y: &'a [f32],
        g: &'a [f32],
        sums: &Sums,
    ) -> Backward<'a> {
        self.backward_with(gamma, y, g, false, sums)
    }

    /// The gradients of `out = relu(affine(y) + residual)`. `gradient` is that of `out`, and becomes that of the
    /// residual.
    pub(crate) fn backward_add<'a>(
        &'a self,
        gamma: &[f32],
        y: &'a [f32],
        out: &[f32],
        gradient: &'a mut [f32],
    ) -> Backward<'a> {
        let (chunk, channels) = (self.chunk, self.channels);
        let sums = gradient.par_chunks_mut(chunk).with_min_len(8).enumerate().map(|(j, g)| {
            let span = j * chunk..j * chunk + g.len();
            channel::mask_by_output(Isa::detect(), g, &out[span.clone()]);
            channel::gradient_sums(g, &y[span], &self.centre, channels)
        });
        let sums = channel::combine_sums(&sums.collect::<Vec<_>>());
        self.backward_with(gamma, y, gradient, false, &sums)
    }

    fn backward_with<'a>(
        &'a self,
        gamma: &[f32],
        y: &'a [f32],
        dout: &'a [f32],
        masked: bool,
        sums: &Sums,
    ) -> Backward<'a> {
        let count = sums.count.max(1.0);
        let through = if self.batch { 1.0 / count } else { 0.0 };
        let scale: Vec<f64> =
            self.inverse.iter().zip(gamma).map(|(inverse, &gamma)| inverse * f64::from(gamma)).collect();
        let by_y: Vec<f64> = scale
            .iter()
            .zip(&self.inverse)
            .zip(&sums.second)
            .map(|((scale, inverse), sum)| -scale * inverse * inverse * sum * through)
            .collect();
        let rest = scale
            .iter()
            .zip(&sums.first)
            .zip(by_y.iter().zip(&self.mean))
            .map(|((scale, sum), (by_y, &mean))| -scale * sum * through - by_y * f64::from(mean));
        Backward {
            rest: Row::new(&narrow(rest)),
            gamma: narrow(sums.second.iter().zip(&self.inverse).map(|(sum, inverse)| sum * inverse)),
            beta: narrow(sums.first.iter().copied()),
            affine: self,
            y,
            dout,
            masked,
            by_g: Row::new(&narrow(scale)),
            by_y: Row::new(&narrow(by_y)),
        }
    }
}

impl Backward<'_> {
    /// The gradient of `y` for whole pixels from `first` on.
    pub(crate) fn line(&self, first: usize, dy: &mut [f32]) {
        let span = first * self.affine.channels..first * self.affine.channels + dy.len();
        let (y, dout) = (&self.y[span.clone()], &self.dout[span]);
        let sum = Combination { by_g: self.by_g.get(), by_y: self.by_y.get(), rest: self.rest.get() };
        if self.masked {
            channel::mask_combine(Isa::detect(), dout, y, self.affine.map(), sum, dy);
        } else {
            channel::combine(Isa::detect(), dout, y, sum, dy);
        }
    }

    /// The gradient of a bias that was added to `y`, if the statistics are running averages.
    pub(crate) fn bias(&self) -> Vec<f32> {
        self.beta.iter().zip(self.by_g.get()).map(|(sum, scale)| sum * scale).collect()
    }

    /// The gradient of all of `y`.
    pub(crate) fn all(&self) -> Vec<f32> {
        let Affine { chunk, channels, .. } = *self.affine;
        in_chunks(self.y.len(), chunk, 8, || (), |(), j, dy| self.line(j * chunk / channels, dy))
    }
}

/// The moments of all of `y` `[pixels, channels]`.
pub(crate) fn moments(y: &[f32], channels: usize) -> Sums {
    let chunk = (CHUNK / channels.max(1)).max(1) * channels;
    let chunks = y.par_chunks(chunk).with_min_len(8).map(|y| channel::moments(y, channels));
    channel::combine_moments(&chunks.collect::<Vec<_>>())
}

/// Sets `gradient` to zero where `out` is not positive.
pub(crate) fn mask(gradient: &mut [f32], out: &[f32]) {
    let chunks = gradient.par_chunks_mut(CHUNK).with_min_len(8).zip(out.par_chunks(CHUNK));
    chunks.for_each(|(gradient, out)| channel::mask_by_output(Isa::detect(), gradient, out));
}

/// The sum of each channel of `[pixels, channels]`.
pub(crate) fn channel_sums(g: &[f32], channels: usize) -> Vec<f32> {
    let chunk = (CHUNK / channels.max(1)).max(1) * channels;
    let zeros = Row::new(&vec![0.0; channels]);
    let chunks = g.par_chunks(chunk).with_min_len(8).map(|g| channel::gradient_sums(g, g, &zeros, channels));
    narrow(channel::combine_sums(&chunks.collect::<Vec<_>>()).first)
}

fn narrow(values: impl IntoIterator<Item = f64>) -> Vec<f32> {
    values.into_iter().map(|x| x as f32).collect()
}
