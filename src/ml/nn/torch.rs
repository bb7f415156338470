//! How to build in Python the network of torchvision or timm that takes exported weights.

use super::{Architecture, EncoderKind, Names, Stem};
use crate::ml::{Error, Result};

impl Names {
    /// Returns the lines of Python that build the library's network for weights of [`Names::export`], and load them with
    /// `strict=True`.
    ///
    /// # Errors
    /// If the library does not have the network.
    pub fn python(self, architecture: &Architecture, file: &str) -> Result<String> {
        let Some(encoder) = architecture.encoder().filter(|_| self != Self::Strata) else {
            return Err(Error::Invalid(format!("{self} has no such network")));
        };
        self.check(encoder).map_err(|(field, message)| Error::Invalid(format!("`encoder.{field}` {message}")))?;
        let kind = if encoder.kind == EncoderKind::Resnet50 { "resnet50" } else { "resnet18" };
        let classes = match architecture {
            Architecture::Classifier { classes, .. } => Some(*classes),
            _ => None,
        };
        let (eps, momentum) = (encoder.bn_eps, encoder.bn_momentum);
        let norm = format!("functools.partial(torch.nn.BatchNorm2d, eps={eps:?}, momentum={momentum:?})");
        let mut lines = Vec::new();
        let mut line = |text: String| lines.push(text + "\n");
        line(format!("import functools, safetensors.torch, torch, {self}"));
        let count = classes.unwrap_or(if self == Self::Timm { 0 } else { 1000 });
        line(match self {
            Self::Timm => format!("model = timm.create_model(\"{kind}\", num_classes={count}, norm_layer={norm})"),
            _ => format!("model = torchvision.models.{kind}(num_classes={count}, norm_layer={norm})"),
        });
        let colours = architecture.colours();
        if encoder.stem == Stem::Large && colours != 3 {
            line(format!("model.conv1 = torch.nn.Conv2d({colours}, 64, 7, stride=2, padding=3, bias=False)"));
        }
        if encoder.stem != Stem::Large {
            line(format!("model.conv1 = torch.nn.Conv2d({colours}, 64, 3, stride=1, padding=1, bias=False)"));
            line("model.maxpool = torch.nn.Identity()".to_owned());
        }
        if classes.is_none() && self != Self::Timm {
            line("model.fc = torch.nn.Identity()".to_owned());
        }
        line(format!("model.load_state_dict(safetensors.torch.load_file({}), strict=True)", quoted(file)));
        line("model.eval()".to_owned());
        let (mean, std) = (&encoder.mean, &encoder.std);
        line(if mean.is_empty() {
            "# it takes pixels in [0, 1]".to_owned()
        } else {
            format!("# it takes pixels in [0, 1] after torchvision.transforms.Normalize({mean:?}, {std:?})")
        });
        Ok(lines.concat())
    }
}

/// A text as Python writes it: what JSON writes is the same.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::nn::Encoder;

    #[test]
    fn the_network_is_built_as_the_weights_need_it() -> Result<()> {
        let encoder = Encoder { kind: EncoderKind::Resnet18, stem: Stem::Small, ..Encoder::default() };
        let features = Architecture::Contrastive { colours: 1, encoder: encoder.clone(), head: vec![8] };
        assert_eq!(
            Names::Torchvision.python(&features, "a \"b\".safetensors")?,
            "import functools, safetensors.torch, torch, torchvision\n\
             model = torchvision.models.resnet18(num_classes=1000, norm_layer=functools.partial(torch.nn.BatchNorm2d, \
             eps=0.001, momentum=0.1))\n\
             model.conv1 = torch.nn.Conv2d(1, 64, 3, stride=1, padding=1, bias=False)\n\
             model.maxpool = torch.nn.Identity()\n\
             model.fc = torch.nn.Identity()\n\
             model.load_state_dict(safetensors.torch.load_file(\"a \\\"b\\\".safetensors\"), strict=True)\n\
             model.eval()\n\
             # it takes pixels in [0, 1]\n"
        );
        let encoder = Encoder { stem: Stem::Large, mean: vec![0.5; 3], std: vec![0.25; 3], bn_eps: 1e-5, ..encoder };
        let classifier = Architecture::Classifier { colours: 3, encoder, classes: 7 };
        let timm = Names::Timm.python(&classifier, "w")?;
        assert!(timm.contains("timm.create_model(\"resnet18\", num_classes=7, norm_layer="), "{timm}");
        assert!(timm.contains("eps=1e-5") && timm.contains("Normalize([0.5, 0.5, 0.5], [0.25, 0.25, 0.25])"), "{timm}");
        assert!(!timm.contains("conv1") && !timm.contains("Identity"), "{timm}");
        Ok(())
    }
}
