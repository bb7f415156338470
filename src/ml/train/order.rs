//! The order of the images in an epoch.

use crate::ml::rng::Stream;

/// Batches of shuffled indices, in a new order every epoch (unless [`Order::fixed`]). Images that do not fill a last
/// batch are left out of the epoch. If there are fewer images than a batch has, they are one batch.
#[derive(Clone, Debug)]
pub struct Order {
    indices: Vec<u32>,
    batch_size: usize,
    stream: Stream,
    shuffle: bool,
    current: Vec<u32>,
}

impl Order {
    /// Batches of `indices`; the order is drawn from `seed` and the epoch.
    #[must_use]
    pub fn new(indices: Vec<u32>, batch_size: usize, seed: u64) -> Self {
        let current = indices.clone();
        let batch_size = batch_size.min(indices.len()).max(1);
        Self { indices, batch_size, stream: Stream::new(seed, "train/order"), shuffle: true, current }
    }

    /// Batches of `indices` in the given order, in every epoch.
    #[must_use]
    pub fn fixed(self) -> Self {
        Self { shuffle: false, ..self }
    }

    /// Batches of an epoch.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.indices.len() / self.batch_size
    }

    /// Draws the order of `epoch`.
    pub fn begin(&mut self, epoch: usize) {
        self.current.clone_from(&self.indices);
        if self.shuffle {
            self.stream.at(epoch as u64).shuffle(&mut self.current);
        }
    }

    /// The indices of a batch.
    ///
    /// # Panics
    /// If there is no such step.
    #[must_use]
    pub fn batch(&self, step: usize) -> &[u32] {
        &self.current[step * self.batch_size..][..self.batch_size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_holds_each_image_once_in_an_order_of_its_own() {
        let mut order = Order::new((10..20).collect(), 3, 7);
        let mut epoch = |epoch| {
            order.begin(epoch);
            (0..order.steps()).flat_map(|step| order.batch(step).to_vec()).collect::<Vec<u32>>()
        };
        let (first, second, again) = (epoch(0), epoch(1), epoch(0));
        assert_eq!(first, again);
        assert_ne!(first, second);
        assert_eq!(first.len(), 9);
        let mut sorted = first;
        sorted.sort_unstable();
        sorted.dedup();
        assert!(sorted.len() == 9 && sorted.iter().all(|i| (10..20).contains(i)));
    }

    #[test]
    fn a_fixed_order_is_that_of_the_images_and_drops_the_same_ones() {
        let mut order = Order::new((10..20).collect(), 3, 7).fixed();
        for epoch in 0..2 {
            order.begin(epoch);
            assert_eq!((order.batch(0), order.batch(2)), ([10, 11, 12].as_slice(), [16, 17, 18].as_slice()));
        }
        assert_eq!(order.steps(), 3);
    }

    #[test]
    fn few_images_make_one_batch() {
        let order = Order::new(vec![4, 5], 64, 0);
        assert_eq!((order.steps(), order.batch(0).len()), (1, 2));
        assert_eq!(Order::new(vec![], 64, 0).steps(), 0);
    }
}
