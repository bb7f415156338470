//! `dataset`: labelled images, generated or from disk.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::images::artifact;
use crate::{
    ml::{
        self,
        data::{
            ImageSet, cifar10, image_folder, resize,
            resize::Resize,
            shapes::{self, Shapes},
            split,
        },
        rng::Stream,
    },
    stage::{Context, Foreseen, Foresight, Form, Inputs, Outputs, Port, Problems, Root, Source, Stage, StageError},
};

/// Labelled images, generated or from disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dataset {
    /// Where the images come from: "shapes" (generated), "cifar10" (binary version) or "image_folder" (JPEG and PNG).
    pub source: Origin,
    /// Folder of the data, relative to the project root; none for "shapes".
    pub path: Option<String>,
    /// Edge of the square images, in pixels; left out: 32 for "shapes", else as they are.
    pub size: Option<usize>,
    /// Number of training images that "shapes" generates.
    pub train: usize,
    /// Number of test images that "shapes" generates.
    pub test: usize,
    /// At most this many training images, in the proportions of the classes; left out: all.
    pub limit_train: Option<usize>,
    /// At most this many test images, in the proportions of the classes; left out: all.
    pub limit_test: Option<usize>,
    /// Share of the training images, after the limit, that goes to the output `val` instead; from 0 to below 1.
    pub val_fraction: f64,
    /// How `size` is reached: `crop` keeps the shape (shorter side, then the middle), `stretch` does not, as the reference.
    pub resize: Resize,
    /// Seed of what the limits and `val_fraction` choose; neither the pipeline's seed nor `seeds` of a sweep move it.
    pub split_seed: u64,
    /// Seed of the generated images.
    pub seed: u64,
}

/// Where images come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Ten generated forms; needs no download.
    #[default]
    Shapes,
    /// CIFAR-10, the binary version: a folder with `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`.
    Cifar10,
    /// JPEG and PNG files in `{train,test}/CLASS/`, or with the class as prefix in `{train,test}/CLASS_NNN.jpg`.
    ImageFolder,
}

impl Default for Dataset {
    fn default() -> Self {
        let Shapes { train, test, .. } = Shapes::default();
        Self {
            source: Origin::Shapes,
            path: None,
            size: None,
            train,
            test,
            limit_train: None,
            limit_test: None,
            val_fraction: 0.0,
            resize: Resize::Crop,
            split_seed: 0,
            seed: 0,
        }
    }
}

/// Rows and columns of the images of CIFAR-10.
const CIFAR10_EDGE: usize = 32;

impl Dataset {
    fn path(&self) -> &str {
        self.path.as_deref().unwrap_or_default()
    }

    /// Numbers of training and test images before limits, without reading images.
    fn count(&self, root: &Path) -> Option<(usize, usize)> {
        let path = Root(root).resolve(self.path());
        match self.source {
            Origin::Shapes => Some((self.train, self.test)),
            Origin::Cifar10 => cifar10::count(&path),
            Origin::ImageFolder => image_folder::count(&path),
        }
    }

    /// Channels, rows and columns of the images, where the parameters say.
    fn image_size(&self) -> Option<[usize; 3]> {
        let edge = match self.source {
            Origin::Shapes => Some(self.size.unwrap_or(Shapes::default().size)),
            Origin::Cifar10 => Some(self.size.unwrap_or(CIFAR10_EDGE)),
            Origin::ImageFolder => self.size,
        };
        edge.map(|edge| [3, edge, edge])
    }

    fn load(&self, cx: &Context<'_>) -> Result<(ImageSet, ImageSet), ml::Error> {
        let path = cx.resolve(self.path());
        match self.source {
            Origin::Shapes => {
                let size = self.size.unwrap_or(Shapes::default().size);
                Ok(shapes::generate(&Shapes { train: self.train, test: self.test, size, seed: self.seed }))
            }
            Origin::Cifar10 => {
                let (train, test) = cifar10::load(&path)?;
                Ok(match self.size {
                    Some(edge) => (resize::all(&train, edge, self.resize), resize::all(&test, edge, self.resize)),
                    None => (train, test),
                })
            }
            Origin::ImageFolder => image_folder::load(&path, self.size, self.resize),
        }
    }

    fn limit(&self, set: ImageSet, limit: Option<usize>, label: &str) -> ImageSet {
        match limit {
            Some(n) if n < set.len() => {
                set.subset(&split::stratified(&set.labels, n, &Stream::new(self.split_seed, label)))
            }
            _ => set,
        }
    }
}

impl Stage for Dataset {
    const KIND: &'static str = "dataset";
    // 2: limits and the validation split follow `split_seed`, not `seed`.
    const VERSION: u32 = 2;
    const INPUTS: &'static [Port] = &[];
    const OUTPUTS: &'static [Port] = &[
        Port::new("train", &[Form::Images], "images to train on"),
        Port::new("test", &[Form::Images], "images to judge by"),
        Port::optional("val", &[Form::Images], "images held out of `train`; made when `val_fraction` is above 0"),
    ];

    fn check(&self, problems: &mut Problems) {
        let generated = self.source == Origin::Shapes;
        match &self.path {
            None if !generated => problems.add_with_help(
                "path",
                "this source needs the folder of the data",
                "add `path = \"…\"`, relative to the project root",
            ),
            Some(_) if generated => {
                problems.add_with_help(
                    "path",
                    "generated images have no path",
                    "leave it out, or name another `source`",
                );
            }
            _ => {}
        }
        let Shapes { train, test, .. } = Shapes::default();
        for (name, value, default, limit) in
            [("train", self.train, train, "limit_train"), ("test", self.test, test, "limit_test")]
        {
            problems.at_least(name, value, 1);
            if !generated && value != default {
                problems.add_with_help(
                    name,
                    "only \"shapes\" can be generated in any number",
                    format!("use `{limit}`"),
                );
            }
        }
        for (name, value, low) in
            [("size", self.size, 8), ("limit_train", self.limit_train, 1), ("limit_test", self.limit_test, 1)]
        {
            if let Some(value) = value {
                problems.at_least(name, value, low);
            }
        }
        let fine = (0.0..1.0).contains(&self.val_fraction);
        problems.require(fine, "val_fraction", format!("must be at least 0 and below 1, got {}", self.val_fraction));
    }

    fn idle(&self) -> Vec<&'static str> {
        let mut idle = match self.source {
            Origin::Shapes => vec!["resize"],
            Origin::Cifar10 | Origin::ImageFolder => vec!["train", "test", "seed"],
        };
        if self.source != Origin::Shapes && self.size.is_none() {
            idle.push("resize");
        }
        if self.limit_train.is_none() && self.limit_test.is_none() && self.val_fraction == 0.0 {
            idle.push("split_seed");
        }
        idle
    }

    fn foresee(&self, _: &Foresight, root: &Path, _: &mut Problems) -> Foresight {
        let counted = self.count(root);
        let train = counted.map(|(train, _)| self.limit_train.map_or(train, |limit| limit.min(train)));
        let test = counted.map(|(_, test)| self.limit_test.map_or(test, |limit| limit.min(test)));
        let held_out = train.map(|train| split::share(self.val_fraction, train));
        let val = match self.val_fraction > 0.0 {
            true => Foreseen::rows(held_out),
            false => Foreseen { left_out_by: Some("val_fraction"), ..Foreseen::default() },
        };
        let kept = train.zip(held_out).map(|(train, held_out)| train - held_out);
        let images = |foreseen| Foreseen { size: self.image_size(), ..foreseen };
        Foresight::from([
            ("train", images(Foreseen::rows(kept))),
            ("test", images(Foreseen::rows(test))),
            ("val", images(val)),
        ])
    }

    fn sources(&self, root: &Path) -> Result<Vec<Source>, StageError> {
        let base = Root(root).resolve(self.path());
        let files = match self.source {
            Origin::Shapes => return Ok(Vec::new()),
            Origin::Cifar10 => cifar10::files(&base)?,
            Origin::ImageFolder => image_folder::files(&base)?,
        };
        Ok(vec![Source { param: "path", base, files }])
    }

    fn run(&self, _: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let (train, test) = self.load(cx)?;
        let train = self.limit(train, self.limit_train, "dataset/limit_train");
        let test = self.limit(test, self.limit_test, "dataset/limit_test");
        let outputs = Outputs::new().with("test", artifact(&test)?);
        if self.val_fraction == 0.0 {
            return Ok(outputs.with("train", artifact(&train)?));
        }
        let stream = Stream::new(self.split_seed, "dataset/val");
        let (kept, held_out) = split::validation(&train.labels, self.val_fraction, &stream);
        if kept.is_empty() || held_out.is_empty() {
            let message = format!("`val_fraction` of {} training images leaves one part empty", train.len());
            return Err(StageError::failed(message));
        }
        let outputs = outputs.with("train", artifact(&train.subset(&kept))?);
        Ok(outputs.with("val", artifact(&train.subset(&held_out))?))
    }
}

#[cfg(test)]
mod tests;
