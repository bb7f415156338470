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
        // An image stays in the buffer for 100 draws on average, so late images leave late.
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
    for (labels, batch_size) in [(&equal, 64), (&equal, 32), (&uneven(20_000, 64), 64), (&uneven(20_000, 256), 64)] {
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
