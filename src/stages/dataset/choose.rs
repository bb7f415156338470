//! Which images go to which output, decided before any is read.

use super::{Dataset, Parts};
use crate::{
    ml::{
        data::{Choice, Collection, Listed, Part, Split, split},
        rng::Stream,
    },
    stage::{Foreseen, Problems, StageError},
};

/// What contradicts the parts that a dataset has: the parameter, the message and a remedy.
type Contradiction = (&'static str, String, &'static str);

/// The contradiction between the parameters and the parts of the files, if there is one.
fn contradiction(dataset: &Dataset, parts: &[Part]) -> Option<Contradiction> {
    let has = |split| parts.iter().any(|part| part.split == split);
    let held_out = dataset.split.is_some_and(|parts| parts.val > 0.0);
    match dataset.split {
        _ if !has(Split::Train) => {
            let remedy = "set `path` to a folder whose files are called `train`, or tell no part";
            Some(("path", "there are no images to train on".to_owned(), remedy))
        }
        Some(_) if has(Split::Test) => {
            let remedy = "leave it out; `val_fraction` holds out validation images";
            Some(("split", "the dataset has test images of its own".to_owned(), remedy))
        }
        None if !has(Split::Test) => {
            let remedy =
                "write `split = { test = 0.2 }` to hold some out at random; with `test = 0` there is no output `test`";
            Some(("split", "the dataset has no test images of its own".to_owned(), remedy))
        }
        _ if dataset.unlabeled && dataset.source.names_unlabeled() && !has(Split::Unlabelled) => {
            let remedy = "leave it out, or call these files `unlabeled-…`; `labels = \"none\"` ignores all labels";
            Some(("unlabeled", "no file is called `unlabeled` or `unsupervised`".to_owned(), remedy))
        }
        _ if has(Split::Val) && (held_out || dataset.val_fraction > 0.0) => {
            let name = if held_out { "split" } else { "val_fraction" };
            let remedy = "leave it out; the output `val` has these images";
            Some((name, "the dataset has validation images of its own".to_owned(), remedy))
        }
        _ => None,
    }
}

/// What is known of the outputs, by the parts of the files, if these could be listed.
pub(super) fn foresee(
    dataset: &Dataset,
    listed: Option<&dyn Listed>,
    problems: &mut Problems,
) -> Vec<(&'static str, Foreseen)> {
    let parts = listed.map(Listed::parts).unwrap_or_default();
    if listed.is_some()
        && let Some((name, message, help)) = contradiction(dataset, &parts)
    {
        problems.add_with_help(name, message, help);
    }
    let part = |split| parts.iter().find(|part| part.split == split);
    let count = |split| part(split)?.images;
    let limit = |images: usize, limit: Option<usize>| limit.map_or(images, |limit| limit.min(images));
    let drawn = dataset.split.unwrap_or(Parts { test: 0.0, val: 0.0, seed: 0 });
    let all = count(Split::Train);
    let [test_drawn, val_drawn] = [drawn.test, drawn.val].map(|share| all.map(|all| split::share(share, all)));
    if let Some(all) = all {
        for (name, share, images) in [("split.test", drawn.test, test_drawn), ("split.val", drawn.val, val_drawn)] {
            let rest = all.saturating_sub(test_drawn.unwrap_or_default() + val_drawn.unwrap_or_default());
            if share > 0.0 && (images == Some(0) || rest == 0) {
                problems.add_with_help(name, none_left(share, all), "choose shares that leave each output an image");
            }
        }
    }
    let whole = all.map(|all| all.saturating_sub(test_drawn.unwrap_or_default() + val_drawn.unwrap_or_default()));
    let kept = whole.map(|whole| limit(whole, dataset.limit_train));
    if let Some(kept) = kept.filter(|&kept| leaves_one_empty(dataset, kept)) {
        let help = match kept {
            0 | 1 => "it takes two training images at least".to_owned(),
            _ => format!("use a value from {:.6} to {:.6}", 1.0 / kept as f64, 1.0 - 1.0 / kept as f64),
        };
        problems.add_with_help("val_fraction", one_part_empty(dataset, kept), help);
    }
    let held_out = kept.map(|kept| split::share(dataset.val_fraction, kept));
    let train = kept.zip(held_out).map(|(kept, held_out)| kept.saturating_sub(held_out));
    let labelled = |split| part(split).map(|part| part.labelled);
    let of = |rows: Option<usize>, split| Foreseen { labelled: labelled(split), ..Foreseen::rows(rows) };
    let left_out = |by| Foreseen { left_out_by: Some(by), ..Foreseen::default() };
    let test = match dataset.split {
        Some(parts) if parts.test == 0.0 => left_out("split"),
        Some(_) => of(test_drawn.map(|images| limit(images, dataset.limit_test)), Split::Train),
        None => of(count(Split::Test).map(|images| limit(images, dataset.limit_test)), Split::Test),
    };
    let val = match part(Split::Val) {
        _ if dataset.val_fraction > 0.0 => of(held_out, Split::Train),
        _ if drawn.val > 0.0 => of(val_drawn, Split::Train),
        Some(part) => of(part.images, Split::Val),
        None if listed.is_none() && dataset.source.may_have_val() => Foreseen::default(),
        None => left_out("val_fraction"),
    };
    let unlabelled = match (dataset.unlabeled, part(Split::Unlabelled)) {
        (true, Some(part)) => of(part.images.map(|images| limit(images, dataset.limit_unlabeled)), Split::Unlabelled),
        (true, None) if listed.is_none() => Foreseen::default(),
        _ => left_out("unlabeled"),
    };
    vec![("train", of(train, Split::Train)), ("test", test), ("val", val), ("unlabeled", unlabelled)]
}

/// The images of each output.
pub(super) fn choose(
    dataset: &Dataset,
    parts: &[Part],
    images: &dyn Collection,
) -> Result<Vec<(&'static str, Choice)>, StageError> {
    if let Some((name, message, help)) = contradiction(dataset, parts) {
        return Err(StageError::failed(format!("`{name}`: {message}; {help}")));
    }
    let labels = images.labels(Split::Train);
    let all: Vec<u32> = (0..labels.len() as u32).collect();
    let choice = |split, indices| Choice { split, indices };
    let (mut train, mut outputs) = (all, Vec::new());
    match dataset.split {
        None => {
            let test = images.labels(Split::Test);
            let test = limited(dataset, test, None, dataset.limit_test, "dataset/limit_test");
            outputs.push(("test", choice(Split::Test, test)));
        }
        Some(drawn) => {
            let total = labels.len();
            for (port, share) in [("test", drawn.test), ("val", drawn.val)] {
                if share == 0.0 {
                    continue;
                }
                let stream = Stream::new(drawn.seed, &format!("dataset/split/{port}"));
                let held_out = picked(labels, &train, split::share(share, total), &stream);
                train.retain(|index| held_out.binary_search(index).is_err());
                if held_out.is_empty() || train.is_empty() {
                    return Err(StageError::failed(none_left(share, total)));
                }
                let limit = if port == "test" { dataset.limit_test } else { None };
                let held_out = limited(dataset, labels, Some(held_out), limit, "dataset/limit_test");
                outputs.push((port, choice(Split::Train, held_out)));
            }
        }
    }
    let drawn = dataset.split.map(|_| train);
    let kept = limited(dataset, labels, drawn, dataset.limit_train, "dataset/limit_train");
    if dataset.val_fraction == 0.0 {
        outputs.insert(0, ("train", choice(Split::Train, kept)));
    } else {
        if leaves_one_empty(dataset, kept.len()) {
            return Err(StageError::failed(one_part_empty(dataset, kept.len())));
        }
        let known: Vec<u32> = kept.iter().map(|&index| labels[index as usize]).collect();
        let stream = Stream::new(dataset.split_seed, "dataset/val");
        let (train, val) = split::validation(&known, dataset.val_fraction, &stream);
        let of = |places: Vec<u32>| places.iter().map(|&place| kept[place as usize]).collect();
        outputs.insert(0, ("val", choice(Split::Train, of(val))));
        outputs.insert(0, ("train", choice(Split::Train, of(train))));
    }
    for (port, split, limit) in [("val", Split::Val, None), ("unlabeled", Split::Unlabelled, dataset.limit_unlabeled)] {
        if parts.iter().any(|part| part.split == split) {
            let chosen = limited(dataset, images.labels(split), None, limit, "dataset/limit_unlabeled");
            outputs.push((port, choice(split, chosen)));
        }
    }
    Ok(outputs)
}

/// The images that a limit leaves of those at `among`, or of all.
fn limited(dataset: &Dataset, labels: &[u32], among: Option<Vec<u32>>, limit: Option<usize>, name: &str) -> Vec<u32> {
    let among = among.unwrap_or_else(|| (0..labels.len() as u32).collect());
    match limit {
        Some(n) if n < among.len() => picked(labels, &among, n, &Stream::new(dataset.split_seed, name)),
        _ => among,
    }
}

/// `n` of the images at `among`, with the proportions of their classes.
fn picked(labels: &[u32], among: &[u32], n: usize, stream: &Stream) -> Vec<u32> {
    let known: Vec<u32> = among.iter().map(|&index| labels[index as usize]).collect();
    split::stratified(&known, n, stream).into_iter().map(|place| among[place as usize]).collect()
}

fn leaves_one_empty(dataset: &Dataset, images: usize) -> bool {
    let held_out = split::share(dataset.val_fraction, images);
    dataset.val_fraction > 0.0 && (held_out == 0 || held_out == images)
}

fn one_part_empty(dataset: &Dataset, images: usize) -> String {
    format!("{} of {images} training images leaves `train` or `val` without an image", dataset.val_fraction)
}

fn none_left(share: f64, images: usize) -> String {
    format!("{share} of {images} images leaves an output without an image")
}
