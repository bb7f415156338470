//! `encode`: the representations of images.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{images::Images, network};
use crate::{
    ml::{self, finite, nn::Pool},
    stage::{Context, Foreseen, Foresight, Form, Inputs, Outputs, Port, Problems, Progress, Stage, StageError},
    store::Artifact,
};

/// The level of images that no network has encoded.
const PIXELS: &str = "pixels";

/// Gives every representation that a trained network offers, from one forward pass without augmentation.
///
/// Levels: `latent` of an autoencoder; `p3` (pooled encoder features), `p2` and `p1` (hidden layers of the projection
/// head) of `simclr`; `p3` of `fine_tune` and `supervised`. Without weights: `pixels`, the images themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Encode {
    /// How the latent space of an autoencoder becomes a vector: `mean` of each channel, or `flatten`.
    pub pool: Pool,
    /// Images in one forward pass.
    pub batch_size: usize,
}

impl Default for Encode {
    fn default() -> Self {
        Self { pool: Pool::Mean, batch_size: 256 }
    }
}

impl Stage for Encode {
    const KIND: &'static str = "encode";
    // 2: 3x3 convolutions by Winograd's products.
    // 3: features that are not finite are refused.
    const VERSION: u32 = 3;
    const INPUTS: &'static [Port] = &[
        Port::optional("weights", &[Form::Weights], "the network; without it, features are the pixels"),
        Port::new("images", &[Form::Images], "what to represent"),
    ];
    const OUTPUTS: &'static [Port] = &[Port::new(
        "features",
        &[Form::Features],
        "one tensor for every level, and the labels of the images, if they have any",
    )];

    fn check(&self, problems: &mut Problems) {
        problems.at_least("batch_size", self.batch_size, 1);
    }

    fn foresee(&self, inputs: &Foresight, _root: &std::path::Path, problems: &mut Problems) -> Foresight {
        let sides = inputs.get("weights").and_then(|weights| weights.sides);
        let size = inputs.get("images").and_then(|images| images.size);
        if let (Some(multiple), Some([_, height, width])) = (sides, size)
            && (height % multiple != 0 || width % multiple != 0)
        {
            let message =
                format!("the network takes images whose sides are multiples of {multiple}, not {height}x{width}");
            problems.add("weights", message);
        }
        let levels = inputs.get("weights").map_or_else(|| vec![PIXELS.to_owned()], |weights| weights.levels.clone());
        let images = inputs.get("images");
        let (rows, labelled) = (images.and_then(|images| images.rows), images.and_then(|images| images.labelled));
        Foresight::from([("features", Foreseen { levels, labelled, ..Foreseen::rows(rows) })])
    }

    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let images = Images::read(inputs.at("images"))?;
        let set = images.set();
        let device = cx.device().clone();
        let trained = inputs.get("weights").map(|weights| network::load(weights, set.size[0], &device)).transpose()?;
        let all: Vec<u32> = (0..set.len() as u32).collect();
        let mut parts: BTreeMap<String, Vec<Tensor>> = BTreeMap::new();
        for indices in all.chunks(self.batch_size) {
            if cx.cancelled() {
                return Err(StageError::Cancelled);
            }
            let batch = images.batch(indices, 0, &device)?;
            let levels = match &trained {
                Some((network, _)) => network.levels(&batch, self.pool)?,
                None => vec![(PIXELS.to_owned(), batch.flatten_from(1)?)],
            };
            for (name, tensor) in levels {
                if let Err(ml::Error::NotFinite { what, value }) =
                    finite::require_rows(&tensor, |row| format!("level `{name}` of image {}", indices[row]))
                {
                    let value = finite::word(value);
                    let blame = "the network at the input `weights` has diverged, so look at the training that made it";
                    return Err(StageError::failed(format!("{what} is {value}: {blame}")));
                }
                parts.entry(name).or_default().push(tensor.to_device(&Device::Cpu)?);
            }
            let done = indices.last().map_or(0, |&last| u64::from(last) + 1);
            cx.progress(Progress { done, total: all.len() as u64, unit: "image", ..Progress::default() });
        }
        let mut features = Artifact::new();
        if let Some(labels) = set.known_labels() {
            let labels = Tensor::new(labels, &Device::Cpu)?;
            features = features.with("labels", labels).attribute("classes", set.classes.clone());
        }
        for (name, tensors) in parts {
            features = features.with(name, Tensor::cat(&tensors, 0)?);
        }
        Ok(Outputs::new().with("features", features))
    }
}
