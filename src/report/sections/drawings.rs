//! The pictures that kinds draw of their results, and maps that show the image under the pointer.

use std::collections::BTreeMap;

use candle_core::Tensor;

use super::{
    images::{jpeg, png},
    spread,
};
use crate::{
    graph::InstanceId,
    report::{
        figure::{Chart, Figure, Line, Tiles},
        page::{Part, Picture, Sprite, slug},
    },
    results::{Catalogue, Images},
    stage::{Drawing, Groups},
};

/// The most instances of a kind whose pictures are shown.
const EACH: usize = 3;
/// The most maps of a kind. Each has thousands of points.
const MAPS: usize = 4;
/// The longest edge of an image, in pixels.
const EDGE: u32 = 64;
/// The edge of an image under the pointer, in pixels.
const TILE: u32 = 24;

/// Returns the parts of all maps, and of all other pictures.
pub(super) fn parts(source: &Catalogue<'_, '_>, sprites: &mut Vec<Sprite>) -> (Vec<Part>, Vec<Part>) {
    let (mut maps, mut others) = (Vec::new(), Vec::new());
    for kind in source.kinds() {
        let indices: Vec<InstanceId> = source.examples(kind).collect();
        let first = indices.iter().map(|&index| source.draw(index)).find(|drawings| !drawings.is_empty());
        let Some(first) = first else { continue };
        if first.iter().any(|drawing| matches!(drawing, Drawing::Map { .. })) {
            let chosen = spread(indices.len(), MAPS);
            for &at in &chosen {
                let drawings = source.draw(indices[at]);
                maps.extend(drawings.iter().flat_map(|drawing| draw(&source.title(indices[at]), drawing, sprites)));
            }
            if chosen.len() < indices.len() {
                let (shown, all) = (chosen.len(), indices.len());
                maps.push(Part::Words(format!("{shown} of {all} maps, spread over the sweep.")));
            }
            continue;
        }
        let (mut seen, mut instances) = (Vec::new(), 0);
        for index in indices {
            if instances == EACH {
                break;
            }
            let parts = source.draw(index).iter().flat_map(|one| draw(&source.title(index), one, sprites)).collect();
            // Equal pictures, of arms that share their augmentations, are shown once.
            let new: Vec<Part> = distinct(parts, &seen);
            instances += usize::from(!new.is_empty());
            seen.extend(new);
        }
        others.extend(seen);
    }
    (maps, others)
}

fn distinct(mut parts: Vec<Part>, seen: &[Part]) -> Vec<Part> {
    let same = |one: &Part, other: &Part| matches!((one, other), (Part::Picture(one), Part::Picture(other)) if one.source == other.source);
    parts.retain(|part| !seen.iter().any(|other| same(part, other)));
    parts
}

/// Turns a drawing into parts of the page.
fn draw(instance: &str, drawing: &Drawing, sprites: &mut Vec<Sprite>) -> Vec<Part> {
    match drawing {
        Drawing::Images { title, caption, images, shown, columns } => {
            let Some(images) = Images::of(images).filter(|_| *columns > 0) else { return Vec::new() };
            let grid = images.grid(shown, *columns, EDGE, 2);
            // Small images are shown at twice their size.
            let scale = if images.edge() <= 40 { 2 } else { 1 };
            let size = (grid.width() * scale, grid.height() * scale);
            let (title, caption) = (format!("{instance}: {title}"), caption.clone());
            vec![Part::Picture(Picture { title, caption, source: png(grid), size })]
        }
        Drawing::Matrix { title, caption, rows, columns, value, cells } => vec![Part::Figure(Box::new(Figure {
            name: slug(&format!("{instance} {title}")),
            title: format!("{instance}: {title}"),
            caption: caption.clone(),
            chart: Chart::Heatmap {
                rows: rows.clone(),
                columns: columns.clone(),
                value: value.clone(),
                cells: cells.clone(),
            },
        }))],
        Drawing::Map { caption, points, groups, images } => {
            let sprite = images.as_ref().and_then(|(images, own)| sprite(images, own, sprites));
            let figure = |groups: &Groups| Figure {
                name: slug(&format!("{instance} {}", groups.by)),
                title: format!("{instance}: by {}", groups.by),
                caption: caption.clone(),
                chart: map(points, groups, sprite),
            };
            groups.iter().map(|groups| Part::Figure(Box::new(figure(groups)))).collect()
        }
    }
}

fn map(points: &[(f64, f64)], groups: &Groups, sprite: Option<usize>) -> Chart {
    let mut lines: BTreeMap<u32, (Line, Vec<usize>)> = BTreeMap::new();
    for (at, (point, group)) in points.iter().zip(&groups.of).enumerate() {
        let (line, tiles) = lines.entry(*group).or_default();
        line.points.push(*point);
        tiles.push(at);
    }
    let name = |group: u32| groups.names.get(group as usize).cloned().unwrap_or_else(|| group.to_string());
    let (groups, of) =
        lines.into_iter().map(|(group, (line, tiles))| (Line { name: name(group), ..line }, tiles)).unzip();
    let tiles = sprite.map(|sprite| Tiles { sprite, of });
    Chart::Points { x: String::new(), y: String::new(), groups, diagonal: false, tiles }
}

/// Puts the images of a map's points into one picture and returns its index. Equal pictures are added once.
fn sprite(images: &Tensor, own: &[usize], sprites: &mut Vec<Sprite>) -> Option<usize> {
    let images = Images::of(images)?;
    let columns = (own.len() as f64).sqrt().ceil() as usize;
    let wanted: Vec<Option<usize>> = own.iter().copied().map(Some).collect();
    let edge = TILE.min(images.edge() as u32);
    let source = jpeg(&images.grid(&wanted, columns, edge, 0));
    let same = sprites.iter().position(|sprite| sprite.source == source);
    Some(same.unwrap_or_else(|| {
        sprites.push(Sprite { source, columns: columns as u32 });
        sprites.len() - 1
    }))
}
