//! `noise`: noisy copies of images, which a denoising autoencoder learns to clean.

use std::path::Path;

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{checks, images::Images};
use crate::{
    ml::noise::noisy,
    stage::{Context, Foresight, Form, Inputs, Outputs, Port, Problems, Stage, StageError},
    store::Artifact,
};

/// Images with Gaussian noise, for a denoising autoencoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Noise {
    /// Standard deviation of the noise, where pixels run from 0 to 1; 0 adds none.
    pub std: f64,
    /// Noisy copies of each image.
    pub draws: usize,
    /// Seed of the noise.
    pub seed: u64,
}

impl Default for Noise {
    fn default() -> Self {
        Self { std: 0.1, draws: 1, seed: 0 }
    }
}

impl Stage for Noise {
    const KIND: &'static str = "noise";
    const VERSION: u32 = 1;
    const INPUTS: &'static [Port] = &[Port::new("images", &[Form::Images], "the clean images")];
    const OUTPUTS: &'static [Port] =
        &[Port::new("images", &[Form::Images], "the noisy images, f16 `[draws, N, C, H, W]`, not clipped to [0, 1]")];

    fn check(&self, problems: &mut Problems) {
        problems.within("std", self.std, 0.0, 10.0);
        problems.at_least("draws", self.draws, 1);
    }

    fn idle(&self) -> Vec<&'static str> {
        if self.std == 0.0 { vec!["seed"] } else { Vec::new() }
    }

    fn foresee(&self, inputs: &Foresight, _: &Path, problems: &mut Problems) -> Foresight {
        if let Some(images) = inputs.get("images") {
            let pixels = images.size.unwrap_or([1; 3]);
            checks::check_bytes(problems, "draws", &[&[2, self.draws, images.rows.unwrap_or(1)], &pixels[..]].concat());
        }
        inputs.get("images").map(|images| ("images", images.clone())).into_iter().collect()
    }

    fn run(&self, inputs: &Inputs, _: &mut Context<'_>) -> Result<Outputs, StageError> {
        let clean = inputs.at("images");
        let set = Images::bytes(clean)?;
        let noisy = noisy(&set, self.std as f32, self.draws, self.seed)?;
        let mut artifact = Artifact::new().with("images", noisy);
        if let Some(labels) = set.known_labels() {
            let labels = Tensor::new(labels, &Device::Cpu)?;
            artifact = artifact.with("labels", labels).attribute("classes", set.classes);
        }
        Ok(Outputs::new().with("images", artifact))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicBool};

    use candle_core::DType;

    use super::*;
    use crate::{ml::data::ImageSet, stage::Foreseen, stages::shared::images::artifact};

    fn run(stage: &Noise) -> Artifact {
        let set = ImageSet {
            pixels: (0..2 * 48).map(|i| (i * 5 % 256) as u8).collect(),
            labels: vec![1, 0],
            size: [3, 4, 4],
            classes: vec!["a".into(), "b".into()],
        };
        let inputs = [("images".to_owned(), Arc::new(artifact(set).unwrap()))].into_iter().collect();
        let (cancel, mut listener) = (AtomicBool::new(false), |_| ());
        let mut cx = Context::new(Device::Cpu, 1, Path::new("."), &cancel, &mut listener);
        stage.run(&inputs, &mut cx).unwrap().ports()["images"].clone()
    }

    #[test]
    fn noisy_images_keep_labels_and_classes() {
        let noisy = run(&Noise { draws: 3, ..Noise::default() });
        let images = noisy.tensor("images").unwrap();
        assert_eq!((images.dims(), images.dtype()), ([3, 2, 3, 4, 4].as_slice(), DType::F16));
        assert_eq!(noisy.tensor("labels").unwrap().to_vec1::<u32>().unwrap(), [1, 0]);
        assert_eq!(noisy.get::<Vec<String>>("classes").unwrap(), ["a", "b"]);
        let bytes = |stage: &Noise| run(stage).to_bytes().unwrap();
        assert_eq!(bytes(&Noise::default()), bytes(&Noise::default()));
        assert_ne!(bytes(&Noise::default()), bytes(&Noise { seed: 1, ..Noise::default() }));
    }

    #[test]
    fn ranges_are_checked() {
        let mut problems = Problems::default();
        Noise { std: f64::NAN, draws: 0, seed: 0 }.check(&mut problems);
        let found: Vec<String> = problems.into_vec().into_iter().map(|p| p.path).collect();
        assert_eq!(found, ["std", "draws"]);
        let mut problems = Problems::default();
        Noise::default().check(&mut problems);
        assert!(problems.into_vec().is_empty());
        let images = Foresight::from([("images", Foreseen::rows(7))]);
        assert_eq!(Noise::default().foresee(&images, Path::new("."), &mut Problems::default()), images);
    }
}
