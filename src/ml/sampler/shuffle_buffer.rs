//! Random batches from a shuffle buffer, as the reference code draws them.

use super::{Batches, Policy, draw};
use crate::ml::{Error, Result, rng::Stream};

/// Draws random batches as `tf.data` does with `shuffle(buffer)` and `drop_remainder`: images enter a buffer of this
/// size in the order of the dataset, and a random one leaves it at a time. An image cannot come much earlier than its
/// place in the dataset. Images that do not fill a batch are left out; they are random in every round.
///
/// # Errors
/// Those of [`draw`]; also if `buffer` is zero.
pub fn draw_buffered(labels: &[u32], buffer: usize, batch_size: usize, rounds: usize, seed: u64) -> Result<Batches> {
    if buffer == 0 {
        return Err(Error::Invalid("a shuffle buffer holds at least one image".into()));
    }
    let stream = Stream::new(seed, "sampler/buffer");
    let mut drawn = draw(labels, Policy::Rank, batch_size, 1, seed)?;
    drawn.indices.clear();
    for round in 0..rounds {
        let mut stream = stream.at(round as u64);
        let mut coming = 0..labels.len() as u32;
        let mut held: Vec<u32> = coming.by_ref().take(buffer).collect();
        for _ in 0..drawn.batches * batch_size {
            let place = stream.below(held.len());
            drawn.indices.push(match coming.next() {
                Some(image) => std::mem::replace(&mut held[place], image),
                None => held.swap_remove(place),
            });
        }
    }
    Ok(Batches { rounds, ..drawn })
}
