//! Pictures of a probe, from its weights and the test features.

use crate::{
    stage::{Drawing, View},
    stages::shared::mistakes,
};

/// Both pictures, as far as the outputs and inputs that they need are available.
pub(super) fn draw(view: &dyn View) -> Vec<Drawing> {
    mistakes::confusion(view).into_iter().chain(mistaken(view)).collect()
}

fn mistaken(view: &dyn View) -> Option<Drawing> {
    let weights = view.output("weights")?;
    let (weight, bias) = (weights.tensor("weight").ok()?, weights.tensor("bias").ok()?);
    let test = view.input("test")?;
    let at: Option<String> = weights.get("at").ok();
    let features = at.and_then(|at| test.tensors().get(&at).cloned())?;
    let labels = test.tensor("labels").ok()?.to_vec1::<u32>().ok()?;
    let logits = features.matmul(&weight.t().ok()?).ok()?.broadcast_add(bias).ok()?.to_vec2::<f32>().ok()?;
    let predicted = |(row, &label): (&Vec<f32>, &u32)| {
        // The first of several largest, as when the accuracy was measured.
        let best = (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or_default();
        let own = row.get(label as usize).copied().unwrap_or(f32::NEG_INFINITY);
        (best as u32, row.get(best).map_or(0.0, |best| best - own))
    };
    let (predicted, sure): (Vec<u32>, Vec<f32>) = logits.iter().zip(&labels).map(predicted).unzip();
    mistakes::mistaken(view, &labels, &predicted, Some(&sure))
}
