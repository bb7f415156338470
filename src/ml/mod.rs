//! The machine learning: data sources, networks, losses, optimisers and the training loop.
//!
//! Nothing here knows a pipeline file, a cache or a terminal. Read `data` and `augment`, then `nn` with `kernels`,
//! `loss` and `optim`, then `train`, which brings them together. `features`, `cluster`, `sampler`, `probe`, `metric`
//! and `tsne` work on the features that a trained network gives. `files` reads tensors that other programs wrote. Activations are channels-last, `[N, H, W, C]`;
//! convolution weights are stored as in PyTorch, `[out, in, height, width]`.

pub mod augment;
pub mod cluster;
pub mod data;
mod error;
pub mod features;
pub mod files;
pub mod finite;
pub mod init;
pub mod kernels;
pub mod loss;
pub mod metric;
pub mod nn;
pub mod noise;
pub mod optim;
pub mod pca;
pub mod probe;
pub mod rng;
pub mod sampler;
pub mod schedule;
pub mod stop;
pub mod train;
pub mod tsne;

pub use error::{Error, Result};
