//! The images nearest to the mean of their cluster.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::{
    stage::{Drawing, View},
    store::Artifact,
};

/// Number of images shown for each cluster.
const SHOWN: usize = 8;
/// Number of clusters shown.
const CLUSTERS: usize = 32;

/// The picture, if the outputs and inputs that it needs are available. `at` is the level of the features.
pub(super) fn draw(view: &dyn View, at: Option<&str>) -> Option<Drawing> {
    let labels = view.output("labels")?.tensor("labels").ok()?.to_vec1::<u32>().ok()?;
    let images = view.images("features", labels.len())?;
    let features = features(&view.input("features")?, at)?.to_vec2::<f32>().ok()?;
    let width = features.first()?.len();
    let mut sums: BTreeMap<u32, (Vec<f64>, f64)> = BTreeMap::new();
    for (label, row) in labels.iter().zip(&features) {
        let (sum, count) = sums.entry(*label).or_insert_with(|| (vec![0.0; width], 0.0));
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
        *count += 1.0;
    }
    let distance = |row: &[f32], (sum, count): &(Vec<f64>, f64)| -> f64 {
        row.iter().zip(sum).map(|(value, sum)| (f64::from(*value) - sum / count).powi(2)).sum()
    };
    let mut members: BTreeMap<u32, Vec<(f64, usize)>> = BTreeMap::new();
    for (image, (label, row)) in labels.iter().zip(&features).enumerate() {
        members.entry(*label).or_default().push((distance(row, &sums[label]), image));
    }
    let mut shown: Vec<Option<usize>> = Vec::new();
    for members in members.values_mut().take(CLUSTERS) {
        members.sort_by(|a, b| a.0.total_cmp(&b.0));
        let nearest = members.iter().map(|(_, image)| Some(*image)).chain(std::iter::repeat(None));
        shown.extend(nearest.take(SHOWN));
    }
    let all = members.len();
    let some = all.min(CLUSTERS);
    let caption =
        format!("The {SHOWN} images nearest to the mean of each cluster; {some} of {all} clusters, two in a row.");
    Some(Drawing::Images {
        title: "images nearest to the means".to_owned(),
        caption,
        images,
        shown,
        columns: 2 * SHOWN,
    })
}

/// The tensor of a level, or the only one there is.
fn features<'a>(artifact: &'a Artifact, at: Option<&str>) -> Option<&'a Tensor> {
    match at {
        Some(at) => artifact.tensors().get(at),
        None => artifact.tensors().values().find(|tensor| tensor.dims().len() == 2),
    }
}
