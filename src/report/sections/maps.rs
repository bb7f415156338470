//! Maps of features (t-SNE), coloured by class and by cluster, with the image under the pointer.

use std::collections::BTreeMap;

use super::{images::jpeg, spread};
use crate::{
    digest::ArtifactHash,
    report::{
        Figure,
        figure::{Chart, Line, Tiles},
        page::{Part, Sprite, slug},
    },
    results::{Catalogue, Images},
};

/// The most maps of one page; each has thousands of points.
const MAPS: usize = 4;
/// Pixels of an image under the pointer.
const TILE: u32 = 24;

/// All maps.
pub fn parts(source: &Catalogue<'_, '_>, sprites: &mut Vec<Sprite>) -> Vec<Part> {
    let mut parts = Vec::new();
    let indices: Vec<usize> = source.examples("tsne").collect();
    let chosen = spread(indices.len(), MAPS);
    for index in chosen.iter().map(|at| indices[*at]) {
        let Some(map) = Map::of(source, index) else { continue };
        let images = source.named_images_above(index, "features", map.of);
        let clusters = images.as_ref().and_then(|(hash, _)| map.clusters(source, *hash));
        let sprite = images.map(|(_, images)| sprite(&images, &map.indices, sprites));
        let instance = source.name(index);
        let mut colourings = vec![("class".to_owned(), map.labels.clone(), map.classes.clone())];
        colourings.extend(clusters.map(|(name, clusters)| (format!("cluster of {name}"), clusters, Vec::new())));
        for (by, groups, names) in colourings {
            let figure = Figure {
                name: slug(&format!("{instance} {by}")),
                title: format!("{instance}: by {by}"),
                caption: "t-SNE: near points are alike, distances between groups mean little. The image is under the pointer."
                    .to_owned(),
                chart: map.chart(&groups, &names, sprite),
            };
            parts.push(Part::Figure(Box::new(figure)));
        }
    }
    if chosen.len() < indices.len() {
        parts.push(Part::Words(format!("{} of {} maps, spread over the sweep.", chosen.len(), indices.len())));
    }
    parts
}

struct Map {
    points: Vec<(f64, f64)>,
    indices: Vec<usize>,
    labels: Vec<u32>,
    classes: Vec<String>,
    /// Images that the indices are among.
    of: usize,
}

impl Map {
    fn of(source: &Catalogue<'_, '_>, index: usize) -> Option<Self> {
        let artifact = source.artifact(index, "map")?;
        let points = artifact.tensor("points").ok()?.to_vec2::<f32>().ok()?;
        // More digits than the screen has pixels would only make the page larger.
        let rounded = |value: f32| (f64::from(value) * 1e3).round() / 1e3;
        let points: Vec<(f64, f64)> = points.iter().map(|point| (rounded(point[0]), rounded(point[1]))).collect();
        let indices = artifact.tensor("indices").ok()?.to_vec1::<u32>().ok()?;
        let indices = indices.into_iter().map(|index| index as usize).collect();
        let labels = artifact.tensor("labels").ok()?.to_vec1::<u32>().ok()?;
        let classes = artifact.get("classes").ok()?;
        let features = source.input(index, "features");
        let all = features.as_ref().and_then(|features| features.tensor("labels").ok()?.dims().first().copied());
        let of = all.unwrap_or(points.len());
        Some(Self { points, indices, labels, classes, of })
    }

    /// The clusters of the same images with the name of what made them, if some k-means did.
    fn clusters(&self, source: &Catalogue<'_, '_>, images: ArtifactHash) -> Option<(String, Vec<u32>)> {
        source.of_kind("kmeans").find_map(|index| {
            let labels = source.artifact(index, "labels")?.tensor("labels").ok()?.to_vec1::<u32>().ok()?;
            if labels.len() != self.of || source.named_images_above(index, "features", self.of)?.0 != images {
                return None;
            }
            let own = self.indices.iter().map(|&image| labels[image]).collect();
            Some((source.name(index).to_owned(), own))
        })
    }

    fn chart(&self, groups: &[u32], names: &[String], sprite: Option<usize>) -> Chart {
        let mut lines: BTreeMap<u32, (Line, Vec<usize>)> = BTreeMap::new();
        for (at, (point, group)) in self.points.iter().zip(groups).enumerate() {
            let (line, tiles) = lines.entry(*group).or_default();
            line.points.push(*point);
            tiles.push(at);
        }
        let name = |group: &u32| names.get(*group as usize).cloned().unwrap_or_else(|| group.to_string());
        let (groups, of) =
            lines.into_iter().map(|(group, (line, tiles))| (Line { name: name(&group), ..line }, tiles)).unzip();
        let tiles = sprite.map(|sprite| Tiles { sprite, of });
        Chart::Points { x: String::new(), y: String::new(), groups, diagonal: false, tiles }
    }
}

fn sprite(images: &Images, indices: &[usize], sprites: &mut Vec<Sprite>) -> usize {
    let columns = (indices.len() as f64).sqrt().ceil() as usize;
    let wanted: Vec<Option<usize>> = indices.iter().copied().map(Some).collect();
    let edge = TILE.min(images.edge() as u32);
    let source = jpeg(&images.grid(&wanted, columns, edge, 0));
    let same = sprites.iter().position(|sprite| sprite.source == source);
    same.unwrap_or_else(|| {
        sprites.push(Sprite { source, columns: columns as u32 });
        sprites.len() - 1
    })
}
