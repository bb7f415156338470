//! Pictures of a probe: its confusion matrix, and the images that it was most certain about but got wrong.

use crate::stage::{Drawing, View};

/// Number of images shown.
const SHOWN: usize = 48;
/// Number of images in a row.
const ROW: usize = 16;

/// Both pictures, as far as the outputs and inputs that they need are available.
pub(super) fn draw(view: &dyn View) -> Vec<Drawing> {
    confusion(view).into_iter().chain(mistaken(view)).collect()
}

fn confusion(view: &dyn View) -> Option<Drawing> {
    let counts = view.output("confusion")?.tensor("confusion").ok()?.to_vec2::<u32>().ok()?;
    let names: Vec<String> = view.input("test").and_then(|test| test.get("classes").ok()).unwrap_or_default();
    let name = |class: usize| names.get(class).cloned().unwrap_or_else(|| class.to_string());
    let classes: Vec<String> = (0..counts.len()).map(name).collect();
    Some(Drawing::Matrix {
        title: "confusions".to_owned(),
        caption: "Test images by their class and by what they were taken for.".to_owned(),
        rows: ("class".to_owned(), classes.clone()),
        columns: ("taken for".to_owned(), classes),
        value: "images".to_owned(),
        cells: counts.iter().map(|row| row.iter().map(|&count| Some(f64::from(count))).collect()).collect(),
    })
}

fn mistaken(view: &dyn View) -> Option<Drawing> {
    let weights = view.output("weights")?;
    let (weight, bias) = (weights.tensor("weight").ok()?, weights.tensor("bias").ok()?);
    let test = view.input("test")?;
    let at: Option<String> = weights.get("at").ok();
    let features = at.and_then(|at| test.tensors().get(&at).cloned())?;
    let labels = test.tensor("labels").ok()?.to_vec1::<u32>().ok()?;
    let logits = features.matmul(&weight.t().ok()?).ok()?.broadcast_add(bias).ok()?.to_vec2::<f32>().ok()?;
    let images = view.images("test", labels.len())?;
    let mut wrong: Vec<(f32, usize)> = Vec::new();
    for (image, (row, &label)) in logits.iter().zip(&labels).enumerate() {
        let best = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let own = row.get(label as usize).copied().unwrap_or(f32::NEG_INFINITY);
        if own < best {
            wrong.push((best - own, image));
        }
    }
    wrong.sort_by(|a, b| b.0.total_cmp(&a.0));
    let shown: Vec<Option<usize>> = wrong.iter().take(SHOWN).map(|(_, image)| Some(*image)).collect();
    let caption = format!("Of {} test images that were, those that the classifier was surest of.", wrong.len());
    let columns = ROW.min(shown.len());
    let title = "taken for something else".to_owned();
    (!shown.is_empty()).then_some(Drawing::Images { title, caption, images, shown, columns })
}
