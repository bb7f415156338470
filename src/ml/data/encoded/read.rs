//! Decodes the chosen images, and names every image that cannot be read.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{Encoded, Orientation, decode::decode};
use crate::ml::{
    Result,
    data::{Choice, Faults, ImageSet, Reading, Split, Square, Watch, names, resize},
};

/// Number of images that each thread decodes at a time. It is small, so that reading stops soon.
const BLOCK: usize = 8;

/// Height and width.
type Size = [usize; 2];

/// Reads the chosen images; see [`Collection::read`](crate::ml::data::Collection::read).
pub(super) fn read(
    images: &impl Encoded,
    orientation: Orientation,
    choices: &[Choice],
    square: Square,
    watch: Watch<'_>,
) -> Result<Reading> {
    let mut sets: Vec<ImageSet> = choices.iter().map(|choice| empty(images, choice)).collect();
    let mut sizes = Sizes::default();
    let (mut broken, mut several) = (Vec::new(), Vec::new());
    let mut done = 0;
    for (set, choice) in choices.iter().enumerate() {
        let mut source = images.fetch(choice.split);
        for block in choice.indices.chunks(BLOCK * rayon::current_num_threads()) {
            watch(done)?;
            let files = source.fetch(block)?;
            let decoded: Vec<_> = files
                .into_par_iter()
                .map(|bytes| bytes.and_then(|bytes| planes(&bytes, orientation, square)))
                .collect();
            for (&index, image) in block.iter().zip(decoded) {
                let name = || images.name(choice.split, index);
                match image {
                    Ok(Planes { size, planes, is_one_of_several }) => {
                        several.extend(is_one_of_several.then(name));
                        sizes.note(size, choice.split, index);
                        if broken.is_empty() && sizes.are_one() {
                            append(&mut sets[set], size, &planes);
                        }
                    }
                    Err(why) => broken.push((name(), why)),
                }
            }
            done += block.len();
            if !broken.is_empty() || !sizes.are_one() {
                // From here on images are only checked.
                sets.iter_mut().for_each(|set| set.pixels = Vec::new());
            }
        }
    }
    watch(done)?;
    let mut faults = Faults::default();
    faults.each(&broken, "images cannot be read", "replace each of them, or remove it");
    sizes.report(images, &mut faults);
    faults.none()?;
    let remark = match several.len() {
        0 => None,
        1 => Some(format!("{} holds several images; its first one is read", several[0])),
        n => Some(format!("{n} files hold several images, and the first one of each is read: {}", names(&several))),
    };
    Ok(Reading { sets, remarks: remark.into_iter().collect() })
}

/// The set without its pixels.
fn empty(images: &impl Encoded, choice: &Choice) -> ImageSet {
    let all = images.labels(choice.split);
    let labels = choice.indices.iter().map(|&index| all[index as usize]).collect();
    ImageSet { pixels: Vec::new(), labels, size: [3, 0, 0], classes: images.classes(choice.split).to_vec() }
}

/// An image, channels first.
struct Planes {
    size: Size,
    planes: Vec<u8>,
    is_one_of_several: bool,
}

fn planes(bytes: &[u8], orientation: Orientation, square: Square) -> Result<Planes, String> {
    let decoded = decode(bytes, orientation)?;
    let image = match square {
        Some((edge, how)) => resize::square(&decoded.pixels, edge, how),
        None => decoded.pixels,
    };
    let size = [image.height() as usize, image.width() as usize];
    Ok(Planes { size, planes: resize::planes(&image), is_one_of_several: decoded.is_one_of_several })
}

fn append(set: &mut ImageSet, size: Size, planes: &[u8]) {
    if set.pixels.is_empty() {
        set.size = [3, size[0], size[1]];
        set.pixels.reserve_exact(set.len() * planes.len());
    }
    set.pixels.extend_from_slice(planes);
}

/// The sizes of the images, each with its images.
#[derive(Default)]
struct Sizes(BTreeMap<Size, Vec<(Split, u32)>>);

impl Sizes {
    fn note(&mut self, size: Size, split: Split, index: u32) {
        self.0.entry(size).or_default().push((split, index));
    }

    fn are_one(&self) -> bool {
        self.0.len() <= 1
    }

    fn report(&self, from: &impl Encoded, faults: &mut Faults) {
        let usual = self.0.iter().max_by_key(|(size, images)| (images.len(), **size));
        let (Some((usual, _)), false) = (usual, self.are_one()) else { return };
        let others = self.0.iter().filter(|(size, _)| *size != usual);
        let mut others: Vec<(String, String)> = others
            .flat_map(|([height, width], images)| {
                images.iter().map(move |&(split, at)| (from.name(split, at), format!("{width} x {height} pixels")))
            })
            .collect();
        others.sort_unstable();
        let [height, width] = usual;
        if let [(_, why)] = others.as_mut_slice() {
            why.push_str(&format!(", but most images have {width} x {height}"));
        }
        let many = format!("images have another size than most, which have {width} x {height} pixels");
        faults.each(&others, &many, "set `size` to bring all images to one size");
    }
}
