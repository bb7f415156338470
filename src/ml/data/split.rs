//! Chooses the images to keep: limits, validation splits and labelled fractions.
//!
//! All functions return indices in ascending order, so that the kept images stay in the order of the dataset.

use crate::ml::rng::Stream;

/// `n` of the images, with the class proportions of `labels`: each class keeps its share rounded down, and the classes
/// with the largest remainders keep one more, so that the total is exact. All images are kept if there are no more than
/// `n`.
#[must_use]
pub fn stratified(labels: &[u32], n: usize, stream: &Stream) -> Vec<u32> {
    let members = members(labels);
    let quotas = quotas(&members, n.min(labels.len()), labels.len());
    pick(members, &quotas, stream)
}

/// Splits the images into a training part and a stratified validation part of `round(fraction * N)` images.
#[must_use]
pub fn validation(labels: &[u32], fraction: f64, stream: &Stream) -> (Vec<u32>, Vec<u32>) {
    let held_out = stratified(labels, share(fraction, labels.len()), stream);
    let mut is_held_out = vec![false; labels.len()];
    held_out.iter().for_each(|&i| is_held_out[i as usize] = true);
    let kept = (0..labels.len() as u32).filter(|&i| !is_held_out[i as usize]).collect();
    (kept, held_out)
}

/// The images whose labels may be used when only a `fraction` of them is known: `round(fraction * N)`, at least one.
///
/// If `stratified`, each class keeps its share and at least one image, and the total may be larger. Otherwise the draw
/// is uniform without replacement and may miss a class.
#[must_use]
pub fn fraction(labels: &[u32], fraction: f64, stratified: bool, seed: u64) -> Vec<u32> {
    let stream = Stream::new(seed, "fraction");
    let n = share(fraction, labels.len()).max(1).min(labels.len());
    if stratified {
        let members = members(labels);
        let mut quotas = quotas(&members, n, labels.len());
        for (quota, members) in quotas.iter_mut().zip(&members) {
            *quota = (*quota).max(members.len().min(1));
        }
        pick(members, &quotas, &stream)
    } else {
        pick(vec![(0..labels.len() as u32).collect()], &[n], &stream)
    }
}

/// As many images as an unstratified [`fraction`], drawn with replacement: an image may come several times, as with
/// NumPy's `random.choice`.
#[must_use]
pub fn with_replacement(images: usize, fraction: f64, seed: u64) -> Vec<u32> {
    let mut stream = Stream::new(seed, "fraction/replacement");
    let n = share(fraction, images).max(1).min(images);
    let mut picked: Vec<u32> = (0..n).map(|_| stream.below(images) as u32).collect();
    picked.sort_unstable();
    picked
}

/// A random fold from 0 to below `folds` for each image. Each class is spread over all folds: two folds differ by at
/// most one image of a class, and by at most one image in all.
///
/// # Panics
/// If `folds` is 0.
#[must_use]
pub fn folds(labels: &[u32], folds: usize, stream: &Stream) -> Vec<u32> {
    let mut fold = vec![0; labels.len()];
    let mut next = 0;
    for (class, mut members) in members(labels).into_iter().enumerate() {
        stream.at(class as u64).shuffle(&mut members);
        for index in members {
            fold[index as usize] = (next % folds) as u32;
            next += 1;
        }
    }
    fold
}

/// `fraction` of `n`, rounded.
#[must_use]
pub fn share(fraction: f64, n: usize) -> usize {
    (fraction.clamp(0.0, 1.0) * n as f64).round() as usize
}

/// The images of each class, ascending.
fn members(labels: &[u32]) -> Vec<Vec<u32>> {
    let classes = labels.iter().max().map_or(0, |&m| m as usize + 1);
    let mut members = vec![Vec::new(); classes];
    for (index, &label) in labels.iter().enumerate() {
        members[label as usize].push(index as u32);
    }
    members
}

/// Divides `n` among the classes by the method of the largest remainder; ties go to the lower label.
fn quotas(members: &[Vec<u32>], n: usize, total: usize) -> Vec<usize> {
    let total = total.max(1);
    let mut quotas: Vec<usize> = members.iter().map(|m| m.len() * n / total).collect();
    let mut by_remainder: Vec<usize> = (0..members.len()).collect();
    by_remainder.sort_by_key(|&c| std::cmp::Reverse(members[c].len() * n % total));
    let left = n - quotas.iter().sum::<usize>();
    by_remainder.iter().take(left).for_each(|&c| quotas[c] += 1);
    quotas
}

/// `quotas[j]` random members of each group j, all in ascending order.
fn pick(groups: Vec<Vec<u32>>, quotas: &[usize], stream: &Stream) -> Vec<u32> {
    let mut picked = Vec::new();
    for (j, (mut group, &quota)) in groups.into_iter().zip(quotas).enumerate() {
        stream.at(j as u64).shuffle(&mut group);
        picked.extend_from_slice(&group[..quota]);
    }
    picked.sort_unstable();
    picked
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(labels: &[u32], picked: &[u32]) -> Vec<usize> {
        let classes = labels.iter().max().map_or(0, |&m| m as usize + 1);
        (0..classes).map(|c| picked.iter().filter(|&&i| labels[i as usize] as usize == c).count()).collect()
    }

    #[test]
    fn remainders_go_to_the_largest() {
        let labels: Vec<u32> = [(0, 5), (1, 3), (2, 2)].iter().flat_map(|&(c, n)| vec![c; n]).collect();
        // Shares of 7 are 3.5, 2.1 and 1.4.
        assert_eq!(counts(&labels, &stratified(&labels, 7, &Stream::new(0, "t"))), [4, 2, 1]);
    }

    #[test]
    fn a_labelled_fraction_has_every_class() {
        let labels: Vec<u32> = (0..1000).map(|i| if i == 500 { 3 } else { i % 2 }).collect();
        assert_eq!(counts(&labels, &fraction(&labels, 0.01, true, 0)), [5, 5, 0, 1]);
        assert_eq!(fraction(&labels, 0.01, false, 0).len(), 10);
        assert_eq!(fraction(&labels, 0.0, false, 0).len(), 1);
        assert_ne!(fraction(&labels, 0.01, true, 0), fraction(&labels, 0.01, true, 1));
        assert_eq!(fraction(&labels, 1.0, true, 0).len(), 1000);
        assert!(fraction(&[], 0.5, true, 0).is_empty());
    }

    #[test]
    fn draws_with_replacement_repeat_images() {
        let picked = with_replacement(1250, 0.1, 0);
        assert!(picked.len() == 125 && picked.windows(2).all(|w| w[0] <= w[1]) && picked[124] < 1250);
        let mut distinct = picked.clone();
        distinct.dedup();
        // 1250 (1 - (1 - 1 / 1250)^125) = 119 by expectation.
        assert!((110..125).contains(&distinct.len()), "{}", distinct.len());
        assert_ne!(picked, with_replacement(1250, 0.1, 1));
        assert!(with_replacement(0, 0.5, 0).is_empty());
    }

    proptest! {
        #[test]
        fn folds_are_even_in_all_classes(labels in prop::collection::vec(0_u32..4, 0..100), k in 1_usize..7) {
            let fold = folds(&labels, k, &Stream::new(3, "t"));
            let even = |sizes: Vec<usize>| sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1;
            let size = |of: &dyn Fn(usize) -> bool| -> Vec<usize> {
                (0..k).map(|f| (0..labels.len()).filter(|&i| fold[i] as usize == f && of(i)).count()).collect()
            };
            prop_assert!(even(size(&|_| true)));
            for class in 0..4 {
                prop_assert!(even(size(&|i| labels[i] == class)));
            }
        }

        #[test]
        fn a_limit_is_exact_sorted_and_proportional(labels in prop::collection::vec(0_u32..5, 0..200), n in 0_usize..250) {
            let picked = stratified(&labels, n, &Stream::new(1, "t"));
            prop_assert_eq!(picked.len(), n.min(labels.len()));
            prop_assert!(picked.windows(2).all(|w| w[0] < w[1]));
            let all: Vec<u32> = (0..labels.len() as u32).collect();
            for (kept, of) in counts(&labels, &picked).into_iter().zip(counts(&labels, &all)) {
                let share = of as f64 * picked.len() as f64 / labels.len().max(1) as f64;
                prop_assert!((kept as f64 - share).abs() < 1.0);
            }
        }

        #[test]
        fn a_validation_split_is_a_partition(labels in prop::collection::vec(0_u32..4, 1..100), fraction in 0.0_f64..1.0) {
            let (kept, held_out) = validation(&labels, fraction, &Stream::new(2, "t"));
            prop_assert_eq!(held_out.len(), (fraction * labels.len() as f64).round() as usize);
            let mut all = [kept, held_out].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len() as u32).collect::<Vec<_>>());
        }
    }
}
