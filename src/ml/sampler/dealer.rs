//! Deals images to batches that contain the clusters in given shares.

use crate::ml::rng::Stream;

/// Shares proportional to the sizes, limited by the cap of a balanced batch and by the size of the cluster.
///
/// If small clusters cannot fill a batch under the cap, the cap is raised by one at a time.
pub(super) fn capped_shares(sizes: &[u64], batch_size: usize) -> Vec<f64> {
    let present = sizes.iter().filter(|&&n| n > 0).count();
    let batch = batch_size as f64;
    let mut cap = batch_size.div_ceil(present.max(1)) as u64;
    while sizes.iter().map(|&n| n.min(cap)).sum::<u64>() < batch_size as u64 {
        cap += 1;
    }
    let limit: Vec<f64> = sizes.iter().map(|&n| n.min(cap) as f64).collect();
    // The part that a capped cluster cannot take is distributed to the others in proportion (water-filling).
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

/// The images of a cluster in the order in which they will be dealt.
struct Queue {
    order: Vec<u32>,
    next: usize,
}

/// Deals images to batches in given shares of the clusters.
pub(super) struct Dealer<'a> {
    shares: &'a [f64],
    queues: Vec<Queue>,
    stream: Stream,
    /// The last round and batch in which each image was dealt, counted from 1.
    last_round: Vec<usize>,
    last_batch: Vec<usize>,
}

impl<'a> Dealer<'a> {
    pub(super) fn new(labels: &[u32], shares: &'a [f64], stream: &Stream) -> Self {
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

    pub(super) fn rounds(mut self, rounds: usize, batches: usize, batch_size: usize) -> Vec<u32> {
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

    /// The number of images of each cluster in each batch of a round: the share of the cluster, rounded down or up.
    ///
    /// The parts of the clusters in the round are concatenated on a line, rounded at their ends, and positions are
    /// assigned to the batches in turn. The part of a cluster is contiguous, so its numbers in two batches differ by at
    /// most one.
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
            // The small term keeps a whole number whole in spite of rounding errors in the sum.
            let stop = if done + 1 == order.len() { total } else { ((end + offset + 1e-6) as usize).min(total) };
            let part = stop.saturating_sub(position);
            let (each, extra) = (part / batches, part % batches);
            for slot in 0..batches {
                // The next slots on the line take the extra images.
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

    /// The next image of a cluster. At the end of its queue all images are shuffled again, and come after those that
    /// this round has not used yet.
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
