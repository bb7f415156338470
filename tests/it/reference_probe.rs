//! Probes with few labels and weak penalties, against scikit-learn at its strictest.

use ndarray::s;
use serde::Deserialize;
use strata::ml::{
    Error,
    features::Scaler,
    probe::{Accuracy, Labelled, Logistic},
};

use crate::reference_cluster::digits;

#[derive(Deserialize)]
struct Reference {
    labels: usize,
    test: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    c: f64,
    cost: f64,
    accuracy: f64,
}

/// The cost falls with the penalty, so a bound on the gradient that does not fall with it ends the search anywhere.
#[test]
fn a_probe_is_at_the_minimum_or_says_that_it_is_not() -> Result<(), Error> {
    let reference: Reference = serde_json::from_str(include_str!("../reference/weak_penalty.json")).expect("its form");
    let (features, classes) = digits();
    let train = Labelled { features: features.slice(s![..reference.labels, ..]), labels: &classes[..reference.labels] };
    let deviation = Scaler::fit(train.features).deviation;
    let test = features.slice(s![reference.test.., ..]);
    for Case { c, cost, accuracy } in reference.cases {
        let fit = Logistic { c, ..Logistic::default() }.fit(train, 10)?;
        let predictions = fit.model.predict(test)?;
        let right = Accuracy::of(&predictions, &classes[reference.test..]).value;
        if c <= 1000.0 {
            assert!(fit.converged, "c = {c}: {} iterations", fit.iterations);
        }
        if fit.converged {
            // The penalty is on weights for standardised features.
            let of_scaled = |((_, column), &weight): ((usize, usize), &f32)| f64::from(weight) * deviation[column];
            let squares: f64 = fit.model.weight.indexed_iter().map(of_scaled).map(|weight| weight * weight).sum();
            let found = fit.loss + squares / (2.0 * c * reference.labels as f64);
            assert!((0.999..1.0015).contains(&(found / cost)), "c = {c}: a cost of {found}, at the minimum {cost}");
            assert!((right - accuracy).abs() < 0.006, "c = {c}: {right} where scikit-learn has {accuracy}");
        }
    }
    Ok(())
}

#[test]
fn a_search_that_is_cut_short_has_not_converged() -> Result<(), Error> {
    let (features, classes) = digits();
    let train = Labelled { features: features.slice(s![..200, ..]), labels: &classes[..200] };
    let fit = Logistic { max_iterations: 3, ..Logistic::default() }.fit(train, 10)?;
    assert_eq!((fit.converged, fit.iterations), (false, 3));
    let stopped = Logistic::default().fit_until(train, 10, &|| true);
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    Ok(())
}
