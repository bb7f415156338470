//! Which images make a batch: drawn at random, or by their cluster.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Error, Result,
    metric::{cluster_sizes, distinct_clusters, expected_rate_with_pairs, false_negative_rate, same_cluster_rate},
    rng::Stream,
};

/// How batches are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// From all images alike, whatever their cluster.
    Random,
    /// Every batch holds each cluster in proportion to its size, and each image comes once a round at most.
    #[default]
    Stratified,
    /// The reference: one fixed order by (rank inside the cluster, cluster), cut into batches; the rest is never seen.
    Rank,
    /// As few pairs of one cluster as can be: batch size / clusters images of each, rounded up, at most. Small clusters repeat.
    Balanced,
}

/// Batches of image indices.
#[derive(Clone, Debug, PartialEq)]
pub struct Batches {
    /// Image indices, row-major `[rounds, batches, batch_size]`.
    pub indices: Vec<u32>,
    /// Passes over the images, each in batches of its own.
    pub rounds: usize,
    /// Batches in a round: images / `batch_size`, rounded down.
    pub batches: usize,
    /// Images in a batch.
    pub batch_size: usize,
    /// What share of a batch each cluster gets, by expectation; sums to 1.
    pub shares: Vec<f64>,
}

/// What batches hold; rates are over the pairs within a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchMetrics {
    /// Fraction of pairs that share a cluster.
    pub same_cluster_rate: f64,
    /// Mean number of clusters in a batch.
    pub distinct_clusters: f64,
    /// Fraction of pairs that share a true class, and of it what the closed form (p - s q) / (1 - s) gives for batches
    /// of the same shares without pairs of one cluster; where classes are known.
    pub false_negative_rate: Option<(f64, f64)>,
}

/// Draws `rounds` rounds of batches from images of these cluster labels.
///
/// The images that do not fill a batch are other ones every round (`rank` excepted): what a round has left out comes
/// first in the next one.
///
/// # Errors
/// [`Error::Invalid`] if a batch or the number of rounds is zero, or a batch is larger than the number of images.
pub fn draw(labels: &[u32], policy: Policy, batch_size: usize, rounds: usize, seed: u64) -> Result<Batches> {
    let images = labels.len();
    if batch_size == 0 || rounds == 0 {
        return Err(Error::Invalid("batches need at least one image and one round".into()));
    }
    if batch_size > images {
        return Err(Error::Invalid(format!(
            "a batch of {batch_size} cannot be drawn from {images} images; use a batch size of at most {images}"
        )));
    }
    let batches = images / batch_size;
    let clusters = labels.iter().max().map_or(0, |&l| l as usize + 1);
    let sizes = cluster_sizes(labels, clusters);
    let proportional: Vec<f64> = sizes.iter().map(|&n| n as f64 / images as f64).collect();
    let stream = Stream::new(seed, "sampler");
    let (indices, shares) = match policy {
        Policy::Rank => (rank_order(labels)[..batches * batch_size].repeat(rounds), proportional),
        Policy::Random => {
            let one_group = vec![0; images];
            (Dealer::new(&one_group, &[1.0], &stream).rounds(rounds, batches, batch_size), proportional)
        }
        Policy::Stratified => {
            let drawn = Dealer::new(labels, &proportional, &stream).rounds(rounds, batches, batch_size);
            (drawn, proportional)
        }
        Policy::Balanced => {
            let shares = capped_shares(&sizes, batch_size);
            (Dealer::new(labels, &shares, &stream).rounds(rounds, batches, batch_size), shares)
        }
    };
    Ok(Batches { indices, rounds, batches, batch_size, shares })
}

/// Draws random batches as `tf.data` does with `shuffle(buffer)` and `drop_remainder`: images come in the order of the
/// dataset through a buffer of so many, of which a random one leaves at a time. An image cannot come much earlier than
/// its place. What does not fill a batch is left out, by chance in every round anew.
///
/// # Errors
/// As [`draw`]; also if `buffer` is zero.
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

impl Batches {
    /// Measures the batches by the cluster of every image and, where it is known, its class.
    ///
    /// # Panics
    /// If a label is missing.
    #[must_use]
    pub fn metrics(&self, clusters: &[u32], classes: Option<&[u32]>) -> BatchMetrics {
        let same_cluster_rate = same_cluster_rate(&self.indices, self.batch_size, clusters);
        BatchMetrics {
            same_cluster_rate,
            distinct_clusters: distinct_clusters(&self.indices, self.batch_size, clusters),
            false_negative_rate: classes.map(|classes| {
                (
                    false_negative_rate(&self.indices, self.batch_size, classes),
                    expected_rate_with_pairs(clusters, classes, Some(&self.shares), same_cluster_rate),
                )
            }),
        }
    }
}

/// All images by (rank inside the cluster, cluster); the rank follows the index.
fn rank_order(labels: &[u32]) -> Vec<u32> {
    let mut seen = std::collections::BTreeMap::<u32, u32>::new();
    let mut order: Vec<(u32, u32, u32)> = Vec::with_capacity(labels.len());
    for (index, &label) in labels.iter().enumerate() {
        let rank = seen.entry(label).or_default();
        order.push((*rank, label, index as u32));
        *rank += 1;
    }
    order.sort_unstable();
    order.into_iter().map(|(.., index)| index).collect()
}

/// Shares proportional to the sizes, but never above the cap of a balanced batch (nor above a cluster's own size).
///
/// Where tiny clusters cannot fill a batch under the cap, it is raised by one at a time.
fn capped_shares(sizes: &[u64], batch_size: usize) -> Vec<f64> {
    let present = sizes.iter().filter(|&&n| n > 0).count();
    let batch = batch_size as f64;
    let mut cap = batch_size.div_ceil(present.max(1)) as u64;
    while sizes.iter().map(|&n| n.min(cap)).sum::<u64>() < batch_size as u64 {
        cap += 1;
    }
    let limit: Vec<f64> = sizes.iter().map(|&n| n.min(cap) as f64).collect();
    // Water-filling: what a capped cluster cannot take goes to the others in proportion.
    let mut full = vec![false; sizes.len()];
    loop {
        let open = |full: &[bool]| (0..sizes.len()).filter(|&j| !full[j]).map(|j| sizes[j] as f64).sum::<f64>();
        let left = batch - (0..sizes.len()).filter(|&j| full[j]).map(|j| limit[j]).sum::<f64>();
        let scale = if open(&full) > 0.0 { left.max(0.0) / open(&full) } else { 0.0 };
        let over: Vec<usize> = (0..sizes.len()).filter(|&j| !full[j] && sizes[j] as f64 * scale > limit[j]).collect();
        if over.is_empty() {
            let images = |j: usize| if full[j] { limit[j] } else { sizes[j] as f64 * scale };
            return (0..sizes.len()).map(|j| images(j) / batch).collect();
        }
        for j in over {
            full[j] = true;
        }
    }
}

/// One cluster's images in the order in which they will be dealt.
struct Queue {
    order: Vec<u32>,
    next: usize,
}

/// Deals images to batches in given shares of the clusters.
struct Dealer<'a> {
    shares: &'a [f64],
    queues: Vec<Queue>,
    stream: Stream,
    /// The last round and batch in which each image was dealt, counted from 1.
    last_round: Vec<usize>,
    last_batch: Vec<usize>,
}

impl<'a> Dealer<'a> {
    fn new(labels: &[u32], shares: &'a [f64], stream: &Stream) -> Self {
        let mut queues: Vec<Queue> = shares.iter().map(|_| Queue { order: Vec::new(), next: 0 }).collect();
        for (index, &label) in labels.iter().enumerate() {
            queues[label as usize].order.push(index as u32);
        }
        for queue in &mut queues {
            queue.next = queue.order.len(); // to be shuffled before the first card
        }
        let last = vec![0; labels.len()];
        Self { shares, queues, stream: stream.clone(), last_round: last.clone(), last_batch: last }
    }

    fn rounds(mut self, rounds: usize, batches: usize, batch_size: usize) -> Vec<u32> {
        let mut indices = Vec::with_capacity(rounds * batches * batch_size);
        let mut batch_number = 0;
        for round in 1..=rounds {
            for counts in self.counts(batches, batch_size) {
                batch_number += 1;
                let start = indices.len();
                for (cluster, count) in counts {
                    for _ in 0..count {
                        indices.push(self.next(cluster, round, batch_number));
                    }
                }
                self.stream.shuffle(&mut indices[start..]);
            }
        }
        indices
    }

    /// How many images of which clusters each batch of one round gets: the cluster's share, rounded down or up.
    ///
    /// The clusters' parts of the round lie end to end on a line, rounded at their ends, and positions go to the batches
    /// in turn. A cluster's part is contiguous, so no two batches differ by more than one in it.
    fn counts(&mut self, batches: usize, batch_size: usize) -> Vec<Vec<(usize, usize)>> {
        let total = batches * batch_size;
        let order = self.stream.permutation(self.shares.len());
        let names = self.stream.permutation(batches);
        let offset = self.stream.uniform64() * (1.0 - 1e-5);
        let mut counts = vec![Vec::new(); batches];
        let (mut end, mut position) = (0.0, 0);
        for (done, &cluster) in order.iter().enumerate() {
            let cluster = cluster as usize;
            end += self.shares[cluster] * total as f64;
            // The hair keeps a whole number whole after rounding errors in the sum.
            let stop = if done + 1 == order.len() { total } else { ((end + offset + 1e-6) as usize).min(total) };
            let part = stop.saturating_sub(position);
            let (each, extra) = (part / batches, part % batches);
            for slot in 0..batches {
                // Slots that come next on the line take the extra ones.
                let ahead = (slot + batches - position % batches) % batches;
                let count = each + usize::from(ahead < extra);
                if count > 0 {
                    counts[names[slot] as usize].push((cluster, count));
                }
            }
            position = position.max(stop);
        }
        counts
    }

    /// The next image of a cluster. At the end of its queue all are shuffled anew, behind those not yet seen this round.
    fn next(&mut self, cluster: usize, round: usize, batch: usize) -> u32 {
        let queue = &mut self.queues[cluster];
        if queue.next == queue.order.len() {
            self.stream.shuffle(&mut queue.order);
            let (rounds, batches) = (&self.last_round, &self.last_batch);
            queue.order.sort_by_key(|&i| (batches[i as usize] == batch, rounds[i as usize] == round));
            queue.next = 0;
        }
        let image = queue.order[queue.next];
        queue.next += 1;
        self.last_round[image as usize] = round;
        self.last_batch[image as usize] = batch;
        image
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `n` labels of `clusters` clusters of unequal size.
    fn uneven(n: usize, clusters: usize) -> Vec<u32> {
        let mut stream = Stream::new(3, "labels");
        (0..n).map(|_| (stream.uniform().powf(1.5) * clusters as f32) as u32).collect()
    }

    fn times_drawn(batches: &[u32], images: usize) -> Vec<usize> {
        let mut times = vec![0; images];
        for &index in batches {
            times[index as usize] += 1;
        }
        times
    }

    #[test]
    fn stratified_batches_hold_every_cluster_in_proportion() {
        let labels = uneven(1003, 20);
        let sizes = cluster_sizes(&labels, 20);
        let drawn = draw(&labels, Policy::Stratified, 64, 12, 0).unwrap();
        assert_eq!((drawn.batches, drawn.indices.len()), (15, 12 * 15 * 64));
        for batch in drawn.indices.chunks(64) {
            let held = cluster_sizes(&batch.iter().map(|&i| labels[i as usize]).collect::<Vec<_>>(), 20);
            for (&held, &size) in held.iter().zip(&sizes) {
                let quota = 64.0 * size as f64 / 1003.0;
                assert!(held as f64 >= quota.floor() && held as f64 <= quota.ceil(), "{held} of quota {quota}");
            }
        }
    }

    #[test]
    fn no_image_comes_twice_a_round_and_what_is_left_out_rotates() {
        let labels = uneven(1003, 20);
        for policy in [Policy::Random, Policy::Stratified] {
            let drawn = draw(&labels, policy, 64, 12, 0).unwrap();
            let rounds: Vec<&[u32]> = drawn.indices.chunks(15 * 64).collect();
            for round in &rounds {
                assert!(times_drawn(round, 1003).iter().all(|&n| n <= 1));
            }
            assert_ne!(rounds[0], rounds[1]);
            let times = times_drawn(&drawn.indices, 1003);
            assert!(times.iter().all(|&n| (11..=12).contains(&n)), "{policy:?}");
        }
    }

    #[test]
    fn balanced_batches_stay_under_their_cap() {
        let labels = uneven(1003, 20);
        for (batch_size, cap) in [(20, 1), (16, 1), (64, 4)] {
            let drawn = draw(&labels, Policy::Balanced, batch_size, 5, 0).unwrap();
            for batch in drawn.indices.chunks(batch_size) {
                let held = cluster_sizes(&batch.iter().map(|&i| labels[i as usize]).collect::<Vec<_>>(), 20);
                assert!(held.iter().all(|&n| n <= cap), "{held:?}");
            }
            if cap == 1 {
                assert_eq!(drawn.metrics(&labels, None).same_cluster_rate, 0.0);
            }
        }
    }

    #[test]
    fn a_tiny_cluster_is_not_dealt_twice_to_one_batch() {
        let labels = [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
        let drawn = draw(&labels, Policy::Balanced, 6, 9, 0).unwrap();
        for batch in drawn.indices.chunks(6) {
            assert!(times_drawn(batch, 12).iter().all(|&n| n <= 1), "{batch:?}");
        }
    }

    #[test]
    fn a_buffer_shuffles_within_its_reach() {
        let labels = uneven(1003, 20);
        let drawn = draw_buffered(&labels, 100, 64, 3, 0).unwrap();
        assert_eq!((drawn.rounds, drawn.batches, drawn.indices.len()), (3, 15, 3 * 15 * 64));
        let rounds: Vec<&[u32]> = drawn.indices.chunks(15 * 64).collect();
        assert_ne!(rounds[0], rounds[1]);
        for round in rounds {
            assert!(times_drawn(round, 1003).iter().all(|&n| n <= 1));
            assert!(round.iter().enumerate().all(|(place, &image)| image as usize <= place + 99));
            // Without a look ahead an image waits 100 draws on average, so late images leave late.
            assert!(round[..64].iter().all(|&image| image < 163) && round.iter().any(|&image| image > 900));
        }
        let one: Vec<u32> = (0..960).collect();
        assert_eq!(draw_buffered(&labels, 1, 64, 1, 0).unwrap().indices, one);
        assert!(draw_buffered(&labels, 0, 64, 1, 0).is_err());
    }

    #[test]
    fn rank_is_the_order_of_the_reference() {
        let labels = [0, 0, 1, 0, 2, 1, 0, 2];
        let drawn = draw(&labels, Policy::Rank, 3, 2, 0).unwrap();
        assert_eq!(drawn.indices, [0, 2, 4, 1, 5, 7, 0, 2, 4, 1, 5, 7]);
    }

    #[test]
    fn the_closed_form_is_the_measured_rate_of_balanced_batches() {
        // Classes that follow the clusters in part, equal clusters and uneven ones, batches of one image a cluster or less.
        let mut stream = Stream::new(5, "classes");
        let equal: Vec<u32> = (0..20_000).map(|i| i % 64).collect();
        for (labels, batch_size) in [(&equal, 64), (&equal, 32), (&uneven(20_000, 64), 64), (&uneven(20_000, 256), 64)]
        {
            let classes: Vec<u32> =
                labels.iter().map(|&l| if stream.chance(0.6) { l % 10 } else { stream.below(10) as u32 }).collect();
            let drawn = draw(labels, Policy::Balanced, batch_size, 5, 1).unwrap();
            let (measured, expected) = drawn.metrics(labels, Some(&classes)).false_negative_rate.unwrap();
            let random = draw(labels, Policy::Random, batch_size, 5, 1).unwrap();
            let (unstratified, _) = random.metrics(labels, Some(&classes)).false_negative_rate.unwrap();
            assert!((measured - expected).abs() < 1e-3, "{measured} {expected}");
            assert!(unstratified - measured > 1e-3, "the clusters say something about the classes");
        }
    }

    #[test]
    fn batches_are_fixed_by_their_seed() {
        let labels = uneven(300, 5);
        for policy in [Policy::Random, Policy::Stratified, Policy::Balanced] {
            assert_eq!(draw(&labels, policy, 10, 2, 1).unwrap(), draw(&labels, policy, 10, 2, 1).unwrap());
            assert_ne!(draw(&labels, policy, 10, 2, 1).unwrap(), draw(&labels, policy, 10, 2, 2).unwrap());
        }
    }

    #[test]
    fn a_batch_larger_than_the_set_is_refused() {
        assert!(draw(&[0; 64], Policy::Random, 64, 1, 0).is_ok());
        let message = draw(&[0; 63], Policy::Random, 64, 1, 0).unwrap_err().to_string();
        assert!(message.contains("at most 63"), "{message}");
        assert!(draw(&[0; 3], Policy::Random, 0, 1, 0).is_err());
        assert!(draw(&[0; 3], Policy::Random, 1, 0, 0).is_err());
    }
}
