//! The description from which a network is built again, together with its tensors.

use std::{collections::BTreeMap, iter};

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Autoencoder, Encoder, Head, Mode, ResNet};
use crate::ml::{Result, init::Params, kernels::Activation};

/// The description of a network, stored as JSON beside its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Architecture {
    /// A denoising autoencoder.
    Autoencoder {
        /// Channels of the images.
        colours: usize,
        /// Channels of the stages down; the stages up mirror them.
        channels: Vec<usize>,
        /// Rows and columns of the convolutions, odd.
        kernel: usize,
        /// Weight of a new batch in the running statistics.
        #[serde(default = "settling_fast")]
        bn_momentum: f64,
    },
    /// An encoder with a projection head.
    Contrastive {
        /// Channels of the images.
        colours: usize,
        /// The encoder, its stem chosen.
        encoder: Encoder,
        /// Output sizes of the head's layers.
        head: Vec<usize>,
    },
    /// An encoder with a linear classifier.
    Classifier {
        /// Channels of the images.
        colours: usize,
        /// The encoder, its stem chosen.
        encoder: Encoder,
        /// Number of classes.
        classes: usize,
    },
}

/// The momentum of autoencoders whose description has none.
fn settling_fast() -> f64 {
    Autoencoder::BN_MOMENTUM
}

/// How the bottleneck of an autoencoder becomes a vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// The mean of each channel.
    #[default]
    Mean,
    /// All values, row by row, channels innermost.
    Flatten,
}

/// A network that can be run.
#[derive(Clone, Debug)]
pub enum Network {
    /// A denoising autoencoder.
    Autoencoder(Autoencoder),
    /// An encoder and a head: a projection head, or one linear layer that classifies.
    Encoder {
        /// The encoder.
        encoder: ResNet,
        /// The head on its features.
        head: Head,
    },
}

impl Architecture {
    /// Builds the network with new parameters, drawn from `seed`.
    ///
    /// # Errors
    /// If a parameter cannot be made on the device.
    pub fn build(&self, seed: u64, device: &Device) -> Result<(Network, Params)> {
        let mut params = Params::new(seed, device);
        let network = self.make(&mut params)?;
        Ok((network, params))
    }

    /// Returns the shapes of its parameters and running statistics, by name.
    ///
    /// # Errors
    /// If it cannot be built.
    pub fn shapes(&self) -> Result<BTreeMap<String, Vec<usize>>> {
        Params::shapes(|params| self.make(params).map(drop))
    }

    fn make(&self, params: &mut Params) -> Result<Network> {
        Ok(match self {
            Self::Autoencoder { colours, channels, kernel, bn_momentum } => {
                Network::Autoencoder(Autoencoder::new(&mut params.root(), channels, *kernel, *colours, *bn_momentum)?)
            }
            Self::Contrastive { colours, encoder, head } => {
                let encoder = ResNet::new(&mut params.root().at("encoder"), encoder, *colours)?;
                let head = Head::new(&mut params.root().at("head"), encoder.features(), head)?;
                Network::Encoder { encoder, head }
            }
            Self::Classifier { colours, encoder, classes } => {
                let encoder = ResNet::new(&mut params.root().at("encoder"), encoder, *colours)?;
                let head = Head::new(&mut params.root().at("classifier"), encoder.features(), &[*classes])?;
                Network::Encoder { encoder, head }
            }
        })
    }

    /// Builds the network with parameters from [`Params::to_tensors`].
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(&self, tensors: &BTreeMap<String, Tensor>, device: &Device) -> Result<(Network, Params)> {
        let (network, params) = self.build(0, device)?;
        params.load(tensors)?;
        Ok((network, params))
    }

    /// The encoder, unless this is an autoencoder.
    #[must_use]
    pub fn encoder(&self) -> Option<&Encoder> {
        match self {
            Self::Autoencoder { .. } => None,
            Self::Contrastive { encoder, .. } | Self::Classifier { encoder, .. } => Some(encoder),
        }
    }

    /// Channels of the images.
    #[must_use]
    pub fn colours(&self) -> usize {
        match self {
            Self::Autoencoder { colours, .. }
            | Self::Contrastive { colours, .. }
            | Self::Classifier { colours, .. } => *colours,
        }
    }
}

impl Network {
    /// All representations of images `[N, H, W, C]` that the network has, `[N, D]` each, from one forward pass without
    /// gradients.
    ///
    /// An autoencoder has `latent`. An encoder has `p3`, its pooled features; the hidden activations of its head are
    /// `p2`, `p1` and, in a longer head, `h3`, `h4`, … in the order of the layers.
    ///
    /// # Errors
    /// If the images do not fit the network.
    pub fn levels(&self, images: &Tensor, pool: Pool) -> Result<Vec<(String, Tensor)>> {
        match self {
            Self::Autoencoder(autoencoder) => {
                let bottleneck = autoencoder.encode(images, Mode::Infer)?;
                let latent = match pool {
                    Pool::Mean => Activation::new(&bottleneck)?.global_avg_pool()?.into_tensor()?,
                    Pool::Flatten => bottleneck.flatten_from(1)?,
                };
                Ok(vec![("latent".to_owned(), latent)])
            }
            Self::Encoder { encoder, head } => {
                let features = encoder.forward(images, Mode::Infer)?;
                let mut hidden = head.forward(&features, Mode::Infer)?;
                hidden.pop();
                Ok(Self::encoder_levels(hidden.len() + 1).into_iter().zip(iter::once(features).chain(hidden)).collect())
            }
        }
    }

    /// The names of the levels of an encoder whose head has this many layers.
    #[must_use]
    pub fn encoder_levels(head: usize) -> Vec<String> {
        let hidden = |index| if index < 2 { format!("p{}", 2 - index) } else { format!("h{}", index + 1) };
        iter::once("p3".to_owned()).chain((0..head.saturating_sub(1)).map(hidden)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::nn::{EncoderKind, Stem};

    fn counts(architecture: &Architecture) -> (usize, usize) {
        let (_, params) = architecture.build(0, &Device::Cpu).expect("builds");
        (params.parameters().iter().map(|(_, var)| var.elem_count()).sum(), params.total())
    }

    fn encoder_counts(encoder: Encoder) -> (usize, usize) {
        let features = Architecture::Contrastive { colours: 3, encoder, head: vec![] };
        counts(&features)
    }

    /// The published totals of the reference count running statistics too, as Keras does.
    #[test]
    fn sizes_are_the_published_ones() {
        let autoencoder = |channels: &[usize], kernel| Architecture::Autoencoder {
            colours: 3,
            channels: channels.to_vec(),
            kernel,
            bn_momentum: 0.01,
        };
        assert_eq!(counts(&autoencoder(&[32, 64, 128], 3)).1, 335_747);
        assert_eq!(counts(&autoencoder(&[64, 128, 256, 512, 1024], 5)).1, 61_059_843);
        assert_eq!(encoder_counts(Encoder::default()).1, 1_121_344);
        let head = Architecture::Contrastive { colours: 3, encoder: Encoder::default(), head: vec![256, 128, 50] };
        assert_eq!(counts(&head).1, 1_226_482);
        // keras.applications.ResNet50, without its top and with the head.
        let keras = Encoder { kind: EncoderKind::Resnet50Keras, stem: Stem::Large, ..Encoder::default() };
        assert_eq!(encoder_counts(keras.clone()).1, 23_587_712);
        let head = Architecture::Contrastive { colours: 3, encoder: keras, head: vec![256, 128, 50] };
        assert_eq!(counts(&head).1, 24_151_602);
        // The reference's supervised model.
        let encoder = Encoder { n: 2, final_norm: true, ..Encoder::default() };
        assert_eq!(counts(&Architecture::Classifier { colours: 3, encoder, classes: 10 }).1, 575_114);
        // torchvision 0.x: 11,689,512 and 25,557,032 with their 1000-class layers; solo-learn: 11,168,832 with a 3x3
        // stem.
        let with = |kind, stem| Encoder { kind, stem, ..Encoder::default() };
        assert_eq!(encoder_counts(with(EncoderKind::Resnet18, Stem::Large)).0, 11_689_512 - 513_000);
        assert_eq!(encoder_counts(with(EncoderKind::Resnet18, Stem::Small)).0, 11_168_832);
        assert_eq!(encoder_counts(with(EncoderKind::Resnet50, Stem::Large)).0, 25_557_032 - 2_049_000);
    }

    #[test]
    fn levels_have_their_names_and_sizes() -> Result<()> {
        let encoder = Encoder { n: 1, width: 0.25, ..Encoder::default() };
        let images = Tensor::ones((2, 16, 16, 3), candle_core::DType::F32, &Device::Cpu)?;
        let shapes = |architecture: Architecture, pool| -> Result<Vec<(String, Vec<usize>)>> {
            let (network, _) = architecture.build(0, &Device::Cpu)?;
            let levels = network.levels(&images, pool)?;
            Ok(levels.into_iter().map(|(name, tensor)| (name, tensor.dims().to_vec())).collect())
        };
        let named = |list: &[(&str, usize)]| -> Vec<(String, Vec<usize>)> {
            list.iter().map(|&(name, size)| (name.to_owned(), vec![2, size])).collect()
        };
        let head = vec![32, 16, 8];
        let contrastive = Architecture::Contrastive { colours: 3, encoder: encoder.clone(), head };
        assert_eq!(shapes(contrastive, Pool::Mean)?, named(&[("p3", 64), ("p2", 32), ("p1", 16)]));
        let classifier = Architecture::Classifier { colours: 3, encoder, classes: 10 };
        assert_eq!(shapes(classifier, Pool::Mean)?, named(&[("p3", 64)]));
        let (channels, bn_momentum) = (vec![4, 6], 0.1);
        let autoencoder = Architecture::Autoencoder { colours: 3, channels, kernel: 3, bn_momentum };
        assert_eq!(shapes(autoencoder.clone(), Pool::Mean)?, named(&[("latent", 6)]));
        assert_eq!(shapes(autoencoder, Pool::Flatten)?, named(&[("latent", 6 * 16)]));
        Ok(())
    }

    #[test]
    fn a_network_is_rebuilt_from_json_and_tensors() -> Result<()> {
        let encoder = Encoder { n: 1, width: 0.25, ..Encoder::default() }.resolved([16, 16]);
        let architecture = Architecture::Contrastive { colours: 3, encoder, head: vec![8, 4] };
        let (network, params) = architecture.build(5, &Device::Cpu)?;
        let json = serde_json::to_string(&architecture).expect("serialises");
        let again: Architecture = serde_json::from_str(&json).expect("deserialises");
        assert_eq!(again, architecture);
        let (rebuilt, _) = again.load(&params.to_tensors()?, &Device::Cpu)?;
        let images = Tensor::ones((1, 16, 16, 3), candle_core::DType::F32, &Device::Cpu)?;
        for ((_, a), (_, b)) in network.levels(&images, Pool::Mean)?.iter().zip(rebuilt.levels(&images, Pool::Mean)?) {
            assert_eq!(a.to_vec2::<f32>()?, b.to_vec2::<f32>()?);
        }
        Ok(())
    }
}
