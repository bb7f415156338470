//! `import`: a file that another program wrote, as an artifact.

mod arrays;
mod labels;
mod weights;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{checks, idle};
use crate::{
    ml::{
        self,
        data::{Faults, shown},
        files::{TensorFile, csv},
        nn::{Encoder, Names},
    },
    stage::{Context, Foreseen, Foresight, Form, Inputs, Outputs, Port, Problems, Root, Source, Stage, StageError},
    store::Artifact,
};

/// Brings in a file that another program wrote: safetensors, NumPy's `.npy` and `.npz`, PyTorch's `.pth`, labels from CSV, or
/// any file as it is. Its content is in the key; its path is not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Import {
    /// The file, relative to the project root.
    pub path: String,
    /// What the file holds, and so the form of the output: images, features, labels, batches, weights, matrix, or `file` for
    /// any bytes. `strata schema --form FORM` says which tensors a form has.
    pub form: Option<Form>,
    /// The name in the file of each tensor of the form, `{ p3 = "embeddings", labels = "y" }`: a tensor, or a column of a CSV
    /// file. The array of an `.npy` file is called `array`. Left out: all tensors by their own names. Not for weights.
    pub tensors: BTreeMap<String, String>,
    /// The names of the classes, in the order of the labels; left out: those in the file, the words of a CSV file in
    /// alphabetical order, or numbers.
    pub classes: Vec<String>,
    /// Where the channels of images are: `first` ([N, C, H, W]), `last` ([N, H, W, C]), or `auto`, which looks for 1 or 3.
    pub channels: Channels,
    /// For weights: the network that they belong to. PyTorch's networks have `bn_eps = 1e-5`. `stem = "auto"` follows the
    /// file. Left out, a file that strata wrote says it itself.
    pub encoder: Encoder,
    /// For weights: whose names the tensors have, `strata`, `torchvision` or `timm`.
    pub names: Names,
    /// For weights: what stands before every name, such as `module.`; tensors without it are left out.
    pub prefix: String,
}

/// Where the channels of images are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Channels {
    /// Where there are 1 or 3 of them.
    #[default]
    Auto,
    /// Before height and width, as in PyTorch.
    First,
    /// After height and width, as in TensorFlow, Pillow and OpenCV.
    Last,
}

/// Why a file is not what the parameters say: the parameter to change, the mistake, and the remedy.
#[derive(Debug)]
struct Objection {
    parameter: &'static str,
    message: String,
    help: String,
}

impl Objection {
    fn new(parameter: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { parameter, message: message.into(), help: help.into() }
    }
}

impl From<ml::Error> for Objection {
    fn from(error: ml::Error) -> Self {
        match error {
            ml::Error::Data(Faults(faults)) => {
                let (messages, remedies): (Vec<_>, Vec<_>) = faults.into_iter().map(|f| (f.message, f.remedy)).unzip();
                Self::new("path", messages.join("; "), remedies.join("; "))
            }
            error => Self::new("path", error.to_string(), "check that the file is whole and can be read"),
        }
    }
}

impl From<candle_core::Error> for Objection {
    fn from(error: candle_core::Error) -> Self {
        ml::Error::from(error).into()
    }
}

impl From<Objection> for StageError {
    fn from(Objection { message, help, .. }: Objection) -> Self {
        Self::failed(format!("{message}; {help}"))
    }
}

/// The form of a file whose parameter says `form`, and what can be found out about it.
enum Opened {
    File,
    Csv(csv::Table),
    Weights(TensorFile),
    Arrays(Form, TensorFile),
}

impl Import {
    fn open(&self, form: Form, path: &Path) -> Result<Opened, Objection> {
        let is_csv = csv::is_one(path);
        // Opening something else, such as a named pipe, could wait forever.
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            let message = format!("{}: not a file", shown(path));
            return Err(Objection::new("path", message, "set `path` to a file"));
        }
        match form {
            // Opened, so that a missing or unreadable file is noticed now.
            Form::File => fs::File::open(path).map(|_| Opened::File).map_err(|error| {
                let message = format!("{}: {error}", shown(path));
                Objection::new("path", message, "put the file there, or set `path` to it")
            }),
            Form::Labels if is_csv => Ok(Opened::Csv(csv::Table::open(path)?)),
            _ if is_csv && path.is_file() => {
                let message = format!("{}: labels are read from CSV files, not {form}", shown(path));
                Err(Objection::new("form", message, "save it as .npy, .npz or safetensors, or set `form = \"labels\"`"))
            }
            Form::Weights => Ok(Opened::Weights(TensorFile::open(path)?)),
            form => Ok(Opened::Arrays(form, TensorFile::open(path)?)),
        }
    }

    fn facts(&self, form: Form, path: &Path, inputs: &Foresight) -> Result<Foreseen, Objection> {
        match self.open(form, path)? {
            Opened::File => Ok(Foreseen::default()),
            Opened::Csv(table) => labels::columns(self, &table).map(|_| Foreseen::default()),
            Opened::Weights(file) => weights::find(self, &file).map(|found| found.foreseen()),
            Opened::Arrays(form, file) => arrays::foresee(self, form, &file, inputs.get(arrays::LABELS)),
        }
    }

    fn artifact(&self, form: Form, path: &Path, inputs: &Inputs) -> Result<Artifact, Objection> {
        match self.open(form, path)? {
            Opened::File => Ok(Artifact::new()),
            Opened::Csv(table) => labels::read(self, path, table),
            Opened::Weights(file) => weights::find(self, &file)?.read(&file),
            Opened::Arrays(form, file) => arrays::read(self, form, &file, inputs.get(arrays::LABELS)),
        }
    }
}

impl Stage for Import {
    const KIND: &'static str = "import";
    const VERSION: u32 = 1;
    const INPUTS: &'static [Port] = &[Port::optional(
        arrays::LABELS,
        &[Form::Labels, Form::Images],
        "the labels of imported images or features, in place of those in the file",
    )];
    const OUTPUTS: &'static [Port] = &[Port::new(
        "data",
        &[Form::Images, Form::Features, Form::Labels, Form::Batches, Form::Weights, Form::Matrix, Form::File],
        "what the file holds, of the form that `form` names",
    )];

    fn check(&self, problems: &mut Problems) {
        if self.form == Some(Form::Classifier) {
            let help = "write `form = \"matrix\"` to look at it, or `form = \"file\"`";
            problems.add_with_help("form", "no kind takes a classifier in", help);
        }
        if self.form != Some(Form::Weights) {
            return;
        }
        checks::nested(problems, "encoder", self.encoder.check());
        if let Err((field, message)) = self.names.check(&self.encoder) {
            let help = "write, for example, `encoder = { kind = \"resnet18\", bn_eps = 1e-5, mean = [0.485, 0.456, 0.406], \
                        std = [0.229, 0.224, 0.225] }`";
            problems.add_with_help(&format!("encoder.{field}"), message, help);
        } else if self.names != Names::Strata {
            weights::warn(self, problems);
        }
    }

    fn idle(&self) -> Vec<&'static str> {
        let mut idle = Vec::new();
        match self.form {
            Some(Form::Weights) => {
                idle.extend(["tensors", "classes", "channels"]);
                idle.extend(idle::encoder(&self.encoder));
                // Nothing is drawn.
                idle.push("encoder.init");
            }
            form => {
                idle.extend(["encoder", "names", "prefix"]);
                match form {
                    Some(Form::Images) => {}
                    Some(Form::Features | Form::Labels) => idle.push("channels"),
                    Some(Form::File) => idle.extend(["tensors", "classes", "channels"]),
                    _ => idle.extend(["classes", "channels"]),
                }
            }
        }
        idle
    }

    fn foresee(&self, inputs: &Foresight, root: &Path, problems: &mut Problems) -> Foresight {
        let Some(form) = self.form else {
            let help = "write `form = \"weights\"`, or images, features, labels, batches, matrix or file";
            problems.add_with_help("form", "must say what the file holds", help);
            return Foresight::new();
        };
        let mut foreseen = Foreseen::default();
        if self.path.is_empty() {
            problems.add_with_help("path", "must name a file", "add `path = \"…\"`, relative to the project root");
        } else if inputs.contains_key(arrays::LABELS) && !matches!(form, Form::Images | Form::Features) {
            let help = "leave the input `labels` out";
            problems.add_with_help("form", format!("images and features have labels, {form} do not"), help);
        } else {
            match self.facts(form, &Root(root).resolve(&self.path), inputs) {
                Ok(found) => foreseen = found,
                Err(Objection { parameter, message, help }) => problems.add_with_help(parameter, message, help),
            }
        }
        foreseen.form = Some((form, "form"));
        Foresight::from([("data", foreseen)])
    }

    fn sources(&self, root: &Path) -> Result<Vec<Source>, StageError> {
        let file = Root(root).resolve(&self.path);
        // Names below the base are in the key, so it is the file itself: only its content counts.
        Ok(vec![Source { param: "path", files: vec![file.clone()], base: file }])
    }

    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let form = self.form.ok_or_else(|| StageError::failed("`form` must say what the file holds"))?;
        let path = cx.resolve(&self.path);
        if form == Form::File {
            return Ok(Outputs::new().with_temporary("data", copy(&path)?));
        }
        let artifact = self.artifact(form, &path, inputs)?;
        if let Some(found) = artifact.not_finite()? {
            return Err(StageError::failed(format!(
                "{}: `{}` holds {} in row {}; store finite numbers only",
                shown(&path),
                found.tensor,
                found.value,
                found.row
            )));
        }
        form.check(&artifact).map_err(|error| StageError::failed(format!("{}: {error}", shown(&path))))?;
        Ok(Outputs::new().with("data", artifact))
    }
}

/// Copies a file, so that the copy can be moved into the cache.
fn copy(path: &PathBuf) -> Result<tempfile::TempPath, StageError> {
    let failed = |error: std::io::Error| StageError::failed(format!("{}: cannot be copied: {error}", shown(path)));
    let mut copy = tempfile::NamedTempFile::new().map_err(failed)?;
    let mut file = fs::File::open(path).map_err(failed)?;
    std::io::copy(&mut file, &mut copy).map_err(failed)?;
    Ok(copy.into_temp_path())
}

#[cfg(test)]
mod tests;
