//! The images that an instance stands on, and pictures of them for a page.

use base64::{Engine, prelude::BASE64_STANDARD};
use image::RgbImage;

use super::Source;
use crate::{
    digest::ArtifactHash,
    results::{self, Images},
    store::Artifact,
};

/// A picture as PNG in a data URI.
pub fn png(image: RgbImage) -> String {
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(results::png(image)))
}

/// A picture as JPEG in a data URI.
pub fn jpeg(image: &RgbImage) -> String {
    format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(results::jpeg(image)))
}

impl Source<'_, '_> {
    /// The clean images that an input port of an instance stands on: the nearest above with `count` of them.
    pub fn images_above(&self, index: usize, port: &str, count: usize) -> Option<Images> {
        Some(self.named_images_above(index, port, count)?.1)
    }

    /// The same with the hash of their bytes.
    pub fn named_images_above(&self, index: usize, port: &str, count: usize) -> Option<(ArtifactHash, Images)> {
        let mut links: Vec<(usize, &str)> = self.graph.instances[index]
            .inputs
            .iter()
            .filter(|link| link.port == port)
            .map(|link| (link.from, &*link.output))
            .collect();
        let mut at = 0;
        while let Some(&(from, output)) = links.get(at) {
            at += 1;
            let fits = |artifact: &Artifact| {
                let shape = artifact.tensors().get("images").map(|tensor| tensor.dims().to_vec());
                shape.is_some_and(|dims| dims.len() == 4 && dims[0] == count)
            };
            if output_is_images(self, from, output)
                && let Some(artifact) = self.artifact(from, output).filter(fits)
                && let Some(images) = artifact.tensors().get("images").and_then(Images::of)
            {
                return Some((self.made.get(&from)?.outputs.get(output)?.hash, images));
            }
            for link in &self.graph.instances[from].inputs {
                if !links.contains(&(link.from, &*link.output)) {
                    links.push((link.from, &link.output));
                }
            }
        }
        None
    }
}

fn output_is_images(source: &Source<'_, '_>, index: usize, output: &str) -> bool {
    let name = output.split('@').next().unwrap_or(output);
    let kind = source.graph.instances[index].kind;
    kind.output(name).is_some_and(|port| port.forms.contains(&crate::stage::Form::Images))
}
