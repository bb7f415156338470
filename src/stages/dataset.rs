//! `dataset`: images with or without labels, generated or from disk.
//!
//! Read `source` (which datasets there are), then this file, then `choose` (which images go to which output) and `check`.

mod check;
mod choose;
mod source;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use source::{Labels, Origin};

use super::shared::images::artifact;
use crate::{
    ml::{
        self,
        data::{Choice, Faults, Listed, Reading, Split, encoded::Orientation, resize::Resize, shapes::Shapes},
    },
    stage::{
        Context, Foreseen, Foresight, Form, Inputs, Metric, Outputs, Port, Problems, Progress, Root, Source, Stage,
        StageError,
    },
};

/// Images with or without labels, generated or from disk.
///
/// The metrics tell what was read: `images` in all outputs together, `classes`, `height` and `width`, and `left_out`, the
/// files and entries that are no images or have no label that is needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Dataset {
    /// Where the images come from: "shapes" (generated), "cifar10", "cifar100", "mnist", "stl10", "svhn", "npz",
    /// "image_folder", "parquet" or "webdataset".
    pub source: Origin,
    /// Folder of the data (for "npz" the file), relative to the project root; none for "shapes".
    pub path: Option<String>,
    /// Edge of the square images, in pixels; left out: 32 for "shapes", else as they are.
    pub size: Option<usize>,
    /// Number of training images that "shapes" generates.
    pub train: usize,
    /// Number of test images that "shapes" generates.
    pub test: usize,
    /// At most this many training images, in the proportions of the classes; left out: all. Only these are read.
    pub limit_train: Option<usize>,
    /// At most this many test images, in the proportions of the classes; left out: all. Only these are read.
    pub limit_test: Option<usize>,
    /// Share of the training images, after the limit, that goes to the output `val` instead; from 0 to below 1.
    pub val_fraction: f64,
    /// How `size` is reached: `crop` keeps the shape (shorter side, then the middle), `stretch` does not, as the reference.
    pub resize: Resize,
    /// Seed of what the limits and `val_fraction` choose; neither the pipeline's seed nor `seeds` of a sweep move it.
    pub split_seed: u64,
    /// Seed of the generated images.
    pub seed: u64,
    // The parameters below came later. Each is left out of the key at its default, so that results in caches stay valid.
    /// Where labels stand. "image_folder": `folder`, `prefix` (of the file's name) or `none`; left out: folders where there
    /// are any, else prefixes. "cifar100": `fine` or `coarse`; left out: fine. "parquet" and "webdataset": `none` ignores them.
    #[serde(skip_serializing_if = "is_usual")]
    pub labels: Option<Labels>,
    /// For images without parts of their own: `test` and `val`, the shares held out for these outputs, and `seed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<Parts>,
    /// The orientation that cameras write into EXIF data: `ignore` it, as torchvision does, or `apply` it.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = "ignore"))]
    pub orientation: Orientation,
    /// Whether images that the dataset has without labels become the output `unlabeled`: those of "stl10", and files called
    /// `unlabeled` or `unsupervised` of "parquet" and "webdataset".
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = false))]
    pub unlabeled: bool,
    /// At most this many images of the output `unlabeled`; left out: all. Only these are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_unlabeled: Option<usize>,
    /// Whether the extra images of "svhn" are training images too.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = false))]
    pub extra: bool,
    /// Which of several datasets in one folder ("mnist"): a split of EMNIST, such as `letters` or `balanced`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subset: Option<String>,
    /// The column of the images ("parquet"); left out: the only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_column: Option<String>,
    /// The column of the labels ("parquet"), or the entry of the JSON files ("webdataset"); left out: the only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_column: Option<String>,
}

/// How images without parts of their own are split at random; each class keeps its share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Parts {
    /// Share of the images for the output `test`; 0 makes no such output.
    pub test: f64,
    /// Share of the images for the output `val`; 0 makes no such output.
    pub val: f64,
    /// Seed of the split; neither the pipeline's seed nor `seeds` of a sweep move it.
    pub seed: u64,
}

impl Default for Parts {
    fn default() -> Self {
        Self { test: 0.2, val: 0.0, seed: 0 }
    }
}

/// True for the labels that are read without being asked for.
fn is_usual(labels: &Option<Labels>) -> bool {
    matches!(labels, None | Some(Labels::Fine))
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
            labels: None,
            split: None,
            orientation: Orientation::Ignore,
            unlabeled: false,
            limit_unlabeled: None,
            extra: false,
            subset: None,
            image_column: None,
            label_column: None,
        }
    }
}

impl Dataset {
    /// Lists the dataset by the names, sizes and headers of its files.
    fn list(&self, root: Root<'_>) -> Result<Box<dyn Listed>, ml::Error> {
        source::list(self, &root.resolve(self.path.as_deref().unwrap_or_default()))
    }

    /// What is read: `cifar10 in data/cifar-10-batches-bin: 50000 train, 10000 test images`.
    fn reads(&self, ports: &[&str], choices: &[Choice]) -> String {
        let source = serde_json::to_value(self.source).ok();
        let source = source.as_ref().and_then(|source| source.as_str()).unwrap_or_default();
        let place = match &self.path {
            Some(path) => format!("{source} in {path}"),
            None => format!("{source}, generated"),
        };
        let counts = ports.iter().zip(choices).map(|(port, choice)| format!("{} {port}", choice.indices.len()));
        format!("{place}: {} images", counts.collect::<Vec<_>>().join(", "))
    }

    /// Channels, rows and columns of the images, if the parameters and the files decide them.
    fn image_size(&self, listed: Option<&dyn Listed>) -> Option<[usize; 3]> {
        let found = listed.and_then(Listed::size).or(match self.source {
            Origin::Mnist => Some([1, 28, 28]),
            Origin::Npz => None,
            Origin::Stl10 => Some([3, 96, 96]),
            _ => Some([3, 32, 32]),
        });
        match self.size {
            Some(edge) => found.map(|[channels, ..]| [channels, edge, edge]),
            None if self.source.is_encoded() => None,
            None => found,
        }
    }
}

impl Stage for Dataset {
    const KIND: &'static str = "dataset";
    // 2: limits and the validation split follow `split_seed`, not `seed`.
    // 3: image folders are read with the folders inside class folders, and in more formats than JPEG and PNG.
    const VERSION: u32 = 3;
    const INPUTS: &'static [Port] = &[];
    const OUTPUTS: &'static [Port] = &[
        Port::new("train", &[Form::Images], "images to train on"),
        Port::optional("test", &[Form::Images], "images to judge by; left out by `split = { test = 0 }`"),
        Port::optional(
            "val",
            &[Form::Images],
            "images held out of `train` by `val_fraction` or `split`, or those that the dataset has to validate on",
        ),
        Port::optional("unlabeled", &[Form::Images], "images without labels; made by `unlabeled = true`"),
    ];

    fn check(&self, problems: &mut Problems) {
        check::check(self, problems);
    }

    fn idle(&self) -> Vec<&'static str> {
        check::idle(self)
    }

    fn foresee(&self, _: &Foresight, root: &Path, problems: &mut Problems) -> Foresight {
        let is_complete = self.source == Origin::Shapes || self.path.is_some();
        let listed = is_complete.then(|| self.list(Root(root))).and_then(|listed| match listed {
            Ok(listed) => {
                listed.remarks().into_iter().for_each(|remark| problems.warn("path", remark.message, remark.help));
                Some(listed)
            }
            Err(ml::Error::Data(Faults(faults))) => {
                faults.into_iter().for_each(|fault| problems.add_with_help("path", fault.message, fault.remedy));
                None
            }
            Err(error) => {
                problems.add("path", error.to_string());
                None
            }
        });
        let foreseen = choose::foresee(self, listed.as_deref(), problems);
        let size = self.image_size(listed.as_deref());
        foreseen.into_iter().map(|(port, foreseen)| (port, Foreseen { size, ..foreseen })).collect()
    }

    fn metrics() -> Vec<Metric> {
        vec![
            Metric::new("images", "images in all outputs together"),
            Metric::new("classes", "number of classes"),
            Metric::new("height", "rows of the images"),
            Metric::new("width", "columns of the images"),
            Metric::new("left_out", "files and entries that are no images or lack a label"),
        ]
    }

    fn sources(&self, root: &Path) -> Result<Vec<Source>, StageError> {
        if self.source == Origin::Shapes {
            return Ok(Vec::new());
        }
        let base = Root(root).resolve(self.path.as_deref().unwrap_or_default());
        Ok(vec![Source { param: "path", files: self.list(Root(root))?.files(), base }])
    }

    fn run(&self, _: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let listed = source::list(self, &cx.resolve(self.path.as_deref().unwrap_or_default()))?;
        let (parts, mut left_out) = (listed.parts(), listed.left_out());
        let images = listed.open()?;
        left_out += images.left_out();
        let (ports, choices): (Vec<_>, Vec<_>) = choose::choose(self, &parts, images.as_ref())?.into_iter().unzip();
        cx.remark(self.reads(&ports, &choices));
        let total = choices.iter().map(|choice| choice.indices.len() as u64).sum();
        let mut watch = |done: usize| {
            if cx.cancelled() {
                return Err(ml::Error::Cancelled);
            }
            cx.progress(Progress { done: done as u64, total, unit: "image", ..Progress::default() });
            Ok(())
        };
        let Reading { sets, remarks } = images.read(&choices, self.size.map(|edge| (edge, self.resize)), &mut watch)?;
        remarks.into_iter().for_each(|remark| cx.warn(remark));
        if self.source != Origin::Shapes {
            for (port, set) in ports.iter().zip(&sets) {
                cx.metric(format!("{port}_images"), set.len() as f64);
            }
            cx.metric("images", total as f64);
            let train = sets.iter().zip(&choices).find(|(_, choice)| choice.split == Split::Train);
            if let Some((train, _)) = train {
                if train.known_labels().is_some() {
                    cx.metric("classes", train.classes.len() as f64);
                }
                let [_, height, width] = train.size;
                cx.metric("height", height as f64);
                cx.metric("width", width as f64);
            }
            cx.metric("left_out", left_out as f64);
        }
        let mut outputs = Outputs::new();
        for (port, set) in ports.into_iter().zip(sets) {
            outputs = outputs.with(port, artifact(set)?);
        }
        Ok(outputs)
    }
}

#[cfg(test)]
mod tests;
