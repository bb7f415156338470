//! The pictures that kinds draw of their results, and maps that show the image under the pointer.

use std::collections::BTreeMap;

use candle_core::Tensor;
use image::RgbImage;

use super::{
    images::{jpeg, png},
    spread,
};
use crate::{
    graph::InstanceId,
    report::{
        figure::{Chart, Figure, Line, Tiles as Points},
        page::{Part, Picture, Sprite, Tiles, slug},
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
        let (mut seen, mut instances, all) = (Vec::new(), 0, indices.len());
        let mut looked_at = 0;
        for index in indices {
            if instances == EACH {
                break;
            }
            looked_at += 1;
            let parts = source.draw(index).iter().flat_map(|one| draw(&source.title(index), one, sprites)).collect();
            // Equal pictures, of arms that share their augmentations, are shown once.
            let new: Vec<Part> = distinct(parts, &seen);
            instances += usize::from(!new.is_empty());
            seen.extend(new);
        }
        if looked_at < all {
            let rest = all - looked_at;
            seen.push(Part::Words(format!("Pictures of {rest} more of these {all} `{kind}` instances are left out.")));
        }
        others.extend(seen);
    }
    (maps, others)
}

fn distinct(mut parts: Vec<Part>, seen: &[Part]) -> Vec<Part> {
    let same = |one: &Part, other: &Part| match (one, other) {
        (Part::Picture(one), Part::Picture(other)) => one.source == other.source,
        (Part::Tiles(one), Part::Tiles(other)) => one.images == other.images,
        // A sentence about the kind follows the name of its instance.
        (Part::Words(one), Part::Words(other)) => {
            one.split_once(": ").map(|(_, rest)| rest) == other.split_once(": ").map(|(_, rest)| rest)
        }
        _ => false,
    };
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
        Drawing::Captioned { title, caption, images, shown } => {
            let Some(images) = Images::of(images) else { return Vec::new() };
            let scale = if images.edge() <= 40 { 2 } else { 1 };
            let one = |(image, words): &(usize, String)| (images.grid(&[Some(*image)], 1, EDGE, 0), words.clone());
            let drawn: Vec<(RgbImage, String)> = shown.iter().map(one).collect();
            let Some((first, _)) = drawn.first() else { return Vec::new() };
            let size = (first.width() * scale, first.height() * scale);
            let (title, caption) = (format!("{instance}: {title}"), caption.clone());
            let images = drawn.into_iter().map(|(image, words)| (png(image), words)).collect();
            vec![Part::Tiles(Tiles { title, caption, images, size })]
        }
        Drawing::Words(words) => vec![Part::Words(format!("{instance}: {words}"))],
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
    let tiles = sprite.map(|sprite| Points { sprite, of });
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
