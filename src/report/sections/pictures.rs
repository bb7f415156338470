//! Pictures: reconstructions, views, clusters, batches, confusions and what a probe took for something else.

use std::collections::BTreeMap;

use candle_core::Tensor;

use super::images::png;
use crate::{
    report::{
        Figure,
        figure::Chart,
        page::{Part, Picture, slug},
    },
    results::{Catalogue, Images},
    store::Artifact,
};

/// Of each kind of picture, those of so many instances.
const EACH: usize = 3;
/// Pixels of an image's edge at most.
const EDGE: u32 = 64;

/// Makes a picture of an instance, if there is something to show.
type Painter = fn(&Catalogue<'_, '_>, usize) -> Option<Part>;

/// All pictures.
pub fn parts(source: &Catalogue<'_, '_>) -> Vec<Part> {
    let mut parts = Vec::new();
    let pictures: [(&str, Painter); 6] = [
        ("dae", reconstructions),
        ("simclr", views),
        ("kmeans", clusters),
        ("sampler", batch),
        ("linear_probe", confusion),
        ("linear_probe", mistaken),
    ];
    for (kind, picture) in pictures {
        let mut seen: Vec<Part> = Vec::new();
        for index in source.examples(kind) {
            if seen.len() == EACH {
                break;
            }
            // Equal pictures (of arms that share their augmentations) are shown once.
            seen.extend(picture(source, index).filter(|part| !seen.iter().any(|other| same(part, other))));
        }
        parts.extend(seen);
    }
    parts
}

fn same(one: &Part, other: &Part) -> bool {
    matches!((one, other), (Part::Picture(one), Part::Picture(other)) if one.source == other.source)
}

fn picture(title: String, caption: &str, images: &Images, indices: &[Option<usize>], columns: usize) -> Part {
    let grid = images.grid(indices, columns, EDGE, 2);
    // Small images are shown twice as large.
    let scale = if images.edge() <= 40 { 2 } else { 1 };
    let size = (grid.width() * scale, grid.height() * scale);
    Part::Picture(Picture { title, caption: caption.to_owned(), source: png(grid), size })
}

fn reconstructions(source: &Catalogue<'_, '_>, index: usize) -> Option<Part> {
    let artifact = source.artifact(index, "reconstructions")?;
    let rows: Vec<&Tensor> =
        ["clean", "noisy", "reconstruction"].iter().map(|name| artifact.tensor(name)).collect::<Result<_, _>>().ok()?;
    let images = Images::of(&Tensor::cat(&rows, 0).ok()?)?;
    let columns = images.len() / rows.len();
    let all: Vec<Option<usize>> = (0..images.len()).map(Some).collect();
    let title = format!("{}: reconstructions", source.point(index));
    Some(picture(
        title,
        "From above: the image, what the autoencoder saw, what it made of that.",
        &images,
        &all,
        columns,
    ))
}

fn views(source: &Catalogue<'_, '_>, index: usize) -> Option<Part> {
    let artifact = source.artifact(index, "views")?;
    let tensor = artifact.tensor("images").ok()?;
    let columns = *tensor.dims().get(1)?;
    let images = Images::of(tensor)?;
    let all: Vec<Option<usize>> = (0..images.len()).map(Some).collect();
    let title = format!("{}: augmentation", source.point(index));
    Some(picture(title, "A row for each image: random views of it.", &images, &all, columns))
}

/// The images nearest to the mean of their cluster.
fn clusters(source: &Catalogue<'_, '_>, index: usize) -> Option<Part> {
    const SHOWN: usize = 8;
    const ROWS: usize = 32;
    let labels = source.artifact(index, "labels")?.tensor("labels").ok()?.to_vec1::<u32>().ok()?;
    let images = source.images_above(index, "features", labels.len())?;
    let features = features(source, index)?;
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
    for (at, (label, row)) in labels.iter().zip(&features).enumerate() {
        members.entry(*label).or_default().push((distance(row, &sums[label]), at));
    }
    let mut shown: Vec<Option<usize>> = Vec::new();
    for members in members.values_mut().take(ROWS) {
        members.sort_by(|a, b| a.0.total_cmp(&b.0));
        let nearest = members.iter().map(|(_, at)| Some(*at)).chain(std::iter::repeat(None));
        shown.extend(nearest.take(SHOWN));
    }
    let all = members.len();
    let title = format!("{}: clusters", source.point(index));
    let caption = format!(
        "The {SHOWN} images nearest to the mean of each cluster; {} of {all} clusters, two in a row.",
        all.min(ROWS)
    );
    Some(picture(title, &caption, &images, &shown, 2 * SHOWN))
}

/// The features that a stage was given, at its level.
fn features(source: &Catalogue<'_, '_>, index: usize) -> Option<Vec<Vec<f32>>> {
    let artifact = source.input(index, "features")?;
    level(&artifact, source, index)?.to_vec2::<f32>().ok()
}

/// The tensor at the level that a stage names, or the only one.
fn level<'a>(artifact: &'a Artifact, source: &Catalogue<'_, '_>, index: usize) -> Option<&'a Tensor> {
    let params = source.params(index);
    match params.get("at").and_then(serde_json::Value::as_str) {
        Some(at) => artifact.tensors().get(at),
        None => artifact.tensors().values().find(|tensor| tensor.dims().len() == 2),
    }
}

fn batch(source: &Catalogue<'_, '_>, index: usize) -> Option<Part> {
    let batches = source.artifact(index, "batches")?.tensor("batches").ok()?.to_vec3::<u32>().ok()?;
    let first = batches.first()?.last()?;
    let labels = source.input(index, "labels")?;
    let count = labels.tensor("labels").ok()?.dims().first().copied()?;
    let images = match labels.tensors().get("images").and_then(Images::of) {
        Some(images) => images,
        None => source.images_above(index, "labels", count)?,
    };
    let shown: Vec<Option<usize>> = first.iter().take(96).map(|&image| Some(image as usize)).collect();
    let title = format!("{}: a batch", source.point(index));
    Some(picture(title, "The last batch of the first round.", &images, &shown, 16.min(shown.len())))
}

fn confusion(source: &Catalogue<'_, '_>, index: usize) -> Option<Part> {
    let counts = source.artifact(index, "confusion")?.tensor("confusion").ok()?.to_vec2::<u32>().ok()?;
    let names: Vec<String> = source.input(index, "test").and_then(|test| test.get("classes").ok()).unwrap_or_default();
    let name = |class: usize| names.get(class).cloned().unwrap_or_else(|| class.to_string());
    let classes: Vec<String> = (0..counts.len()).map(name).collect();
    let words = source.name(index);
    Some(Part::Figure(Box::new(Figure {
        name: slug(&format!("{words} confusion")),
        title: format!("{words}: confusions"),
        caption: "Test images by their class and by what they were taken for.".to_owned(),
        chart: Chart::Heatmap {
            rows: ("class".to_owned(), classes.clone()),
            columns: ("taken for".to_owned(), classes),
            value: "images".to_owned(),
            cells: counts.iter().map(|row| row.iter().map(|&count| Some(f64::from(count))).collect()).collect(),
        },
    })))
}

/// Test images that the classifier is most sure of and wrong about.
fn mistaken(source: &Catalogue<'_, '_>, index: usize) -> Option<Part> {
    const SHOWN: usize = 48;
    let weights = source.artifact(index, "weights")?;
    let (weight, bias) = (weights.tensor("weight").ok()?, weights.tensor("bias").ok()?);
    let test = source.input(index, "test")?;
    let at: Option<String> = weights.get("at").ok();
    let features = at.and_then(|at| test.tensors().get(&at).cloned())?;
    let labels = test.tensor("labels").ok()?.to_vec1::<u32>().ok()?;
    let logits = features.matmul(&weight.t().ok()?).ok()?.broadcast_add(bias).ok()?.to_vec2::<f32>().ok()?;
    let images = source.images_above(index, "test", labels.len())?;
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
    let title = format!("{}: taken for something else", source.name(index));
    let caption = format!("Of {} test images that were, those that the classifier was surest of.", wrong.len());
    (!shown.is_empty()).then(|| picture(title, &caption, &images, &shown, 16.min(shown.len())))
}
