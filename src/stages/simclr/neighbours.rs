//! The accuracy of nearest neighbours during `simclr` training.

use candle_core::{Device, Tensor};
use ndarray::Array2;

use crate::ml::{
    Error, Result,
    data::ImageSet,
    metric,
    nn::{Mode, ResNet},
    probe::{Knn, Labelled},
};

/// Number of images in a forward pass.
const BATCH: usize = 256;

/// The accuracy on `val` of a vote among the 200 nearest images of `train`, by their features `p3`: the `knn_probe`
/// with its defaults. Leaves the network unchanged.
pub(super) fn accuracy(encoder: &ResNet, train: &ImageSet, val: &ImageSet, device: &Device) -> Result<f64> {
    let (bank, queries) = (features(encoder, train, device)?, features(encoder, val, device)?);
    let train = Labelled { features: bank.view(), labels: &train.labels };
    Ok(metric::accuracy(&Knn::default().predict(train, queries.view(), false)?, &val.labels))
}

fn features(encoder: &ResNet, set: &ImageSet, device: &Device) -> Result<Array2<f32>> {
    let all: Vec<u32> = (0..set.len() as u32).collect();
    let of = |indices: &[u32]| encoder.forward(&set.batch(indices, device)?, Mode::Infer);
    let features = Tensor::cat(&all.chunks(BATCH).map(of).collect::<Result<Vec<_>>>()?, 0)?;
    let flat = features.flatten_all()?.to_vec1::<f32>()?;
    Array2::from_shape_vec(features.dims2()?, flat).map_err(|error| Error::Invalid(error.to_string()))
}
