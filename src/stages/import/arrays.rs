//! Images, features, labels, batches and matrices from files of tensors.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use serde_json::{Map, Value};

use super::{Channels, Import, Objection};
use crate::{
    ml::{
        data::shown,
        files::{ARRAY, Format, Info, TensorFile},
    },
    stage::{Foreseen, Form},
    store::Artifact,
};

/// The tensor and the input of labels.
pub(super) const LABELS: &str = "labels";
/// The attribute with the names of the classes.
pub(super) const CLASSES: &str = "classes";
/// The most classes that labels without names may have: one large label could ask for any number of names.
const MOST_CLASSES: usize = 1 << 16;
/// The metadata of a safetensors file that holds attributes.
const ATTRIBUTES: &str = "strata";

/// A tensor of the file, and what it becomes.
struct Plan {
    ours: String,
    theirs: String,
    shape: Shape,
    dtype: DType,
    dims: Vec<usize>,
}

/// How the shape of a tensor changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Same,
    /// `[N, 1]` becomes `[N]`.
    Flat,
    /// `[N, H, W, C]` becomes `[N, C, H, W]`.
    ChannelsFirst,
    /// `[N, H, W]` becomes `[N, 1, H, W]`.
    Grey,
}

/// The attributes that strata wrote into a safetensors file.
pub(super) fn attributes(file: &TensorFile) -> Result<Map<String, Value>, Objection> {
    let Some(text) = file.metadata().get(ATTRIBUTES) else { return Ok(Map::new()) };
    serde_json::from_str(text).map_err(|error| {
        let message = format!("{}: its metadata `{ATTRIBUTES}` is no JSON object: {error}", shown(file.path()));
        Objection::new("path", message, "write it anew, or without that entry")
    })
}

/// What is known about the artifact before it is read. `labels` is what is known about that input.
pub(super) fn foresee(
    import: &Import,
    form: Form,
    file: &TensorFile,
    labels: Option<&Foreseen>,
) -> Result<Foreseen, Objection> {
    let plans = plans(import, form, file, labels.is_some())?;
    let mut stand_in = Artifact::new();
    for plan in &plans {
        // Numbers without memory: one zero, seen from everywhere.
        let zeros = Tensor::zeros((), plan.dtype, &Device::Cpu)?.broadcast_as(plan.dims.as_slice())?;
        stand_in = stand_in.with(&plan.ours, zeros);
    }
    let first = plans.iter().find(|plan| plan.ours != LABELS);
    let rows = first.or(plans.first()).and_then(|plan| match (form, plan.dims.len()) {
        (Form::Images, 5) => plan.dims.get(1).copied(),
        _ => plan.dims.first().copied(),
    });
    if let (Some(rows), Some(labels)) = (rows, labels) {
        let zeros = Tensor::zeros((), DType::U32, &Device::Cpu)?.broadcast_as(labels.rows.unwrap_or(rows))?;
        stand_in = stand_in.with(LABELS, zeros);
    }
    stand_in = stand_in.attribute(CLASSES, Vec::<String>::new());
    form.check(&stand_in).map_err(|error| misfit(import, form, file, error.to_string()))?;
    if rows == Some(0) {
        return Err(Objection::new(
            "path",
            format!("{}: it has no rows", shown(file.path())),
            "import a file with some",
        ));
    }
    let mut foreseen = Foreseen::default();
    match form {
        Form::Images => {
            let size = first.and_then(|plan| plan.dims.last_chunk::<3>().copied());
            (foreseen.rows, foreseen.size) = (rows, size);
        }
        Form::Features => {
            let levels = plans.iter().map(|plan| plan.ours.clone()).filter(|name| name != LABELS);
            (foreseen.rows, foreseen.levels) = (rows, levels.collect());
        }
        Form::Labels => foreseen.rows = rows,
        _ => {}
    }
    if matches!(form, Form::Images | Form::Features) {
        foreseen.labelled = Some(stand_in.tensors().contains_key(LABELS));
    }
    Ok(foreseen)
}

/// Reads the artifact. `labels` is that input.
pub(super) fn read(
    import: &Import,
    form: Form,
    file: &TensorFile,
    labels: Option<&Artifact>,
) -> Result<Artifact, Objection> {
    let mut artifact = Artifact::new();
    for plan in plans(import, form, file, labels.is_some())? {
        artifact = artifact.with(&plan.ours, plan.read(file)?);
    }
    for (name, value) in attributes(file)? {
        artifact = artifact.attribute(name, value);
    }
    if let Some(labels) = labels {
        let tensor = labels
            .tensor(LABELS)
            .map_err(|error| Objection::new("path", error.to_string(), "join `labels` to labels"))?;
        artifact = artifact.with(LABELS, tensor.clone());
        if let Some(classes) = labels.attributes().get(CLASSES) {
            artifact = artifact.attribute(CLASSES, classes.clone());
        }
    }
    let found = artifact.tensor(LABELS).and_then(|labels| Ok(labels.to_vec1::<u32>()?)).unwrap_or_default();
    if matches!(form, Form::Images | Form::Features | Form::Labels) {
        artifact = classes(import, form, file, artifact, &found)?;
    }
    form.check(&artifact).map_err(|error| misfit(import, form, file, error.to_string()))?;
    Ok(artifact)
}

/// Gives the artifact the names of its classes.
fn classes(
    import: &Import,
    form: Form,
    file: &TensorFile,
    artifact: Artifact,
    labels: &[u32],
) -> Result<Artifact, Objection> {
    let most = labels.iter().max().map_or(0, |&label| label as usize + 1);
    let known: Option<Vec<String>> = match import.classes.as_slice() {
        [] => artifact.get(CLASSES).ok(),
        named => Some(named.to_vec()),
    };
    let path = shown(file.path());
    match known {
        Some(names) if names.len() < most => {
            let message = format!("{path}: there is a label {}, and {} classes (labels from 0)", most - 1, names.len());
            Err(Objection::new(CLASSES, message, "name every class in `classes`, in the order of the labels"))
        }
        Some(names) => Ok(artifact.attribute(CLASSES, names)),
        None if artifact.tensors().get(LABELS).is_none() => Ok(artifact),
        // Pseudo labels need no names.
        None if form == Form::Labels => Ok(artifact),
        None if most > MOST_CLASSES => {
            let message = format!("{path}: there is a label {}, which is too large for a class", most - 1);
            Err(Objection::new("tensors", message, "labels are the numbers of classes, from 0"))
        }
        None => Ok(artifact.attribute(CLASSES, (0..most).map(|label| label.to_string()).collect::<Vec<_>>())),
    }
}

/// Decides which tensors of the file are read, and what they become.
fn plans(import: &Import, form: Form, file: &TensorFile, labelled: bool) -> Result<Vec<Plan>, Objection> {
    let chosen: BTreeMap<String, String> = if !import.tensors.is_empty() {
        import.tensors.clone()
    } else if file.format() == Format::Npy {
        BTreeMap::from([(alone(form).to_owned(), ARRAY.to_owned())])
    } else {
        file.tensors().map(|(name, _)| (name.to_owned(), name.to_owned())).collect()
    };
    let wanted = chosen.into_iter().filter(|(ours, _)| !(labelled && ours == LABELS));
    let plan = |(ours, theirs): (String, String)| {
        let info = file.info(&theirs).map_err(|error| Objection { parameter: "tensors", ..error.into() })?;
        Plan::new(import, form, file, (ours, theirs), info)
    };
    wanted.map(plan).collect()
}

/// The name of the only tensor of a form in a file that gives it no name.
fn alone(form: Form) -> &'static str {
    match form {
        Form::Images => "images",
        Form::Labels => LABELS,
        Form::Batches => "batches",
        Form::Matrix => "matrix",
        _ => "features",
    }
}

impl Plan {
    fn new(
        import: &Import,
        form: Form,
        file: &TensorFile,
        (ours, theirs): (String, String),
        info: Info<'_>,
    ) -> Result<Self, Objection> {
        let Some(number) = info.number else {
            let message = format!("{}: `{theirs}` is {info}, which cannot be read", shown(file.path()));
            return Err(Objection::new(
                "tensors",
                message,
                "store it as float32, uint8 or int64, or leave it out of `tensors`",
            ));
        };
        let is_index = form != Form::Matrix && matches!(ours.as_str(), LABELS | "truth" | "batches");
        let is_real = (form == Form::Features && ours != LABELS) || (form == Form::Labels && ours == "confidence");
        let dtype = match number.dtype() {
            _ if is_index && number.is_whole() => DType::U32,
            _ if is_real && (!number.is_whole() || number.bytes() <= 2) => DType::F32,
            dtype => dtype,
        };
        let mut dims = info.dims.to_vec();
        let shape = match (form, ours.as_str(), dims.as_slice()) {
            (Form::Images, "images", &[rows, height, width]) => {
                dims = vec![rows, 1, height, width];
                Shape::Grey
            }
            (Form::Images, "images", &[rows, height, width, channels])
                if channels_last(import, &theirs, info, file)? =>
            {
                dims = vec![rows, channels, height, width];
                Shape::ChannelsFirst
            }
            (Form::Matrix | Form::Batches, ..) => Shape::Same,
            (_, LABELS | "truth" | "confidence", &[rows, 1]) => {
                dims = vec![rows];
                Shape::Flat
            }
            _ => Shape::Same,
        };
        Ok(Self { ours, theirs, shape, dtype, dims })
    }

    fn read(&self, file: &TensorFile) -> Result<Tensor, Objection> {
        let tensor = file.read(&self.theirs)?;
        let tensor = match self.shape {
            Shape::Same => tensor,
            Shape::Flat | Shape::Grey => tensor.reshape(self.dims.as_slice())?,
            Shape::ChannelsFirst => tensor.permute((0, 3, 1, 2))?.contiguous()?,
        };
        if self.dtype != DType::U32 || tensor.dtype() == DType::U32 {
            return Ok(tensor.to_dtype(self.dtype)?);
        }
        let numbers = tensor.to_dtype(DType::I64)?.flatten_all()?.to_vec1::<i64>()?;
        let fits = |&number: &i64| u32::try_from(number).map_err(|_| number);
        let indices = numbers.iter().map(fits).collect::<Result<Vec<u32>, i64>>().map_err(|number| {
            let message = format!("{}: `{}` holds {number}", shown(file.path()), self.theirs);
            Objection::new("tensors", message, format!("`{}` are whole numbers from 0", self.ours))
        })?;
        Ok(Tensor::from_vec(indices, tensor.dims(), &Device::Cpu)?)
    }
}

/// Whether the channels of images come last.
fn channels_last(import: &Import, name: &str, info: Info<'_>, file: &TensorFile) -> Result<bool, Objection> {
    let is_count = |channels: usize| channels == 1 || channels == 3;
    match (import.channels, is_count(info.dims[1]), is_count(info.dims[3])) {
        (Channels::First, ..) | (Channels::Auto, true, false) => Ok(false),
        (Channels::Last, ..) | (Channels::Auto, false, true) => Ok(true),
        (Channels::Auto, ..) => {
            let message =
                format!("`{name}` of {} is {info}, which does not show where the channels are", shown(file.path()));
            Err(Objection::new("channels", message, "write `channels = \"first\"` or `channels = \"last\"`"))
        }
    }
}

/// The file does not hold what the form says.
fn misfit(import: &Import, form: Form, file: &TensorFile, error: String) -> Objection {
    let message = format!("{}: {error}; the file holds {}", shown(file.path()), file.words());
    let help = if import.tensors.is_empty() {
        format!(
            "name the tensors of the form by `tensors = {{ {} = \"…\" }}`, or set `form` to what it holds",
            alone(form)
        )
    } else {
        format!("`strata schema --form {form}` says which tensors it needs")
    };
    Objection::new("tensors", message, help)
}
