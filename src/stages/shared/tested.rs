//! What every classifier reports about its test images.

use candle_core::{Device, Tensor};

use crate::{
    ml::{metric, probe::Accuracy},
    stage::{Context, Metric, StageError},
    store::Artifact,
};

/// The metrics of [`tested`], and the accuracy on the training images. It is shown beside the score, because a network
/// that has not learnt its training images is not a fair baseline.
pub(in crate::stages) fn metrics() -> Vec<Metric> {
    vec![
        Metric::new("test_accuracy", "share of the test images that are classified right")
            .fraction()
            .higher()
            .score_between("test_accuracy_low", "test_accuracy_high"),
        Metric::new("train_accuracy", "the same on the training images").fraction().higher().beside_score(),
        Metric::new("test_accuracy_low", "lower end of its 95 % interval over the test images").fraction(),
        Metric::new("test_accuracy_high", "upper end of its 95 % interval over the test images").fraction(),
    ]
}

/// Records the test accuracy with its 95 % interval, and returns the confusion matrix.
pub(in crate::stages) fn tested(
    cx: &mut Context<'_>,
    predictions: &[u32],
    labels: &[u32],
    classes: usize,
) -> Result<Artifact, StageError> {
    let Accuracy { value, low, high } = Accuracy::of(predictions, labels);
    cx.metric("test_accuracy", value);
    cx.metric("test_accuracy_low", low);
    cx.metric("test_accuracy_high", high);
    let counts = metric::confusion(predictions, labels, classes);
    Ok(Artifact::new().with("confusion", Tensor::from_vec(counts, (classes, classes), &Device::Cpu)?))
}
