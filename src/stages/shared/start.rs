//! Weights that a training starts from: whether they are those of its network, before it runs and when it does.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::network;
use crate::{
    ml::{
        init::Params,
        nn::{Architecture, Encoder, Stem},
    },
    stage::{Foreseen, Foresight, Problems, StageError},
    store::Artifact,
};

/// What is known of a network before its weights are there. Goes along the graph as [`Foreseen::network`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::stages) enum Known {
    /// An encoder; its stem is `auto` if it depends on the size of images that is not known.
    Encoder(Encoder),
    /// A denoising autoencoder.
    Autoencoder { channels: Vec<usize>, kernel: usize },
}

impl Known {
    /// An encoder of images of this size, if that is known.
    pub(in crate::stages) fn encoder(encoder: &Encoder, size: Option<[usize; 3]>) -> Self {
        let [_, height, width] = size.unwrap_or([0; 3]);
        let mut resolved = encoder.resolved([height, width]);
        if size.is_none() && resolved.stem != Stem::Auto && encoder.stem == Stem::Auto {
            resolved.stem = Stem::Auto;
        }
        Self::Encoder(resolved)
    }

    pub(in crate::stages) fn of(architecture: &Architecture) -> Self {
        match architecture {
            Architecture::Autoencoder { channels, kernel, .. } => {
                Self::Autoencoder { channels: channels.clone(), kernel: *kernel }
            }
            Architecture::Contrastive { encoder, .. } | Architecture::Classifier { encoder, .. } => {
                Self::Encoder(encoder.clone())
            }
        }
    }

    /// How this network differs from an encoder, in words; `None` if it does not.
    pub(in crate::stages) fn unlike(&self, wanted: &Encoder) -> Option<String> {
        let Self::Encoder(made) = self else { return Some("an autoencoder, not an encoder".to_owned()) };
        let differences = differences(made, &wanted.resolved_as(made.stem));
        (!differences.is_empty()).then(|| format!("an encoder with {}", differences.join(", ")))
    }

    /// Reads what is known of the network at an input port.
    pub(in crate::stages) fn at(inputs: &Foresight, port: &str) -> Option<Self> {
        serde_json::from_str(inputs.get(port)?.network.as_ref()?).ok()
    }

    /// Adds it to what is known of an output.
    pub(in crate::stages) fn tell(&self, foreseen: Foreseen) -> Foreseen {
        Foreseen { network: serde_json::to_string(self).ok(), ..foreseen }
    }

    /// Returns the parameter that gives a training another network than this one, with the difference in words and the
    /// remedy; `None` if both are the same.
    fn objection(&self, wanted: &Self) -> Option<(&'static str, String, String)> {
        match (self, wanted) {
            (Self::Encoder(made), Self::Encoder(wanted)) => {
                let differences = differences(made, wanted);
                let message = format!("the input `weights` has an encoder with {}", differences.join(", "));
                let help = format!("write `encoder = {}`", table(made));
                (!differences.is_empty()).then_some(("encoder", message, help))
            }
            (Self::Autoencoder { channels, kernel }, Self::Autoencoder { channels: wanted, kernel: size }) => {
                let parameter = if channels == wanted { "kernel" } else { "channels" };
                let message = format!(
                    "the input `weights` has an autoencoder with `channels` {channels:?} and `kernel` {kernel}, not \
                     {wanted:?} and {size}"
                );
                let help = format!("write `channels = {channels:?}` and `kernel = {kernel}`");
                (channels != wanted || kernel != size).then_some((parameter, message, help))
            }
            (Self::Autoencoder { .. }, Self::Encoder(_)) => {
                let message = "the input `weights` has an autoencoder, not an encoder".to_owned();
                Some(("encoder", message, "join `weights` to a stage that makes an encoder".to_owned()))
            }
            (Self::Encoder(_), Self::Autoencoder { .. }) => {
                let message = "the input `weights` has an encoder, not an autoencoder".to_owned();
                Some(("channels", message, "join `weights` to the weights of a `dae`".to_owned()))
            }
        }
    }

    /// Adds a problem if the weights at the input `weights` are those of another network than this one, as far as both
    /// are known.
    pub(in crate::stages) fn foresee(&self, inputs: &Foresight, problems: &mut Problems) {
        if let Some((parameter, message, help)) = Self::at(inputs, "weights").and_then(|made| made.objection(self)) {
            problems.add_with_help(parameter, message, help);
        }
    }
}

/// Sets the parameters of a network from the weights at the input `weights`: of its encoder, and of its projection head if
/// the weights have one with the same layers; or of an autoencoder.
///
/// # Errors
/// If the weights are not finite or those of another network.
pub(in crate::stages) fn load(
    weights: &Artifact,
    architecture: &Architecture,
    params: &Params,
) -> Result<(), StageError> {
    network::check(weights)?;
    let made: Architecture = weights.get("architecture")?;
    if let Some((_, message, help)) = Known::of(&made).objection(&Known::of(architecture)) {
        return Err(StageError::failed(format!("{message}; {help}")));
    }
    let (colours, wanted) = (made.colours(), architecture.colours());
    if colours != wanted {
        let message = format!("the input `weights` has a network for {colours} channels, and the images have {wanted}");
        return Err(StageError::failed(message));
    }
    let whole = match (&made, architecture) {
        (Architecture::Autoencoder { .. }, _) => true,
        (Architecture::Contrastive { head, .. }, Architecture::Contrastive { head: wanted, .. }) => head == wanted,
        _ => false,
    };
    Ok(params.load_matching(weights.tensors(), |name| whole || name.starts_with("encoder."))?)
}

/// The fields in which an encoder that was made differs from the one that is wanted, in words. How weights were drawn and
/// how running statistics follow do not matter to a network that is there.
fn differences(made: &Encoder, wanted: &Encoder) -> Vec<String> {
    let idle = if made.kind == wanted.kind { made.idle() } else { Vec::new() };
    let (made, wanted) = (fields(made), fields(wanted));
    let mut names: Vec<&String> = made.keys().chain(wanted.keys()).collect();
    names.sort();
    names.dedup();
    let differs = |name: &&&String| {
        let is_open = |value: Option<&Value>| value.is_some_and(|value| value == "auto");
        let is_stem = name.as_str() == "stem" && (is_open(made.get(**name)) || is_open(wanted.get(**name)));
        let has_effect = !["init", "bn_momentum"].contains(&name.as_str()) && !idle.contains(&name.as_str());
        has_effect && !is_stem && made.get(**name) != wanted.get(**name)
    };
    let shown = |value: Option<&Value>| value.map_or_else(|| "none".to_owned(), Value::to_string);
    let words = |name: &&String| format!("`{name}` {}, not {}", shown(made.get(*name)), shown(wanted.get(*name)));
    names.iter().filter(differs).map(words).collect()
}

/// An encoder as a TOML table of the parameters that are not at their defaults.
fn table(encoder: &Encoder) -> String {
    let defaults = fields(&Encoder::default());
    let set: Vec<String> = fields(encoder)
        .into_iter()
        .filter(|(name, value)| defaults.get(name) != Some(value))
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    if set.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", set.join(", ")) }
}

fn fields(encoder: &Encoder) -> serde_json::Map<String, Value> {
    match serde_json::to_value(encoder) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::ml::nn::EncoderKind;

    fn torch() -> Encoder {
        Encoder {
            kind: EncoderKind::Resnet18,
            stem: Stem::Large,
            bn_eps: 1e-5,
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
            ..Encoder::default()
        }
    }

    #[test]
    fn another_encoder_is_told_with_the_table_to_write() {
        let wanted = Known::encoder(&Encoder { kind: EncoderKind::Resnet18, ..Encoder::default() }, Some([3, 32, 32]));
        let inputs = Foresight::from([("weights", Known::Encoder(torch()).tell(Foreseen::default()))]);
        let mut problems = Problems::default();
        wanted.foresee(&inputs, &mut problems);
        let [problem] = &problems.into_vec()[..] else { panic!("one problem") };
        assert_eq!(
            problem.message,
            "the input `weights` has an encoder with `bn_eps` 0.00001, not 0.001, `mean` [0.485,0.456,0.406], not none, \
             `std` [0.229,0.224,0.225], not none, `stem` \"7x7\", not \"3x3\""
        );
        let help = problem.help.as_deref().expect("a remedy");
        assert!(help.starts_with("write `encoder = { "), "{help}");
        let toml = help.trim_start_matches("write `").trim_end_matches('`');
        let read: toml::Table = toml.parse().expect("TOML");
        let again: Encoder = read["encoder"].clone().try_into().expect("an encoder");
        assert_eq!(again, torch());
    }

    #[test]
    fn what_is_not_known_is_no_difference() {
        let open = Known::encoder(&Encoder { stem: Stem::Auto, ..torch() }, None);
        assert_eq!(Known::Encoder(torch()).objection(&open), None);
        // The bottleneck ResNet has one stem, whatever the size of the images.
        let of_size = |edge| Known::encoder(&Encoder::default(), Some([3, edge, edge]));
        assert_eq!(of_size(32).objection(&of_size(96)), None);
        let momentum = Known::Encoder(Encoder { bn_momentum: 0.5, ..torch() });
        assert_eq!(Known::Encoder(torch()).objection(&momentum), None);
        let autoencoder = Known::Autoencoder { channels: vec![4], kernel: 3 };
        assert!(autoencoder.objection(&open).is_some() && open.objection(&autoencoder).is_some());
    }

    #[test]
    fn a_head_with_the_same_layers_comes_along() -> Result<(), StageError> {
        let encoder = Encoder { n: 1, width: 0.25, ..Encoder::default() };
        let network = |head: &[usize]| Architecture::Contrastive {
            colours: 3,
            encoder: encoder.resolved([8, 8]),
            head: head.to_vec(),
        };
        let saved = |head: &[usize]| -> Result<Artifact, StageError> {
            network::save(&network(head), &network(head).build(1, &Device::Cpu)?.1)
        };
        let (made, other) = (saved(&[8, 4])?, saved(&[8, 2])?);
        let (_, params) = network(&[8, 4]).build(2, &Device::Cpu)?;
        let equal = |name: &str, artifact: &Artifact| -> Result<bool, StageError> {
            let (a, b) = (params.to_tensors()?[name].clone(), artifact.tensor(name)?.clone());
            Ok(a.flatten_all()?.to_vec1::<f32>()? == b.flatten_all()?.to_vec1::<f32>()?)
        };
        load(&other, &network(&[8, 4]), &params)?;
        assert!(equal("encoder.stem.conv.weight", &other)? && !equal("head.0.weight", &other)?);
        load(&made, &network(&[8, 4]), &params)?;
        assert!(equal("head.1.weight", &made)?);
        let classifier = Architecture::Classifier { colours: 1, encoder, classes: 2 };
        let (_, params) = classifier.build(0, &Device::Cpu)?;
        let message = load(&made, &classifier, &params).expect_err("another number of channels").to_string();
        assert!(message.contains("3 channels, and the images have 1"), "{message}");
        Ok(())
    }
}
