//! Measures of a contrastive representation other than its loss.

use candle_core::Tensor;
use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use super::normalize;
use crate::ml::{Error, Result};

/// Number of rows whose cosines are one product.
const BLOCK: usize = 64;

/// Measures of a batch of views.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// Share of pairs of views of one image that are nearer to each other than the first is to any other image.
    pub top1: f64,
    /// Mean squared distance of positives (Wang and Isola 2020); smaller is better.
    pub alignment: f64,
    /// `log mean exp(-2 ||x - y||^2)` over the pairs of first views, of second ones, and so on, averaged (Wang
    /// and Isola 2020); smaller is better.
    pub uniformity: f64,
}

/// The measures of projections `z` `[V B, D]`; row `i + v B` is view v of image i.
///
/// # Errors
/// If `z` is not of rank 2.
pub fn measure(z: &Tensor, views: usize) -> Result<Measures> {
    let (count, width) = z.dims2()?;
    let images = count / views;
    let z = normalize(&z.detach())?.flatten_all()?.to_vec1::<f32>()?;
    let z = ArrayView2::from_shape((count, width), &z).map_err(|error| Error::Invalid(error.to_string()))?;
    // The squared length of a row: 1, or 0 for a projection of zeros, which has no direction.
    let length = |row: usize| if z.row(row).iter().any(|&x| x != 0.0) { 1.0 } else { 0.0 };
    let lengths: Vec<f64> = (0..count).map(length).collect();
    // Rows are processed in blocks, so that the whole table of cosines is never in memory.
    let blocks: Vec<Vec<(usize, f64, f64)>> = z
        .axis_chunks_iter(Axis(0), BLOCK)
        .into_par_iter()
        .enumerate()
        .map(|(block, rows)| {
            let cosines = rows.dot(&z.t());
            let of = |(row, cosines): (usize, ndarray::ArrayView1<'_, f32>)| {
                let i = block * BLOCK + row;
                let others = cosines.iter().enumerate().filter(|(j, _)| j % images != i % images);
                let nearest = others.map(|(_, &c)| c).fold(f32::NEG_INFINITY, f32::max);
                let positives = (1..views).map(|view| (i + view * images) % count);
                let first = positives.clone().filter(|&j| cosines[j] > nearest).count();
                // Squared distance of unit vectors: 2 - 2 cos. Each pair of one view once.
                let apart = |j: usize| lengths[i] + lengths[j] - 2.0 * f64::from(cosines[j]);
                let distance = positives.map(apart).sum::<f64>();
                let end = (i / images + 1) * images;
                let repulsion: f64 = (i + 1..end).map(|j| (-2.0 * apart(j)).exp()).sum();
                (first, distance, repulsion)
            };
            cosines.rows().into_iter().enumerate().map(of).collect()
        })
        .collect();
    let rows = blocks.concat();
    let positives = (count * (views - 1)) as f64;
    let pairs = (images * images.saturating_sub(1) / 2) as f64;
    let spread = |rows: &[(usize, f64, f64)]| (rows.iter().map(|row| row.2).sum::<f64>() / pairs).ln();
    Ok(Measures {
        top1: rows.iter().map(|row| row.0).sum::<usize>() as f64 / positives,
        alignment: rows.iter().map(|row| row.1).sum::<f64>() / positives,
        uniformity: rows.chunks(images).map(spread).sum::<f64>() / views as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn perfect_pairs_on_axes() -> Result<()> {
        let z = Tensor::new(&[[1f32, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 1.0]], &Device::Cpu)?;
        let measures = measure(&z, 2)?;
        assert!(measures.top1 == 1.0 && measures.alignment.abs() < 1e-6);
        assert!((measures.uniformity + 4.0).abs() < 1e-6, "two axes are sqrt(2) apart");
        Ok(())
    }

    /// Four of the six ordered pairs of the first image's views are nearer than the second image; so are all of the
    /// second's.
    #[test]
    fn three_views_have_two_positives_each() -> Result<()> {
        let rows = [[1f32, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]];
        let measures = measure(&Tensor::new(&rows, &Device::Cpu)?, 3)?;
        assert!((measures.top1 - 10.0 / 12.0).abs() < 1e-12, "{}", measures.top1);
        assert!((measures.alignment - 8.0 / 12.0).abs() < 1e-6, "{}", measures.alignment);
        assert!((measures.uniformity + (8.0 + 8.0 + 4.0) / 3.0).abs() < 1e-6, "{}", measures.uniformity);
        Ok(())
    }

    /// As in Wang and Isola's code, a projection of zeros stays zeros. Its distance is 0 to another one, and 1 to any
    /// direction.
    #[test]
    fn projections_of_nothing_are_in_one_place() -> Result<()> {
        let measures = measure(&Tensor::zeros((4, 2), candle_core::DType::F32, &Device::Cpu)?, 2)?;
        assert_eq!((measures.top1, measures.alignment, measures.uniformity), (0.0, 0.0, 0.0));
        let z = Tensor::new(&[[0f32, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 0.0]], &Device::Cpu)?;
        let measures = measure(&z, 2)?;
        assert!((measures.alignment - 1.0).abs() < 1e-6 && (measures.uniformity + 2.0).abs() < 1e-6, "{measures:?}");
        Ok(())
    }

    /// Of equal projections none is nearest, so a collapsed encoder does not look perfect.
    #[test]
    fn collapse_is_not_success() -> Result<()> {
        let z = Tensor::new(&[[1f32, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]], &Device::Cpu)?;
        let measures = measure(&z, 2)?;
        assert_eq!((measures.top1, measures.uniformity), (0.0, 0.0));
        Ok(())
    }
}
