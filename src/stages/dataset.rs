//! `dataset`: labelled images, generated or from disk.

mod source;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use source::Listed;

use super::shared::{checks, images::artifact};
use crate::{
    ml::{
        self,
        data::{Choice, Collection, Faults, Reading, Split, resize::Resize, shapes::Shapes, split},
        rng::Stream,
    },
    stage::{
        Context, Foreseen, Foresight, Form, Inputs, Outputs, Port, Problems, Progress, Root, Source, Stage, StageError,
    },
};

/// Labelled images, generated or from disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Dataset {
    /// Where the images come from: "shapes" (generated), "cifar10" (binary version) or "image_folder" (JPEG, PNG, WebP, BMP,
    /// TIFF, GIF, PPM and the like; an alpha channel and an EXIF orientation are ignored).
    pub source: Origin,
    /// Folder of the data, relative to the project root; none for "shapes".
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
}

/// Where images come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Origin {
    /// Ten generated forms; needs no download.
    #[default]
    Shapes,
    /// CIFAR-10, the binary version: a folder with `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`.
    Cifar10,
    /// Image files at any depth in `{train,test}/CLASS/`, or with the class as prefix in `{train,test}/CLASS_NNN.jpg`. The
    /// content tells the format. Pixels are taken as they are stored: an EXIF orientation is not applied, an alpha channel
    /// is dropped, and of an animation or of several pages the first image counts, with a warning.
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
    /// Lists the dataset by the names and sizes of its files, without reading them.
    fn list(&self, root: Root<'_>) -> Result<Listed, ml::Error> {
        Listed::new(self, &root.resolve(self.path.as_deref().unwrap_or_default()))
    }

    /// Channels, rows and columns of the images, if the parameters decide them.
    fn image_size(&self) -> Option<[usize; 3]> {
        let edge = match self.source {
            Origin::Shapes => Some(self.size.unwrap_or(Shapes::default().size)),
            Origin::Cifar10 => Some(self.size.unwrap_or(CIFAR10_EDGE)),
            Origin::ImageFolder => self.size,
        };
        edge.map(|edge| [3, edge, edge])
    }

    /// The indices of the images that a limit leaves.
    fn limited(&self, labels: &[u32], limit: Option<usize>, name: &str) -> Vec<u32> {
        match limit {
            Some(n) if n < labels.len() => split::stratified(labels, n, &Stream::new(self.split_seed, name)),
            _ => (0..labels.len() as u32).collect(),
        }
    }

    /// Decides which images go to which output, before any is read.
    fn choose(&self, images: &dyn Collection) -> Result<Vec<(&'static str, Choice)>, StageError> {
        let (train, test) = (images.labels(Split::Train), images.labels(Split::Test));
        let kept = self.limited(train, self.limit_train, "dataset/limit_train");
        let test = self.limited(test, self.limit_test, "dataset/limit_test");
        let test = ("test", Choice { split: Split::Test, indices: test });
        let part = |name, indices| (name, Choice { split: Split::Train, indices });
        if self.val_fraction == 0.0 {
            return Ok(vec![part("train", kept), test]);
        }
        if self.leaves_one_empty(kept.len()) {
            return Err(StageError::failed(self.one_part_empty(kept.len())));
        }
        let labels: Vec<u32> = kept.iter().map(|&index| train[index as usize]).collect();
        let stream = Stream::new(self.split_seed, "dataset/val");
        let (train, val) = split::validation(&labels, self.val_fraction, &stream);
        let of = |places: Vec<u32>| places.iter().map(|&place| kept[place as usize]).collect();
        Ok(vec![part("train", of(train)), part("val", of(val)), test])
    }

    fn leaves_one_empty(&self, images: usize) -> bool {
        let held_out = split::share(self.val_fraction, images);
        self.val_fraction > 0.0 && (held_out == 0 || held_out == images)
    }

    fn one_part_empty(&self, images: usize) -> String {
        format!("{} of {images} training images leaves `train` or `val` without an image", self.val_fraction)
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
        let size = self.size.unwrap_or(Shapes::default().size);
        if generated {
            let name = if size > 4096 {
                "size"
            } else if self.train >= self.test {
                "train"
            } else {
                "test"
            };
            checks::check_bytes(problems, name, &[self.train.saturating_add(self.test), size, size, 3]);
        }
        let fine = (0.0..1.0).contains(&self.val_fraction);
        problems.require(fine, "val_fraction", format!("must be at least 0 and below 1, got {}", self.val_fraction));
    }

    fn idle(&self) -> Vec<&'static str> {
        let generated = self.source == Origin::Shapes;
        let chooses = self.limit_train.is_some() || self.limit_test.is_some() || self.val_fraction > 0.0;
        let all = [
            ("resize", generated || self.size.is_none()),
            ("split_seed", !chooses),
            ("seed", !generated),
            ("train", !generated),
            ("test", !generated),
            ("path", generated),
        ];
        all.into_iter().filter(|(_, idle)| *idle).map(|(name, _)| name).collect()
    }

    fn foresee(&self, _: &Foresight, root: &Path, problems: &mut Problems) -> Foresight {
        let is_complete = self.source == Origin::Shapes || self.path.is_some();
        let listed = is_complete.then(|| self.list(Root(root))).and_then(|listed| match listed {
            Ok(listed) => {
                listed.remarks().into_iter().for_each(|(message, help)| problems.warn("path", message, help));
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
        let count = |split, limit: Option<usize>| {
            let all = listed.as_ref()?.count(split);
            Some(limit.map_or(all, |limit| limit.min(all)))
        };
        let (train, test) = (count(Split::Train, self.limit_train), count(Split::Test, self.limit_test));
        if let Some(train) = train.filter(|&train| self.leaves_one_empty(train)) {
            let help = match train {
                0 | 1 => "it takes two training images at least".to_owned(),
                _ => format!("use a value from {:.6} to {:.6}", 1.0 / train as f64, 1.0 - 1.0 / train as f64),
            };
            problems.add_with_help("val_fraction", self.one_part_empty(train), help);
        }
        let held_out = train.map(|train| split::share(self.val_fraction, train));
        let val = match self.val_fraction > 0.0 {
            true => Foreseen::rows(held_out),
            false => Foreseen { left_out_by: Some("val_fraction"), ..Foreseen::default() },
        };
        let kept = train.zip(held_out).map(|(train, held_out)| train.saturating_sub(held_out));
        let images = |foreseen| Foreseen { size: self.image_size(), ..foreseen };
        Foresight::from([
            ("train", images(Foreseen::rows(kept))),
            ("test", images(Foreseen::rows(test))),
            ("val", images(val)),
        ])
    }

    fn sources(&self, root: &Path) -> Result<Vec<Source>, StageError> {
        if self.source == Origin::Shapes {
            return Ok(Vec::new());
        }
        let base = Root(root).resolve(self.path.as_deref().unwrap_or_default());
        Ok(vec![Source { param: "path", files: self.list(Root(root))?.files(), base }])
    }

    fn run(&self, _: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let listed = Listed::new(self, &cx.resolve(self.path.as_deref().unwrap_or_default()))?;
        let (found, left_out) = (listed.count(Split::Train) + listed.count(Split::Test), listed.left_out());
        let images = listed.open()?;
        let (ports, choices): (Vec<_>, Vec<_>) = self.choose(images.as_ref())?.into_iter().unzip();
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
            cx.metric("classes", sets.first().map_or(0, |set| set.classes.len()) as f64);
            cx.metric("images_found", found as f64);
            cx.metric("files_left_out", left_out as f64);
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
