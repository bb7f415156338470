//! Maximum and average pooling and nearest upsampling on `[N, H, W, C]`, image by image.

use std::sync::Arc;

use rayon::prelude::*;

use crate::ml::{
    Result,
    kernels::{
        autograd::activation::{Activation, Module, Node, Parent},
        memory::{
            buffer::{in_chunks, in_tasks},
            floats::Floats,
        },
        norm::channel::Sums,
    },
};

/// Sizes of a pooling: rows, columns and channels in, rows and columns out.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    height: usize,
    width: usize,
    channels: usize,
    rows: usize,
    columns: usize,
}

impl Sizes {
    fn image(&self) -> usize {
        self.height * self.width * self.channels
    }

    fn out(&self) -> usize {
        self.rows * self.columns * self.channels
    }
}

#[derive(Debug)]
struct MaxPool {
    sizes: Sizes,
    /// For each output of each image the pixel that holds the maximum.
    winners: Vec<Vec<u32>>,
}

pub(crate) fn max_pool2d(x: &Arc<Node>, kernel: usize, stride: usize, padding: usize) -> Result<Activation> {
    let [n, height, width, channels] = x.dims4()?;
    let out = |size: usize| (size + 2 * padding - kernel) / stride + 1;
    let sizes = Sizes { height, width, channels, rows: out(height), columns: out(width) };
    let values = x.floats();
    let (y, winners) = in_tasks(&vec![sizes.out(); n], sizes.out(), |image, y| {
        let x = &values[image * sizes.image()..][..sizes.image()];
        let mut winners = vec![0u32; sizes.out()];
        let Some(y) = y.next() else { return winners };
        let inside = |at: usize, size: usize| {
            let first = (at * stride).saturating_sub(padding);
            first..(at * stride + kernel - padding).min(size)
        };
        let pixels = y.chunks_exact_mut(channels).zip(winners.chunks_exact_mut(channels));
        for (index, (y, winners)) in pixels.enumerate() {
            let (row, column) = (index / sizes.columns, index % sizes.columns);
            y.fill(f32::NEG_INFINITY);
            let mut started = false;
            for (iy, ix) in inside(row, height).flat_map(|iy| inside(column, width).map(move |ix| (iy, ix))) {
                let pixel = iy * width + ix;
                let x = &x[pixel * channels..][..channels];
                if !started {
                    y.copy_from_slice(x);
                    winners.fill(pixel as u32);
                    started = true;
                    continue;
                }
                for ((y, winner), &x) in y.iter_mut().zip(winners.iter_mut()).zip(x) {
                    let better = x > *y || (x.is_nan() && !y.is_nan());
                    *winner = if better { pixel as u32 } else { *winner };
                    *y = if better { x } else { *y };
                }
            }
        }
        winners
    });
    let dims = vec![n, sizes.rows, sizes.columns, channels];
    Ok(Node::result(dims, y, &[x], &[], || Box::new(MaxPool { sizes, winners })))
}

impl Module for MaxPool {
    fn backward(
        &self,
        _: &[Floats],
        _: &[f32],
        gradient: Vec<f32>,
        _: Option<Sums>,
        parents: &mut [Parent],
    ) -> Vec<Vec<f32>> {
        let (sizes, x) = (self.sizes, &mut parents[0]);
        let dx = x.gradient.get_or_insert_with(|| vec![0.0; x.value.len()]);
        let images = dx.par_chunks_mut(sizes.image().max(1)).zip(gradient.par_chunks(sizes.out().max(1)));
        images.zip(&self.winners).for_each(|((dx, g), winners)| {
            for (g, winners) in g.chunks_exact(sizes.channels).zip(winners.chunks_exact(sizes.channels)) {
                for (channel, (g, &winner)) in g.iter().zip(winners).enumerate() {
                    dx[winner as usize * sizes.channels + channel] += g;
                }
            }
        });
        Vec::new()
    }
}

#[derive(Debug)]
struct Upsample(Sizes);

pub(crate) fn upsample_nearest2x(x: &Arc<Node>) -> Result<Activation> {
    let [n, height, width, channels] = x.dims4()?;
    let sizes = Sizes { height, width, channels, rows: 2 * height, columns: 2 * width };
    let values = x.floats();
    let line = 2 * width * channels;
    let y = in_chunks(
        n * sizes.out(),
        2 * line,
        16,
        || (),
        |(), row, y| {
            let x = &values[row * width * channels..][..width * channels];
            let (first, second) = y.split_at_mut(line);
            for (y, x) in first.chunks_exact_mut(2 * channels).zip(x.chunks_exact(channels)) {
                y[..channels].copy_from_slice(x);
                y[channels..].copy_from_slice(x);
            }
            second.copy_from_slice(first);
        },
    );
    Ok(Node::result(vec![n, 2 * height, 2 * width, channels], y, &[x], &[], || Box::new(Upsample(sizes))))
}

impl Module for Upsample {
    fn backward(
        &self,
        _: &[Floats],
        _: &[f32],
        gradient: Vec<f32>,
        _: Option<Sums>,
        parents: &mut [Parent],
    ) -> Vec<Vec<f32>> {
        let Sizes { width, channels, .. } = self.0;
        let line = 2 * width * channels;
        let dx = in_chunks(
            parents[0].value.len(),
            width * channels,
            16,
            || (),
            |(), row, dx| {
                let (first, second) = gradient[row * 2 * line..][..2 * line].split_at(line);
                let pairs = first.chunks_exact(2 * channels).zip(second.chunks_exact(2 * channels));
                for (dx, (a, b)) in dx.chunks_exact_mut(channels).zip(pairs) {
                    for (c, dx) in dx.iter_mut().enumerate() {
                        *dx = (a[c] + a[c + channels]) + (b[c] + b[c + channels]);
                    }
                }
            },
        );
        parents[0].add(dx);
        Vec::new()
    }
}

#[derive(Debug)]
struct Average(Sizes);

pub(crate) fn global_avg_pool(x: &Arc<Node>) -> Result<Activation> {
    let [n, height, width, channels] = x.dims4()?;
    let sizes = Sizes { height, width, channels, rows: 1, columns: 1 };
    let mut y = vec![0f32; n * channels];
    let values = x.floats();
    let share = 1.0 / (height * width) as f32;
    y.par_chunks_mut(channels.max(1)).zip(values.par_chunks(sizes.image().max(1))).for_each(|(y, x)| {
        for x in x.chunks_exact(channels) {
            y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
        }
        y.iter_mut().for_each(|y| *y *= share);
    });
    Ok(Node::result(vec![n, channels], y, &[x], &[], || Box::new(Average(sizes))))
}

impl Module for Average {
    fn backward(
        &self,
        _: &[Floats],
        _: &[f32],
        gradient: Vec<f32>,
        _: Option<Sums>,
        parents: &mut [Parent],
    ) -> Vec<Vec<f32>> {
        let Sizes { height, width, channels, .. } = self.0;
        let share = 1.0 / (height * width) as f32;
        let dx = in_chunks(
            parents[0].value.len(),
            self.0.image(),
            1,
            || (),
            |(), image, dx| {
                let g = &gradient[image * channels..][..channels];
                for dx in dx.chunks_exact_mut(channels) {
                    dx.iter_mut().zip(g).for_each(|(dx, g)| *dx = g * share);
                }
            },
        );
        parents[0].add(dx);
        Vec::new()
    }
}
