//! Pictures of a classifier: its confusion matrix, and the images that it was surest about but got wrong.

use candle_core::Tensor;

use crate::stage::{Drawing, View};

/// Number of images shown.
const SHOWN: usize = 48;

/// The confusion matrix at the output `confusion`.
pub(in crate::stages) fn confusion(view: &dyn View) -> Option<Drawing> {
    let counts = view.output("confusion")?.tensor("confusion").ok()?.to_vec2::<u32>().ok()?;
    let names = Names::of(view);
    let classes: Vec<String> = (0..counts.len()).map(|class| names.name(class as u32)).collect();
    Some(Drawing::Matrix {
        title: "confusions".to_owned(),
        caption: "Test images by their class and by what they were taken for.".to_owned(),
        rows: ("class".to_owned(), classes.clone()),
        columns: ("taken for".to_owned(), classes),
        value: "images".to_owned(),
        cells: counts.iter().map(|row| row.iter().map(|&count| Some(f64::from(count))).collect()).collect(),
    })
}

/// The test images that were taken for another class. `predicted` has the class that each was taken for; `sure`, if it
/// is known, how sure the classifier was of that rather than of the true class: the larger, the surer.
pub(in crate::stages) fn mistaken(
    view: &dyn View,
    labels: &[u32],
    predicted: &[u32],
    sure: Option<&[f32]>,
) -> Option<Drawing> {
    let images: Tensor = view.images("test", labels.len())?;
    let names = Names::of(view);
    let mut wrong: Vec<usize> = (0..labels.len()).filter(|&image| predicted[image] != labels[image]).collect();
    if let Some(sure) = sure {
        wrong.sort_by(|&a, &b| sure[b].total_cmp(&sure[a]));
    }
    let words = |image: usize| format!("{} → {}", names.name(labels[image]), names.name(predicted[image]));
    let shown: Vec<(usize, String)> = wrong.iter().take(SHOWN).map(|&image| (image, words(image))).collect();
    let all = wrong.len();
    let which = match (all > SHOWN, sure.is_some()) {
        (true, true) => format!("The {SHOWN} of {all} such test images that the classifier was surest of"),
        (true, false) => format!("The first {SHOWN} of {all} such test images"),
        (false, true) => format!("All {all} such test images, those first that the classifier was surest of"),
        (false, false) => format!("All {all} such test images"),
    };
    let caption = format!("{which}. Below each: its class → what it was taken for.");
    let title = "taken for something else".to_owned();
    (!shown.is_empty()).then_some(Drawing::Captioned { title, caption, images, shown })
}

/// What is said in place of the mistakes of a kind that trains a whole network.
pub(in crate::stages) fn not_kept(kind: &str) -> Drawing {
    Drawing::Words(format!(
        "The images that were taken for something else are not shown: `{kind}` keeps its network and its accuracy, but \
         no predictions. A `linear_probe` at `p3` of this network, joined through `encode`, shows them."
    ))
}

/// The names of the classes, as far as the test features know them.
struct Names(Vec<String>);

impl Names {
    fn of(view: &dyn View) -> Self {
        Self(view.input("test").and_then(|test| test.get("classes").ok()).unwrap_or_default())
    }

    fn name(&self, class: u32) -> String {
        self.0.get(class as usize).cloned().unwrap_or_else(|| class.to_string())
    }
}
