//! What is wrong with the parameters of a dataset alone, and which of them have no effect.

use super::{Dataset, Labels, Origin};
use crate::{ml::data::shapes::Shapes, stage::Problems, stages::shared::checks};

/// Adds the mistakes in the parameters.
pub(super) fn check(dataset: &Dataset, problems: &mut Problems) {
    let generated = dataset.source == Origin::Shapes;
    match &dataset.path {
        None if !generated => problems.add_with_help(
            "path",
            "this source needs the folder of the data",
            "add `path = \"…\"`, relative to the project root",
        ),
        Some(_) if generated => {
            let help = "leave it out, or name another `source`";
            problems.add_with_help("path", "generated images have no path", help);
        }
        _ => {}
    }
    let Shapes { train, test, .. } = Shapes::default();
    for (name, value, default, limit) in
        [("train", dataset.train, train, "limit_train"), ("test", dataset.test, test, "limit_test")]
    {
        problems.at_least(name, value, 1);
        if !generated && value != default {
            problems.add_with_help(name, "only \"shapes\" can be generated in any number", format!("use `{limit}`"));
        }
    }
    for (name, value, low) in [
        ("size", dataset.size, 8),
        ("limit_train", dataset.limit_train, 1),
        ("limit_test", dataset.limit_test, 1),
        ("limit_unlabeled", dataset.limit_unlabeled, 1),
    ] {
        if let Some(value) = value {
            problems.at_least(name, value, low);
        }
    }
    let size = dataset.size.unwrap_or(Shapes::default().size);
    if generated {
        let name = if size > 4096 {
            "size"
        } else if dataset.train >= dataset.test {
            "train"
        } else {
            "test"
        };
        checks::check_bytes(problems, name, &[dataset.train.saturating_add(dataset.test), size, size, 3]);
    }
    let fraction = dataset.val_fraction;
    let fine = (0.0..1.0).contains(&fraction);
    problems.require(fine, "val_fraction", format!("must be at least 0 and below 1, got {fraction}"));
    labels(dataset, problems);
    split(dataset, problems);
}

fn labels(dataset: &Dataset, problems: &mut Problems) {
    let source = dataset.source;
    if let Some(labels) = dataset.labels.filter(|labels| !source.labels().contains(labels)) {
        let message = format!("\"{}\" is no place of labels in the source \"{}\"", labels.word(), source.word());
        let known: Vec<String> = source.labels().iter().map(|labels| format!("\"{}\"", labels.word())).collect();
        let help = match known.is_empty() {
            true => "leave it out".to_owned(),
            false => format!("leave it out, or use {}", known.join(" or ")),
        };
        problems.add_with_help("labels", message, help);
    }
}

fn split(dataset: &Dataset, problems: &mut Problems) {
    let Some(parts) = dataset.split else { return };
    if !dataset.source.is_encoded() {
        let message = format!("the source \"{}\" has test images of its own", dataset.source.word());
        problems.add_with_help("split", message, "leave it out; `val_fraction` holds out validation images");
    }
    let fine = |share: f64| (0.0..1.0).contains(&share);
    for (name, share) in [("split.test", parts.test), ("split.val", parts.val)] {
        problems.require(fine(share), name, format!("must be at least 0 and below 1, got {share}"));
    }
    if fine(parts.test) && fine(parts.val) && parts.test + parts.val >= 1.0 {
        problems.add("split", format!("{} and {} leave no image to train on", parts.test, parts.val));
    }
    if parts.val > 0.0 && dataset.val_fraction > 0.0 {
        let help = "leave out `val_fraction` or `split.val`";
        problems.add_with_help("val_fraction", "`split.val` holds out validation images too", help);
    }
}

/// The parameters that have no effect, given the others.
pub(super) fn idle(dataset: &Dataset) -> Vec<&'static str> {
    let source = dataset.source;
    let generated = source == Origin::Shapes;
    let unlabeled = matches!(source, Origin::Stl10 | Origin::Parquet | Origin::Webdataset);
    let limits = [dataset.limit_train, dataset.limit_test, dataset.limit_unlabeled.filter(|_| dataset.unlabeled)];
    let chooses = limits.iter().any(Option::is_some) || dataset.val_fraction > 0.0;
    let splits = dataset.split.is_none_or(|parts| parts.test > 0.0 || parts.val > 0.0);
    let labelled = dataset.labels != Some(Labels::None);
    let all = [
        ("resize", generated || dataset.size.is_none()),
        ("split_seed", !chooses),
        ("seed", !generated),
        ("train", !generated),
        ("test", !generated),
        ("path", generated),
        ("split.seed", !splits),
        ("orientation", !source.is_encoded()),
        ("unlabeled", !unlabeled),
        ("limit_unlabeled", !(unlabeled && dataset.unlabeled)),
        ("extra", source != Origin::Svhn),
        ("subset", source != Origin::Mnist),
        ("image_column", source != Origin::Parquet),
        ("label_column", !(matches!(source, Origin::Parquet | Origin::Webdataset) && labelled)),
    ];
    all.into_iter().filter(|(_, idle)| *idle).map(|(name, _)| name).collect()
}
