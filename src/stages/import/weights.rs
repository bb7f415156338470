//! Weights of networks from files of strata, torchvision and timm.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::DType;
use serde_json::{Map, Value};

use super::{Import, Objection, arrays};
use crate::{
    ml::{
        self,
        data::shown,
        files::TensorFile,
        nn::{Architecture, Encoder, EncoderKind, Names, Network, Stem},
    },
    stage::{Foreseen, Problems},
    stages::shared::start::Known,
    store::Artifact,
};

/// The attribute that describes a network.
const ARCHITECTURE: &str = "architecture";
/// The epsilon of PyTorch's batch normalisation.
const TORCH_EPS: f64 = 1e-5;
/// The most tensors that a message names.
const NAMED: usize = 3;

/// Warns of parameters at which PyTorch's networks do not give their features.
pub(super) fn warn(import: &Import, problems: &mut Problems) {
    let (encoder, names) = (&import.encoder, import.names);
    if encoder.bn_eps != TORCH_EPS {
        let message =
            format!("is {}; the networks of {names} have 1e-5, and give other features with this", encoder.bn_eps);
        problems.warn("encoder.bn_eps", message, "write `bn_eps = 1e-5`");
    }
    if encoder.mean.is_empty() {
        let message =
            format!("is not set, so pixels come as they are; the pretrained networks of {names} normalise them");
        let help = "write `mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225]` for networks trained on ImageNet, or \
                    the values of the training; `mean = [0, 0, 0], std = [1, 1, 1]` if there was none";
        problems.warn("encoder.mean", message, help);
    }
}

/// A network whose weights a file holds.
pub(super) struct Found {
    architecture: Architecture,
    /// For each of our names the name in the file.
    tensors: BTreeMap<String, String>,
    attributes: Map<String, Value>,
}

impl Found {
    /// What is known of the weights.
    pub(super) fn foreseen(&self) -> Foreseen {
        let known = match &self.architecture {
            Architecture::Autoencoder { channels, .. } => {
                let sides = u32::try_from(channels.len()).ok().and_then(|stages| 1_usize.checked_shl(stages));
                Foreseen { sides, ..Foreseen::levels(&["latent"]) }
            }
            Architecture::Contrastive { head, .. } => {
                Foreseen { levels: Network::encoder_levels(head.len()), ..Foreseen::default() }
            }
            Architecture::Classifier { .. } => Foreseen::levels(&["p3"]),
        };
        Known::of(&self.architecture).tell(known)
    }

    /// Reads the weights, as f32.
    pub(super) fn read(self, file: &TensorFile) -> Result<Artifact, Objection> {
        let mut artifact = Artifact::new();
        for (name, value) in self.attributes {
            artifact = artifact.attribute(name, value);
        }
        for (ours, theirs) in self.tensors {
            artifact = artifact.with(ours, file.read(&theirs)?.to_dtype(DType::F32)?);
        }
        let json = serde_json::to_value(&self.architecture).unwrap_or_default();
        Ok(artifact.attribute(ARCHITECTURE, json))
    }
}

/// The tensors of a file by our names, and those that have none.
struct Renamed<'a> {
    /// For each of our names the name in the file, and the shape.
    known: BTreeMap<String, (&'a str, &'a [usize])>,
    unknown: Vec<&'a str>,
}

impl<'a> Renamed<'a> {
    fn new(import: &Import, file: &'a TensorFile) -> Self {
        let mut renamed = Self { known: BTreeMap::new(), unknown: Vec::new() };
        for (name, info) in file.tensors() {
            let Some(theirs) = name.strip_prefix(import.prefix.as_str()) else { continue };
            match import.names.ours(theirs) {
                Some(ours) => drop(renamed.known.insert(ours, (name, info.dims))),
                None if import.names.is_count(theirs) => {}
                None => renamed.unknown.push(name),
            }
        }
        renamed
    }

    fn dims(&self, name: &str) -> Option<&'a [usize]> {
        self.known.get(name).map(|&(_, dims)| dims)
    }
}

/// Finds the weights of a network in a file.
///
/// # Errors
/// If the file holds another network than the parameters say, or none.
pub(super) fn find(import: &Import, file: &TensorFile) -> Result<Found, Objection> {
    let renamed = Renamed::new(import, file);
    let attributes = arrays::attributes(file)?;
    let architecture = match attributes.get(ARCHITECTURE) {
        Some(json) => described(import, file, json)?,
        None => written(import, &renamed),
    };
    let shapes = architecture.shapes().map_err(|error| match error {
        ml::Error::Invalid(message) => {
            Objection::new("encoder", message, "give one mean and deviation for each channel")
        }
        error => error.into(),
    })?;
    compare(import, file, &renamed, &shapes)?;
    let tensors = renamed.known.into_iter().map(|(ours, (theirs, _))| (ours, theirs.to_owned())).collect();
    Ok(Found { architecture, tensors, attributes })
}

/// The network that a file of strata describes.
fn described(import: &Import, file: &TensorFile, json: &Value) -> Result<Architecture, Objection> {
    let path = shown(file.path());
    if import.names != Names::Strata {
        let message = format!("{path}: strata wrote it, so its names are not those of {}", import.names);
        return Err(Objection::new("names", message, "write `names = \"strata\"`, or leave it out"));
    }
    let damaged = |message: String| {
        let message = format!("{path}: its attribute `{ARCHITECTURE}` is damaged: {message}");
        Objection::new("path", message, "export it anew with `strata export`")
    };
    let architecture: Architecture =
        serde_json::from_value(json.clone()).map_err(|error| damaged(error.to_string()))?;
    if let Some(Err((field, message))) = architecture.encoder().map(Encoder::check) {
        return Err(damaged(format!("`{field}` {message}")));
    }
    let told = Encoder { init: Encoder::default().init, ..import.encoder.resolved_as(Stem::Auto) };
    if told != Encoder::default()
        && let Some(difference) = Known::of(&architecture).unlike(&import.encoder)
    {
        let message = format!("{path}: it holds {difference}");
        return Err(Objection::new("encoder", message, "leave `encoder` out: the file says what it is"));
    }
    Ok(architecture)
}

/// The network that the parameters describe, with what only the file can say: the channels of images, the stem, the classes
/// and the layers of a head.
fn written(import: &Import, renamed: &Renamed<'_>) -> Architecture {
    let stem = renamed.dims("encoder.stem.conv.weight").unwrap_or_default();
    let mut encoder = import.encoder.clone();
    if encoder.stem == Stem::Auto {
        encoder.stem = if stem.get(2) == Some(&3) { Stem::Small } else { Stem::Large };
    }
    let encoder = encoder.resolved([0, 0]);
    let colours = stem.get(1).copied().unwrap_or(3);
    let outputs = |name: &str| renamed.dims(name).and_then(|dims| dims.first()).copied();
    match outputs("classifier.0.weight") {
        Some(classes) => Architecture::Classifier { colours, encoder, classes },
        None => {
            let layer = |index: usize| outputs(&format!("head.{index}.weight"));
            Architecture::Contrastive { colours, encoder, head: (0..).map_while(layer).collect() }
        }
    }
}

/// Compares the tensors of a file with those of the network.
fn compare(
    import: &Import,
    file: &TensorFile,
    renamed: &Renamed<'_>,
    shapes: &BTreeMap<String, Vec<usize>>,
) -> Result<(), Objection> {
    let theirs = |ours: &str| {
        let name = import.names.theirs(ours).unwrap_or_else(|| ours.to_owned());
        format!("{}{name}", import.prefix)
    };
    let (mut missing, mut other, mut wrong) = (Vec::new(), renamed.unknown.clone(), Vec::new());
    for (ours, shape) in shapes {
        match renamed.dims(ours) {
            None => missing.push(theirs(ours)),
            Some(dims) if dims != shape.as_slice() => {
                wrong.push(format!("`{}` is {dims:?}, not {shape:?}", theirs(ours)))
            }
            Some(_) => {}
        }
    }
    other.extend(renamed.known.iter().filter(|(ours, _)| !shapes.contains_key(*ours)).map(|(_, &(name, _))| name));
    if missing.is_empty() && wrong.is_empty() && other.is_empty() {
        return Ok(());
    }
    let quoted = |names: &[&str]| some(&names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>());
    let mut words = Vec::new();
    if !missing.is_empty() {
        words.push(format!("it has no {}", quoted(&missing.iter().map(String::as_str).collect::<Vec<_>>())));
    }
    if !wrong.is_empty() {
        words.push(some(&wrong));
    }
    if !other.is_empty() {
        words.push(format!("it has {}, which the network does not have", quoted(&other)));
    }
    let kind = word(import.encoder.kind);
    let message = format!("{}: not the weights of this `{kind}`: {}", shown(file.path()), words.join("; "));
    let (parameter, help) = remedy(import, file, renamed, shapes);
    Err(Objection::new(parameter, message, help))
}

/// The first of some words, and how many more there are.
fn some(words: &[String]) -> String {
    let rest = words.len().saturating_sub(NAMED);
    let first = words[..words.len() - rest].join(", ");
    if rest > 0 { format!("{first} and {rest} more") } else { first }
}

/// Guesses why a file does not fit: the parameter to change, and how.
fn remedy(
    import: &Import,
    file: &TensorFile,
    renamed: &Renamed<'_>,
    shapes: &BTreeMap<String, Vec<usize>>,
) -> (&'static str, String) {
    let is_here = |ours: &str| renamed.known.contains_key(ours);
    if !shapes.keys().any(|ours| is_here(ours)) {
        for names in [import.names, Names::Torchvision, Names::Strata] {
            let first = names.theirs("encoder.stem.conv.weight").unwrap_or_default();
            let before = file.tensors().find_map(|(name, _)| name.strip_suffix(&first).map(str::to_owned));
            match before {
                Some(prefix) if names == import.names => return ("prefix", format!("write `prefix = \"{prefix}\"`")),
                Some(_) => return ("names", format!("write `names = \"{names}\"`")),
                None => {}
            }
        }
        return ("encoder", format!("it holds {}; name the network that it belongs to by `encoder`", file.words()));
    }
    let blocks = |group: usize| -> usize {
        let start = format!("encoder.group{group}.");
        let found = renamed.known.keys().filter_map(|name| name.strip_prefix(&start)?.split('.').next());
        found.collect::<BTreeSet<_>>().len()
    };
    let looks = match ([1, 2, 3, 4].map(blocks), is_here("encoder.group1.block0.conv3.weight")) {
        ([2, 2, 2, 2], false) => "a ResNet-18: write `kind = \"resnet18\"`, and a `stem` and `width` that fit",
        ([3, 4, 6, 3], true) => "a ResNet-50: write `kind = \"resnet50\"`, and a `stem` and `width` that fit",
        ([3, 4, 6, 3], false) => "a ResNet-34, which strata does not have",
        ([3, 4, 23, 3], true) => "a ResNet-101, which strata does not have",
        ([_, _, _, 0], _) => "a network of three groups: write `kind = \"resnet\"`, with its `n` and `width`",
        _ => "a network that strata does not have",
    };
    ("encoder", format!("it looks like {looks}"))
}

/// The word for a kind of encoder.
fn word(kind: EncoderKind) -> String {
    serde_json::to_value(kind).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}
