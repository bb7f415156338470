//! What other libraries call the parameters of ResNet-18 and ResNet-50; `torch` says how to build those networks there.
//!
//! torchvision and timm give the tensors of these two networks the same names and shapes, and shapes are ours as well:
//! convolutions `[out, in, height, width]`, linear layers `[out, in]`. In ResNet-50 all three have the stride on the 3x3
//! convolution. So only names differ, and that a batch normalisation of PyTorch counts its batches.

use std::{collections::BTreeMap, fmt, str::FromStr};

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, Encoder, EncoderKind, Padding};
use crate::ml::{Error, Result};

/// Whose names the tensors of a file have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    /// Those of strata: `encoder.group1.block0.conv1.weight`.
    #[default]
    Strata,
    /// Those of torchvision's ResNets: `layer1.0.conv1.weight`.
    Torchvision,
    /// Those of timm's ResNets, which are torchvision's.
    Timm,
}

/// The number of batches that a batch normalisation of PyTorch has seen.
const BATCHES: &str = "num_batches_tracked";

impl Names {
    /// Returns what our tensor is called, if the library's network has it.
    #[must_use]
    pub fn theirs(self, ours: &str) -> Option<String> {
        if self == Self::Strata {
            return Some(ours.to_owned());
        }
        let parts: Vec<&str> = ours.split('.').collect();
        match parts[..] {
            ["encoder", "stem", layer @ ("conv" | "bn"), leaf] => Some(format!("{layer}1.{leaf}")),
            ["encoder", group, block, layer, leaf] if layer != "shortcut" => {
                let (group, block) = (counted(group, "group")?, counted(block, "block")?);
                Some(format!("layer{group}.{block}.{layer}.{leaf}"))
            }
            ["encoder", group, block, "shortcut", layer @ ("conv" | "bn"), leaf] => {
                let (group, block) = (counted(group, "group")?, counted(block, "block")?);
                Some(format!("layer{group}.{block}.downsample.{}.{leaf}", u8::from(layer == "bn")))
            }
            ["classifier", "0", leaf] => Some(format!("fc.{leaf}")),
            _ => None,
        }
    }

    /// Returns what we call the library's tensor, if our network has it: the inverse of [`Names::theirs`].
    #[must_use]
    pub fn ours(self, theirs: &str) -> Option<String> {
        if self == Self::Strata {
            return Some(theirs.to_owned());
        }
        let parts: Vec<&str> = theirs.split('.').collect();
        match parts[..] {
            [.., BATCHES] => None,
            [layer @ ("conv1" | "bn1"), leaf] => Some(format!("encoder.stem.{}.{leaf}", layer.trim_end_matches('1'))),
            [group, block, layer, leaf] if layer != "downsample" => {
                let group = counted(group, "layer")?;
                Some(format!("encoder.group{group}.block{}.{layer}.{leaf}", counted(block, "")?))
            }
            [group, block, "downsample", layer @ ("0" | "1"), leaf] => {
                let (group, layer) = (counted(group, "layer")?, if layer == "0" { "conv" } else { "bn" });
                Some(format!("encoder.group{group}.block{}.shortcut.{layer}.{leaf}", counted(block, "")?))
            }
            ["fc", leaf] => Some(format!("classifier.0.{leaf}")),
            _ => None,
        }
    }

    /// Returns true for the count of batches that a batch normalisation of PyTorch keeps. It has no place here, and no effect
    /// where the momentum is a number.
    #[must_use]
    pub fn is_count(self, theirs: &str) -> bool {
        self != Self::Strata && theirs.ends_with(&format!(".{BATCHES}"))
    }

    /// Checks that the library has this network.
    ///
    /// # Errors
    /// If it does not: the field of the encoder, and why.
    pub fn check(self, encoder: &Encoder) -> Result<(), (&'static str, String)> {
        if self == Self::Strata {
            return Ok(());
        }
        if !matches!(encoder.kind, EncoderKind::Resnet18 | EncoderKind::Resnet50) {
            return Err(("kind", format!("must be `resnet18` or `resnet50`, whose tensors have names in {self}")));
        }
        if encoder.final_norm {
            return Err(("final_norm", format!("must be false: the networks of {self} end without a normalisation")));
        }
        if encoder.width != 1.0 {
            return Err(("width", format!("must be 1: {self} has networks of no other width")));
        }
        if encoder.padding != Padding::Symmetric {
            return Err(("padding", format!("must be `symmetric`, as it is in {self}")));
        }
        Ok(())
    }

    /// Returns the tensors of a network by the library's names, as a state dict: those of the encoder, and of a classifier
    /// if there is one. A projection head is left out, as the library's networks have none.
    ///
    /// # Errors
    /// If the library does not have the network.
    pub fn export(
        self,
        architecture: &Architecture,
        tensors: &BTreeMap<String, Tensor>,
    ) -> Result<BTreeMap<String, Tensor>> {
        if self == Self::Strata {
            return Ok(tensors.clone());
        }
        let Some(encoder) = architecture.encoder() else {
            return Err(Error::Invalid(format!("{self} has ResNets, and these are the weights of an autoencoder")));
        };
        self.check(encoder).map_err(|(field, message)| Error::Invalid(format!("`encoder.{field}` {message}")))?;
        let mut named = BTreeMap::new();
        for (name, tensor) in tensors.iter().filter(|(name, _)| !name.starts_with("head.")) {
            let theirs = self
                .theirs(name)
                .ok_or_else(|| Error::Invalid(format!("`{name}` has no name in the networks of {self}")))?;
            if let Some(layer) = theirs.strip_suffix(".running_mean") {
                named.insert(format!("{layer}.{BATCHES}"), Tensor::new(0i64, &Device::Cpu)?);
            }
            named.insert(theirs, tensor.clone());
        }
        Ok(named)
    }
}

/// Returns the digits after a word.
fn counted<'a>(part: &'a str, word: &str) -> Option<&'a str> {
    let digits = part.strip_prefix(word)?;
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strata => "strata",
            Self::Torchvision => "torchvision",
            Self::Timm => "timm",
        })
    }
}

/// A word that names no library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("names are those of strata, torchvision or timm")]
pub struct NoNames;

impl FromStr for Names {
    type Err = NoNames;

    fn from_str(word: &str) -> Result<Self, NoNames> {
        [Self::Strata, Self::Torchvision, Self::Timm].into_iter().find(|names| names.to_string() == word).ok_or(NoNames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::nn::Stem;

    /// A network with tensors of no memory, as only names matter.
    fn network(kind: EncoderKind) -> Result<(Architecture, BTreeMap<String, Tensor>)> {
        let encoder = Encoder { kind, stem: Stem::Large, ..Encoder::default() };
        let architecture = Architecture::Classifier { colours: 3, encoder, classes: 4 };
        let empty = Tensor::zeros(0, candle_core::DType::F32, &Device::Cpu)?;
        let tensors = architecture.shapes()?.into_keys().map(|name| (name, empty.clone())).collect();
        Ok((architecture, tensors))
    }

    #[test]
    fn names_go_out_and_come_back() -> Result<()> {
        for (kind, tensors) in [(EncoderKind::Resnet18, 122), (EncoderKind::Resnet50, 320)] {
            let (architecture, ours) = network(kind)?;
            let theirs = Names::Torchvision.export(&architecture, &ours)?;
            // As many as `len(torchvision.models.resnet18().state_dict())`.
            assert_eq!(theirs.len(), tensors, "{kind:?}");
            let back: Vec<String> = theirs.keys().filter_map(|name| Names::Timm.ours(name)).collect();
            let known: std::collections::BTreeSet<&String> = back.iter().collect();
            assert_eq!(known.len(), back.len(), "no two names become one");
            assert!(ours.keys().all(|name| known.contains(name)) && back.len() == ours.len(), "{kind:?}");
            for name in &back {
                let there = Names::Torchvision.theirs(name).expect("a name");
                assert_eq!(Names::Torchvision.ours(&there).as_ref(), Some(name));
            }
        }
        Ok(())
    }

    #[test]
    fn names_are_those_of_torchvision() {
        for (ours, theirs) in [
            ("encoder.stem.conv.weight", "conv1.weight"),
            ("encoder.stem.bn.running_var", "bn1.running_var"),
            ("encoder.group2.block0.shortcut.conv.weight", "layer2.0.downsample.0.weight"),
            ("encoder.group2.block0.shortcut.bn.bias", "layer2.0.downsample.1.bias"),
            ("encoder.group4.block2.bn3.weight", "layer4.2.bn3.weight"),
            ("classifier.0.bias", "fc.bias"),
        ] {
            assert_eq!(Names::Torchvision.theirs(ours).as_deref(), Some(theirs));
            assert_eq!(Names::Timm.ours(theirs).as_deref(), Some(ours));
        }
        for unknown in ["layerX.0.conv1.weight", "layer1.conv1.weight", "module.conv1.weight", "fc", ""] {
            assert_eq!(Names::Timm.ours(unknown), None, "{unknown}");
        }
        assert_eq!(Names::Torchvision.ours("bn1.num_batches_tracked"), None);
        assert!(Names::Torchvision.is_count("layer1.0.bn1.num_batches_tracked"));
    }

    #[test]
    fn a_network_that_a_library_does_not_have_is_refused() -> Result<()> {
        let (architecture, ours) = network(EncoderKind::Resnet)?;
        let message = Names::Timm.export(&architecture, &ours).expect_err("no such network").to_string();
        assert_eq!(message, "`encoder.kind` must be `resnet18` or `resnet50`, whose tensors have names in timm");
        let (channels, kernel) = (vec![4], 3);
        let architecture = Architecture::Autoencoder { colours: 3, channels, kernel, bn_momentum: 0.1 };
        assert!(Names::Torchvision.export(&architecture, &ours).is_err());
        Ok(())
    }
}
