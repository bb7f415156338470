//! The labels by which `simclr` weights pairs, and the rate of its false negatives.

use candle_core::DType;

use super::{Negatives, Simclr};
use crate::{
    ml::{
        loss::{LossKind, PseudoLabels},
        metric::{FalseNegatives, expected_negatives_rate},
    },
    stage::{Context, Inputs, StageError},
    store::Artifact,
};

/// The labels that the training uses, one for each of `images` images.
pub(super) fn labels(simclr: &Simclr, inputs: &Inputs, images: usize) -> Result<Option<PseudoLabels>, StageError> {
    let weighted = simclr.negatives == Negatives::Weighted;
    let reason = match (simclr.loss, simclr.negatives) {
        (LossKind::Supcon, _) => "loss = \"supcon\"",
        (_, Negatives::Mask) => "negatives = \"mask\"",
        (_, Negatives::Weighted) => "negatives = \"weighted\"",
        (_, Negatives::All) => return Ok(None),
    };
    let Some(artifact) = inputs.get("labels") else {
        return Err(StageError::failed(format!("`{reason}` needs the input `labels`")));
    };
    let Some(labels) = artifact.tensors().get("labels") else {
        return Err(StageError::failed(format!(
            "`{reason}` needs labels, and the images at the input `labels` have none"
        )));
    };
    let labels = labels.to_vec1::<u32>()?;
    if labels.len() != images {
        return Err(StageError::failed(format!("{} labels for {images} images", labels.len())));
    }
    let confidence = if weighted { confidence(artifact, images)? } else { None };
    Ok(Some(PseudoLabels { labels, confidence }))
}

/// The confidence of each label. Labels without it, such as the true labels of images, count as certain.
fn confidence(artifact: &Artifact, images: usize) -> Result<Option<Vec<f32>>, StageError> {
    let Some(tensor) = artifact.tensors().get("confidence") else { return Ok(None) };
    let confidence = tensor.to_dtype(DType::F32)?.to_vec1::<f32>()?;
    let fine = confidence.len() == images && confidence.iter().all(|c| (0.0..=1.0).contains(c));
    if fine { Ok(Some(confidence)) } else { Err(StageError::failed("confidences must be in [0, 1], one an image")) }
}

/// Reports the rate of false negatives over all steps, and the expected rate.
pub(super) fn tell_false_negatives(
    cx: &mut Context<'_>,
    classes: &[u32],
    labels: Option<&PseudoLabels>,
    rounds: &[Vec<Vec<u32>>],
    epochs: usize,
) {
    let mut found = FalseNegatives::default();
    for (round, batches) in rounds.iter().enumerate().take(epochs) {
        // Epoch e uses round e, modulo the number of rounds.
        let times = (epochs - round).div_ceil(rounds.len()) as f64;
        for batch in batches {
            let classes: Vec<u32> = batch.iter().map(|&index| classes[index as usize]).collect();
            let labels = labels.map(|labels| labels.select(batch));
            found.add(FalseNegatives::of(&classes, labels.as_ref()), times);
        }
    }
    if epochs > 0 {
        cx.metric("false_negative_rate", found.rate());
    }
    cx.metric("false_negative_rate_expected", expected_negatives_rate(classes, labels));
}
