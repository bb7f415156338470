//! The only source of randomness in the crate: named, counter-based streams.
//!
//! A seed and a label alone determine a stream, so work in any order, on any number of threads, draws the same numbers.
//! Give every use its own label (`"simclr/augment"`), and every item of parallel work its own [`Stream::at`].

use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// A reproducible stream of random numbers (ChaCha8, keyed by blake3 of seed and label).
#[derive(Clone, Debug)]
pub struct Stream {
    key: blake3::Hash,
    rng: ChaCha8Rng,
}

impl Stream {
    /// The stream that `seed` and `label` name.
    #[must_use]
    pub fn new(seed: u64, label: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("strata 2026 random stream");
        hasher.update(&seed.to_le_bytes()).update(label.as_bytes());
        Self::from_key(hasher.finalize())
    }

    /// The `index`-th child of this stream. It depends on the name of the stream, not on the numbers that were drawn
    /// from it.
    #[must_use]
    pub fn at(&self, index: u64) -> Self {
        Self::from_key(blake3::keyed_hash(self.key.as_bytes(), &index.to_le_bytes()))
    }

    fn from_key(key: blake3::Hash) -> Self {
        let rng = ChaCha8Rng::from_seed(*key.as_bytes());
        Self { key, rng }
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f32 {
        self.rng.random()
    }

    /// Uniform in [0, 1), double precision.
    pub fn uniform64(&mut self) -> f64 {
        self.rng.random()
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f32) -> bool {
        self.uniform() < p
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f32 {
        self.rng.sample(StandardNormal)
    }

    /// Uniform in 0..n.
    ///
    /// # Panics
    /// If `n` is zero.
    pub fn below(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n as u64) as usize
    }

    /// Shuffles a slice in place (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        items.shuffle(&mut self.rng);
    }

    /// A random permutation of 0..n.
    pub fn permutation(&mut self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        self.shuffle(&mut order);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_its_name() {
        let draw = |seed, label| Stream::new(seed, label).permutation(100);
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
    }

    #[test]
    fn a_child_does_not_depend_on_what_was_drawn() {
        let mut parent = Stream::new(7, "parent");
        let before = parent.at(3).permutation(50);
        parent.normal();
        assert_eq!(parent.at(3).permutation(50), before);
        assert_ne!(parent.at(4).permutation(50), before);
    }

    #[test]
    fn normal_has_its_moments() {
        let mut stream = Stream::new(0, "moments");
        let draws: Vec<f64> = (0..100_000).map(|_| f64::from(stream.normal())).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "mean {mean}, variance {variance}");
    }
}
