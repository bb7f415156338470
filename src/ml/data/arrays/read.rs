//! Reads the chosen images of arrays.

use std::{collections::BTreeMap, io::Read};

use rayon::prelude::*;

use super::{
    Images,
    block::{Block, Bytes, Shape, broken_at},
};
use crate::ml::{
    Result,
    data::{Choice, Collection, ImageSet, Reading, Split, Square, Watch},
};

/// Number of images that are read and resized at a time.
const BLOCK: usize = 256;

/// A dataset with its labels. The pixels are still on disk.
#[derive(Clone, Debug)]
pub(super) struct Arrays {
    parts: BTreeMap<Split, Part>,
    shape: Shape,
    classes: Vec<String>,
}

#[derive(Clone, Debug)]
struct Part {
    blocks: Vec<Block>,
    labels: Vec<u32>,
    labelled: bool,
}

impl Arrays {
    /// Images with the labels of those parts that have any.
    pub(super) fn new(images: Vec<Images>, shape: Shape, classes: Vec<String>, labels: Vec<(Split, Vec<u32>)>) -> Self {
        let mut labels: BTreeMap<Split, Vec<u32>> = labels.into_iter().collect();
        let part = |images: Images| {
            let known = labels.remove(&images.split);
            let labelled = known.is_some();
            let labels = known.unwrap_or_else(|| vec![0; images.count()]);
            (images.split, Part { blocks: images.blocks, labels, labelled })
        };
        Self { parts: images.into_iter().map(part).collect(), shape, classes }
    }
}

impl Collection for Arrays {
    fn labels(&self, split: Split) -> &[u32] {
        self.parts.get(&split).map_or(&[], |part| &part.labels)
    }

    fn read(&self, choices: &[Choice], square: Square, watch: Watch<'_>) -> Result<Reading> {
        let [channels, height, width] = self.shape.size;
        let [height, width] = square.map_or([height, width], |(edge, _)| [edge; 2]);
        let mut done = 0;
        let mut sets = Vec::with_capacity(choices.len());
        for choice in choices {
            let part = self.parts.get(&choice.split);
            let mut set = ImageSet {
                pixels: Vec::with_capacity(choice.indices.len() * channels * height * width),
                labels: choice.indices.iter().map(|&index| self.labels(choice.split)[index as usize]).collect(),
                size: [channels, height, width],
                classes: if part.is_some_and(|part| part.labelled) { self.classes.clone() } else { Vec::new() },
            };
            let mut first = 0;
            for block in part.iter().flat_map(|part| &part.blocks) {
                let end = first + block.images as u32;
                let wanted = &choice.indices[choice.indices.partition_point(|&index| index < first)..];
                let wanted = &wanted[..wanted.partition_point(|&index| index < end)];
                if !wanted.is_empty() {
                    self.append(block, first, wanted, square, &mut set.pixels, &mut |read| watch(done + read))?;
                    done += wanted.len();
                }
                first = end;
            }
            sets.push(set);
        }
        watch(done)?;
        Ok(Reading { sets, remarks: Vec::new() })
    }
}

impl Arrays {
    /// Appends the planes of some images of a block, whose first image has the number `first`.
    fn append(
        &self,
        block: &Block,
        first: u32,
        wanted: &[u32],
        square: Square,
        pixels: &mut Vec<u8>,
        watch: Watch<'_>,
    ) -> Result<()> {
        let bytes = self.shape.bytes();
        let mut file = Bytes::open(&block.path, block.packing)?;
        let mut here = 0;
        let mut images = vec![0; BLOCK.min(wanted.len()) * bytes];
        for (done, wanted) in wanted.chunks(BLOCK).enumerate() {
            watch(done * BLOCK)?;
            let images = &mut images[..wanted.len() * bytes];
            for (&index, image) in wanted.iter().zip(images.chunks_exact_mut(bytes)) {
                let start = block.at + u64::from(index - first) * block.step as u64;
                file.skip(start - here).and_then(|()| file.read_exact(image)).map_err(broken_at(&block.path))?;
                here = start + bytes as u64;
            }
            let planes: Vec<Vec<u8>> =
                images.par_chunks_exact(bytes).map(|image| self.shape.planes(image, square)).collect();
            planes.iter().for_each(|planes| pixels.extend_from_slice(planes));
        }
        Ok(())
    }
}
