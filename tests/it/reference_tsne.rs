//! t-SNE and its measures against scikit-learn: numbers in `tests/reference/tsne.json`, made by the program beside it, on
//! the digits of `cluster.json`.

use ndarray::{Array1, Axis};
use serde::Deserialize;
use strata::ml::{
    Error,
    features::moments,
    metric, pca,
    probe::{Accuracy, Knn, Labelled},
    rng::Stream,
    tsne::Tsne,
};

use crate::reference_cluster::digits;

#[derive(Deserialize)]
struct Reference {
    kl_divergence: f64,
    trustworthiness: f64,
    trustworthiness_of_plane: f64,
    plane_variance: Vec<f64>,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("../reference/tsne.json")).expect("the reference has its form")
}

#[test]
fn the_plane_of_components_is_that_of_scikit_learn() -> Result<(), Error> {
    let (mut points, _) = digits();
    let reference = reference();
    points -= &Array1::from_iter(moments(points.view()).0.iter().map(|&mean| mean as f32));
    let plane = pca::scores(points.view(), 2, &Stream::new(0, "plane"))?;
    let (_, variance) = moments(plane.view());
    for (found, expected) in variance.iter().zip(&reference.plane_variance) {
        assert!((found / expected - 1.0).abs() < 1e-3, "{found} where the reference has {expected}");
    }
    // Distances between whole numbers of pixels are often equal, and each program orders equal ones in its way.
    let trusted =
        metric::trustworthiness(points.view(), plane.view(), 5, &strata::ml::stop::never)?.expect("many images");
    assert!((trusted - reference.trustworthiness_of_plane).abs() < 2e-3, "{trusted}");
    Ok(())
}

#[test]
fn maps_are_as_good_as_those_of_scikit_learn() -> Result<(), Error> {
    let (points, classes) = digits();
    let reference = reference();
    let map = Tsne { pca: 0, ..Tsne::default() }.fit(points.view())?;
    let (divergence, trusted) = (map.kl_divergence, map.trustworthiness);
    assert!(
        divergence < 1.05 * reference.kl_divergence,
        "{divergence} where the reference has {}",
        reference.kl_divergence
    );
    assert!(divergence > 0.8 * reference.kl_divergence, "too good to be the same figure: {divergence}");
    assert!(trusted > reference.trustworthiness - 2e-3, "{trusted}");
    // Ten classes that are apart in 64 dimensions are apart on the map.
    let mut places = map.points;
    places -= &places.mean_axis(Axis(0)).expect("there are points");
    let lifted = lift(&places);
    let labelled = Labelled { features: lifted.view(), labels: &classes };
    let predicted = Knn { k: 10, temperature: 0.1 }.predict(labelled, lifted.view(), true)?;
    let accuracy = Accuracy::of(&predicted, &classes).value;
    assert!(accuracy > 0.96, "{accuracy}");
    Ok(())
}

/// Places on a sphere so large that angles order neighbours as distances do.
fn lift(places: &ndarray::Array2<f32>) -> ndarray::Array2<f32> {
    ndarray::Array2::from_shape_fn((places.nrows(), 3), |(i, j)| if j < 2 { places[[i, j]] } else { 300.0 })
}
