//! Clustering, probes and statistics against scikit-learn and SciPy: numbers in `tests/reference/cluster.json`, made by
//! the program beside it. The features are scikit-learn's digits, 1797 images of 8x8 pixels.

use std::sync::LazyLock;

use ndarray::{Array2, ArrayView2, s};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use strata::ml::{
    Error,
    cluster::KMeans,
    features::Normalize,
    metric,
    probe::{Accuracy, AdamEarlyStop, Knn, Labelled, Logistic, cross_validate},
    sampler::{Policy, draw},
};

type Outcome<T = ()> = Result<T, Error>;

static REFERENCE: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../reference/cluster.json");
    serde_json::from_str(text).expect("the reference is JSON")
});

fn reference<T: DeserializeOwned>(name: &str) -> T {
    T::deserialize(&REFERENCE[name]).expect("the reference has the form that its program gives it")
}

/// The digits and their classes.
pub fn digits() -> (Array2<f32>, Vec<u32>) {
    let rows: Vec<String> = reference("features");
    let pixel = |c: char| c.to_digit(17).expect("a pixel is in 0..=16") as f32;
    let pixels = rows.iter().flat_map(|row| row.chars().map(pixel)).collect();
    let features = Array2::from_shape_vec((rows.len(), 64), pixels).expect("64 pixels in a row");
    (features, reference("classes"))
}

struct Split {
    features: Array2<f32>,
    classes: Vec<u32>,
    train: usize,
}

impl Split {
    fn load() -> Self {
        let (features, classes) = digits();
        Self { features, classes, train: reference("train") }
    }

    fn train(&self) -> Labelled<'_> {
        Labelled { features: self.features.slice(s![..self.train, ..]), labels: &self.classes[..self.train] }
    }

    fn test(&self) -> Labelled<'_> {
        Labelled { features: self.features.slice(s![self.train.., ..]), labels: &self.classes[self.train..] }
    }
}

fn close(got: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (got - expected).abs();
    assert!(error <= tolerance * expected.abs().max(1e-12), "{what}: {got} where the reference has {expected}");
}

#[test]
fn wilson_intervals_are_those_of_scipy() {
    #[derive(Deserialize)]
    struct Case {
        correct: usize,
        total: usize,
        low: f64,
        high: f64,
    }
    for case in reference::<Vec<Case>>("wilson") {
        let (low, high) = metric::wilson(case.correct, case.total);
        assert!(
            (low - case.low).abs() < 1e-12 && (high - case.high).abs() < 1e-12,
            "{} of {}",
            case.correct,
            case.total
        );
    }
}

#[test]
fn agreement_of_partitions_is_that_of_scikit_learn() {
    #[derive(Deserialize)]
    struct Case {
        clusters: Vec<u32>,
        classes: Vec<u32>,
        nmi: f64,
        ari: f64,
        purity: f64,
    }
    for Case { clusters, classes, nmi, ari, purity } in reference::<Vec<Case>>("partitions") {
        assert!((metric::normalized_mutual_information(&clusters, &classes) - nmi).abs() < 1e-12);
        assert!((metric::adjusted_rand(&clusters, &classes) - ari).abs() < 1e-12);
        assert!((metric::purity(&clusters, &classes) - purity).abs() < 1e-12);
    }
}

#[test]
fn kmeans_inertia_is_within_one_percent_of_scikit_learn() -> Outcome {
    #[derive(Deserialize)]
    struct Case {
        normalize: Normalize,
        clusters: usize,
        inertia: f64,
    }
    let (features, _) = digits();
    for Case { normalize, clusters, inertia } in reference::<Vec<Case>>("kmeans") {
        let found = KMeans { clusters, runs: 3, normalize, ..KMeans::default() }.fit(features.view())?;
        assert!(found.inertia <= 1.01 * inertia, "{normalize:?} {clusters}: {} where {inertia} is had", found.inertia);
        // What is reported is what the labels and centroids give.
        let points = normalize.apply(features.view());
        let of_labels = inertia_of(points.view(), &found.labels, &found.centroids);
        close(of_labels, found.inertia, 1e-5, "inertia");
    }
    Ok(())
}

fn inertia_of(points: ArrayView2<'_, f32>, labels: &[u32], centroids: &Array2<f32>) -> f64 {
    let differences =
        points.rows().into_iter().zip(labels).map(|(point, &label)| &point - &centroids.row(label as usize));
    differences.map(|d| d.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>()).sum()
}

#[test]
fn equal_clusters_are_within_one_percent_of_optimal_assignments() -> Outcome {
    #[derive(Deserialize)]
    struct Case {
        clusters: usize,
        inertia: f64,
    }
    let (features, _) = digits();
    for Case { clusters, inertia } in reference::<Vec<Case>>("equal_size") {
        let found = KMeans { clusters, runs: 3, balanced: true, ..KMeans::default() }.fit(features.view())?;
        let sizes = metric::cluster_sizes(&found.labels, clusters);
        assert!(sizes.iter().all(|&n| n as usize == 1797 / clusters || n as usize == 1797 / clusters + 1), "{sizes:?}");
        assert!(found.inertia <= 1.01 * inertia, "{clusters}: {} where {inertia} is had", found.inertia);
    }
    Ok(())
}

#[test]
fn logistic_regression_is_that_of_scikit_learn() -> Outcome {
    #[derive(Deserialize)]
    struct Case {
        c: f64,
        loss: f64,
        objective: f64,
        predictions: Vec<u32>,
    }
    let split = Split::load();
    for Case { c, loss, objective, predictions } in reference::<Vec<Case>>("logistic") {
        let fit = Logistic { c, ..Logistic::default() }.fit(split.train(), 10)?;
        assert!(fit.converged && fit.iterations < 500, "{} iterations", fit.iterations);
        close(fit.loss, loss, 1e-3, "loss");
        assert!(fit.loss < objective, "the loss is without the penalty");
        let found = fit.model.predict(split.test().features)?;
        let differ = found.iter().zip(&predictions).filter(|(a, b)| a != b).count();
        assert!(differ <= 1, "{differ} predictions differ");
        let (ours, theirs) =
            (Accuracy::of(&found, split.test().labels), Accuracy::of(&predictions, split.test().labels));
        assert!((ours.value - theirs.value).abs() < 2.0 / 597.0 && ours.low < theirs.value && theirs.value < ours.high);
    }
    Ok(())
}

#[test]
fn cross_validated_predictions_are_those_of_scikit_learn() -> Outcome {
    #[derive(Deserialize)]
    struct CrossValidation {
        folds: String,
        cases: Vec<Case>,
    }
    #[derive(Deserialize)]
    struct Case {
        c: f64,
        accuracy: f64,
        predictions: String,
    }
    let digits = |text: &str| -> Vec<u32> { text.bytes().map(|digit| u32::from(digit - b'0')).collect() };
    let text = include_str!("../reference/cross_validation.json");
    let reference: CrossValidation = serde_json::from_str(text).expect("the reference has the form of its program");
    let split = Split::load();
    let all = Labelled { features: split.features.view(), labels: &split.classes };
    assert_eq!(reference.cases.len(), 2);
    for Case { c, accuracy, predictions } in reference.cases {
        let logistic = Logistic { c, tolerance: 1e-5, ..Logistic::default() };
        let fit = |train: Labelled<'_>, _: Labelled<'_>| -> Outcome<_> { Ok(logistic.fit(train, 10)?.model) };
        let found = cross_validate(all, &digits(&reference.folds), fit)?;
        let differ = found.iter().zip(digits(&predictions)).filter(|(a, b)| **a != *b).count();
        assert!(differ <= 1, "{differ} predictions differ at c = {c}");
        assert!((metric::accuracy(&found, all.labels) - accuracy).abs() < 1.5 / 1797.0);
    }
    Ok(())
}

#[test]
fn nearest_neighbours_vote_as_in_the_formula() -> Outcome {
    #[derive(Deserialize)]
    struct Case {
        k: usize,
        temperature: f64,
        predictions: Vec<u32>,
    }
    let split = Split::load();
    for Case { k, temperature, predictions } in reference::<Vec<Case>>("knn") {
        let found = Knn { k, temperature }.predict(split.train(), split.test().features, false)?;
        assert_eq!(found, predictions, "k = {k}");
    }
    let nearest = Knn { k: 1, temperature: 0.1 };
    let itself = nearest.predict(split.train(), split.train().features, false)?;
    assert_eq!(itself, split.train().labels, "every image is its own nearest neighbour");
    let others = nearest.predict(split.train(), split.train().features, true)?;
    assert!((0.9..1.0).contains(&metric::accuracy(&others, split.train().labels)), "but has no vote when left out");
    Ok(())
}

#[test]
fn the_reference_probe_stops_early_at_its_best_epoch() -> Outcome {
    let split = Split::load();
    let scaled = split.features.mapv(|x| x / 16.0);
    let train = Labelled { features: scaled.slice(s![..split.train, ..]), ..split.train() };
    let test = Labelled { features: scaled.slice(s![split.train.., ..]), ..split.test() };
    let probe = AdamEarlyStop { lr: 0.03, ..AdamEarlyStop::default() };
    let fit = probe.fit(train, test, 10)?;
    let best = fit.held_out_loss.iter().copied().fold(f64::INFINITY, f64::min);
    let at = fit.held_out_loss.iter().position(|&l| l == best).expect("an epoch is the best");
    assert!(fit.converged && fit.held_out_loss.len() == at + 1 + probe.patience, "{:?}", fit.held_out_loss);
    // The weights are those of the best epoch.
    let logits = fit.model.logits(test.features)?;
    let loss: f64 = logits
        .rows()
        .into_iter()
        .zip(test.labels)
        .map(|(row, &label)| {
            let sum: f64 = row.iter().map(|&z| f64::from(z - row[label as usize]).exp()).sum();
            sum.ln()
        })
        .sum();
    close(loss / test.len() as f64, best, 1e-4, "held-out loss");
    assert!(metric::accuracy(&fit.model.predict(test.features)?, test.labels) > 0.88);
    assert_eq!(probe.fit(train, test, 10)?, fit);
    Ok(())
}

#[test]
fn probes_give_equal_bytes_at_any_number_of_threads() -> Outcome {
    let split = Split::load();
    let on = |threads| -> Result<_, Error> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let fit = Logistic { max_iterations: 20, ..Logistic::default() }.fit(split.train(), 10)?;
            let neighbours = Knn { k: 7, ..Knn::default() }.predict(split.train(), split.test().features, false)?;
            Ok((fit, neighbours))
        })
    };
    assert_eq!(on(1)?, on(2)?);
    Ok(())
}

#[test]
fn the_closed_form_holds_for_batches_of_equal_clusters() -> Outcome {
    let (features, classes) = digits();
    let clusters = KMeans { clusters: 32, runs: 1, balanced: true, ..KMeans::default() }.fit(features.view())?.labels;
    let batches = draw(&clusters, Policy::Balanced, 32, 50, 0)?;
    let measured = batches.metrics(&clusters, Some(&classes));
    assert_eq!((measured.same_cluster_rate, measured.distinct_clusters), (0.0, 32.0));
    let (rate, closed_form) = measured.false_negative_rate.expect("classes are given");
    assert!((rate - closed_form).abs() < 1e-3, "{rate} and {closed_form}");
    let by_size = metric::expected_false_negative_rate(&clusters, &classes, None);
    assert!((by_size - closed_form).abs() < 1e-4, "equal clusters have equal shares");
    let random = draw(&clusters, Policy::Random, 32, 50, 0)?.metrics(&clusters, Some(&classes));
    assert!(random.false_negative_rate.expect("classes are given").0 > rate + 0.01);
    Ok(())
}
