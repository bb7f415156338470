//! Images with Gaussian noise, which are the input of a denoising autoencoder.

use candle_core::{Device, Tensor};
use half::f16;
use rayon::prelude::*;

use super::Result;
use super::data::ImageSet;
use super::rng::Stream;

/// Noisy copies of all images: f16 `[draws, N, C, H, W]`, pixel / 255 + `std` * N(0, 1), on the CPU.
///
/// Values are not clipped to [0, 1], so that the noise has the same variance on black, grey and white (as in Keras'
/// `GaussianNoise`). Copy d of image i draws from child i of child d of the stream of `seed`, whatever the number of
/// draws, images and threads.
///
/// # Errors
/// If the tensor cannot be made.
pub fn noisy(set: &ImageSet, std: f32, draws: usize, seed: u64) -> Result<Tensor> {
    let [channels, height, width] = set.size;
    let stream = Stream::new(seed, "noise");
    let mut values = vec![f16::ZERO; draws * set.pixels.len()];
    if !values.is_empty() {
        values.par_chunks_mut(set.stride()).enumerate().for_each(|(k, out)| {
            let (draw, index) = (k / set.len(), k % set.len());
            let mut stream = stream.at(draw as u64).at(index as u64);
            for (out, &pixel) in out.iter_mut().zip(set.image(index)) {
                *out = f16::from_f32(f32::from(pixel) / 255.0 + std * stream.normal());
            }
        });
    }
    Ok(Tensor::from_vec(values, (draws, set.len(), channels, height, width), &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;

    fn set(images: usize) -> ImageSet {
        let pixels = (0..images * 3 * 8 * 8).map(|i| (i * 37 % 256) as u8).collect();
        ImageSet { pixels, labels: vec![0; images], size: [3, 8, 8], classes: vec!["a".into()] }
    }

    fn values(set: &ImageSet, std: f32, draws: usize, seed: u64) -> Vec<f16> {
        noisy(set, std, draws, seed).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn shape_and_moments() {
        let set = set(60);
        let noisy = noisy(&set, 0.1, 2, 0).unwrap();
        assert_eq!((noisy.dims(), noisy.dtype()), ([2, 60, 3, 8, 8].as_slice(), DType::F16));
        let noise: Vec<f64> = values(&set, 0.1, 2, 0)
            .iter()
            .zip(set.pixels.iter().chain(&set.pixels))
            .map(|(v, &p)| v.to_f64() - f64::from(p) / 255.0)
            .collect();
        let mean = noise.iter().sum::<f64>() / noise.len() as f64;
        let std = (noise.iter().map(|n| n * n).sum::<f64>() / noise.len() as f64).sqrt();
        assert!(mean.abs() < 0.003 && (std - 0.1).abs() < 0.002, "mean {mean}, std {std}");
        assert!(values(&set, 0.1, 1, 0).iter().any(|v| *v < f16::ZERO), "clipped");
    }

    #[test]
    fn copies_differ_and_more_of_them_change_none() {
        let set = set(5);
        let one = values(&set, 0.1, 1, 0);
        let two = values(&set, 0.1, 2, 0);
        assert_eq!(two[..one.len()], one);
        assert_ne!(two[one.len()..], one);
        assert_ne!(values(&set, 0.1, 1, 1), one);
        let clean: Vec<f16> = set.pixels.iter().map(|&p| f16::from_f32(f32::from(p) / 255.0)).collect();
        assert_eq!(values(&set, 0.0, 1, 0), clean);
        assert!(values(&set, 0.1, 0, 0).is_empty());
    }

    #[test]
    fn bytes_do_not_depend_on_threads() {
        let set = set(20);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| values(&set, 0.5, 2, 3))
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(3));
    }
}
