//! The transforms of Winograd's F(2x2, 3x3) on channels-last images: 4x4 patches to 16 frequencies and back.
//!
//! In the terms of Lavin and Gray ("Fast algorithms for convolutional neural networks", 2016): `gather` is `B^T d B`,
//! `scatter` is `A^T m A`, and `spread`, its transpose, is `A dy A^T`.

use crate::ml::kernels::simd::vectorised;

/// Products of one patch: the frequencies.
pub(crate) const FREQUENCIES: usize = 16;

/// Channels that are transformed together, and the same for narrow panels.
const WIDE: usize = 16;
const NARROW: usize = 8;

/// The 2x2 tiles of an image `[rows, columns, channels]`, among the tiles of all images of a unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    /// Tiles of the image, down and across.
    pub rows: usize,
    pub columns: usize,
    /// Where the first tile begins, and floats from one row of pixels and from one pixel to the next.
    pub start: usize,
    pub line: usize,
    pub pixel: usize,
    /// The place of the image's first tile among the tiles of all images, and their number.
    pub first: usize,
    pub all: usize,
}

/// A panel of channels. The last panel has fewer channels than its width.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panel {
    pub channels: usize,
    pub width: usize,
}

impl Grid {
    /// Number of tiles.
    pub(crate) fn tiles(&self) -> usize {
        self.rows * self.columns
    }

    #[inline(always)]
    fn at(&self, tile: usize) -> usize {
        self.start + tile / self.columns * 2 * self.line + tile % self.columns * 2 * self.pixel
    }
}

vectorised! {
    /// Transforms the patches of an image, each 4x4 pixels around a tile, to `[16][tiles][channels]`; `channels` is a
    /// multiple of 16.
    pub(crate) fn gather(image: &[f32], grid: Grid, channels: usize, out: &mut [f32]) {
        for (tile, at) in (0..grid.tiles()).map(|tile| (tile, grid.at(tile))) {
            for block in (0..channels).step_by(WIDE) {
                let mut half = [[[0f32; WIDE]; 4]; 4];
                for (column, half) in half.iter_mut().enumerate() {
                    let d = |row: usize| load(image, at + row * grid.line + column * grid.pixel + block);
                    let (d0, d1, d2, d3) = (d(0), d(1), d(2), d(3));
                    *half = [sub(d0, d2), add(d1, d2), sub(d2, d1), sub(d1, d3)];
                }
                let [left, second, third, right] = half;
                for (row, d0) in left.into_iter().enumerate() {
                    let (d1, d2, d3) = (second[row], third[row], right[row]);
                    let whole = [sub(d0, d2), add(d1, d2), sub(d2, d1), sub(d1, d3)];
                    for (column, value) in whole.iter().enumerate() {
                        let to = ((row * 4 + column) * grid.all + grid.first + tile) * channels + block;
                        out[to..to + WIDE].copy_from_slice(value);
                    }
                }
            }
        }
    }
}

vectorised! {
    /// Transforms a panel of an image's channels, from `grid.start` on, to `[16][tiles][width]`.
    pub(crate) fn spread(image: &[f32], grid: Grid, panel: Panel, out: &mut [f32]) {
        if panel.width.is_multiple_of(WIDE) {
            spread_blocks::<WIDE>(image, grid, panel, out);
        } else {
            spread_blocks::<NARROW>(image, grid, panel, out);
        }
    }
}

#[inline(always)]
fn spread_blocks<const B: usize>(image: &[f32], grid: Grid, panel: Panel, out: &mut [f32]) {
    let Panel { channels, width } = panel;
    for (tile, at) in (0..grid.tiles()).map(|tile| (tile, grid.at(tile))) {
        for block in (0..channels).step_by(B) {
            let y = |row: usize, column: usize| load::<B>(image, at + row * grid.line + column * grid.pixel + block);
            let (top, bottom) = ([y(0, 0), y(0, 1)], [y(1, 0), y(1, 1)]);
            let both = |f: fn([f32; B], [f32; B]) -> [f32; B]| [f(top[0], bottom[0]), f(top[1], bottom[1])];
            let rows = [top, both(add), both(sub), bottom.map(minus)];
            for (row, [left, right]) in rows.into_iter().enumerate() {
                let whole = [left, add(left, right), sub(left, right), minus(right)];
                for (column, value) in whole.iter().enumerate() {
                    let to = ((row * 4 + column) * grid.all + grid.first + tile) * width + block;
                    out[to..to + B].copy_from_slice(value);
                }
            }
        }
    }
}

vectorised! {
    /// Transforms `[16][tiles][width]` back to a panel of an image's channels, from `grid.start` on, and adds it to
    /// them if `accumulate`.
    pub(crate) fn scatter(
        m: &[f32], grid: Grid, panel: Panel, accumulate: bool, image: &mut [f32],
    ) {
        if panel.width.is_multiple_of(WIDE) {
            scatter_blocks::<WIDE>(m, grid, panel, accumulate, image);
        } else {
            scatter_blocks::<NARROW>(m, grid, panel, accumulate, image);
        }
    }
}

#[inline(always)]
fn scatter_blocks<const B: usize>(m: &[f32], grid: Grid, panel: Panel, accumulate: bool, image: &mut [f32]) {
    let Panel { channels, width } = panel;
    for (tile, at) in (0..grid.tiles()).map(|tile| (tile, grid.at(tile))) {
        for block in (0..channels).step_by(B) {
            let mut half = [[[0f32; B]; 2]; 4];
            for (column, half) in half.iter_mut().enumerate() {
                let m = |row: usize| load::<B>(m, ((row * 4 + column) * grid.all + grid.first + tile) * width + block);
                let (m0, m1, m2, m3) = (m(0), m(1), m(2), m(3));
                *half = [add(add(m0, m1), m2), sub(sub(m1, m2), m3)];
            }
            let [left, second, third, right] = half;
            for (row, m0) in left.into_iter().enumerate() {
                let (m1, m2, m3) = (second[row], third[row], right[row]);
                for (column, value) in [add(add(m0, m1), m2), sub(sub(m1, m2), m3)].into_iter().enumerate() {
                    let to = at + row * grid.line + column * grid.pixel + block;
                    let to = &mut image[to..to + B];
                    for (to, x) in to.iter_mut().zip(value) {
                        *to = if accumulate { *to + x } else { x };
                    }
                }
            }
        }
    }
}

/// `G g G^T`: the frequencies of a 3x3 window.
pub(crate) fn of_window(g: [[f32; 3]; 3]) -> [f32; FREQUENCIES] {
    let along = |[a, b, c]: [f64; 3]| [a, (a + b + c) / 2.0, (a - b + c) / 2.0, c];
    let rows = g.map(|row| along(row.map(f64::from)));
    let columns: [[f64; 4]; 4] = std::array::from_fn(|j| along([rows[0][j], rows[1][j], rows[2][j]]));
    std::array::from_fn(|f| columns[f % 4][f / 4] as f32)
}

/// `G^T u G`, the transpose of [`of_window`]: the gradient of a window from the gradient of its frequencies.
pub(crate) fn to_window(u: [f32; FREQUENCIES]) -> [f32; 9] {
    let along = |[a, b, c, d]: [f64; 4]| [a + (b + c) / 2.0, (b - c) / 2.0, (b + c) / 2.0 + d];
    let rows: [[f64; 3]; 4] = std::array::from_fn(|i| along(std::array::from_fn(|j| f64::from(u[i * 4 + j]))));
    let columns: [[f64; 3]; 3] = std::array::from_fn(|j| along(std::array::from_fn(|i| rows[i][j])));
    std::array::from_fn(|tap| columns[tap % 3][tap / 3] as f32)
}

#[inline(always)]
fn load<const B: usize>(from: &[f32], at: usize) -> [f32; B] {
    let mut lanes = [0f32; B];
    lanes.copy_from_slice(&from[at..at + B]);
    lanes
}

#[inline(always)]
fn add<const B: usize>(a: [f32; B], b: [f32; B]) -> [f32; B] {
    std::array::from_fn(|i| a[i] + b[i])
}

#[inline(always)]
fn sub<const B: usize>(a: [f32; B], b: [f32; B]) -> [f32; B] {
    std::array::from_fn(|i| a[i] - b[i])
}

#[inline(always)]
fn minus<const B: usize>(a: [f32; B]) -> [f32; B] {
    a.map(|x| -x)
}
