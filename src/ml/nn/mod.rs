//! Networks: encoders, projection heads, the denoising autoencoder, and the description they are rebuilt from.
//!
//! A network is an [`Architecture`] (small, serialisable) and named tensors. All arithmetic goes through
//! [`kernels`](super::kernels). Read `layers` and `encoder`, then `resnet`, `head` and `autoencoder`, then
//! `architecture`; `names` says what other libraries call the same tensors.

mod architecture;
mod autoencoder;
mod encoder;
mod head;
mod layers;
#[cfg(test)]
mod loss_curve_test;
mod names;
mod resnet;
mod torch;

pub use architecture::{Architecture, Network, Pool};
pub use autoencoder::Autoencoder;
pub use encoder::{Encoder, EncoderKind, Padding, Stem, WeightInit};
pub use head::Head;
pub use layers::{BatchNorm, Conv2d, ConvBn, Linear, Mode};
pub use names::Names;
pub use resnet::ResNet;
