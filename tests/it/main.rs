//! The one integration binary: each module proves one kind of behaviour from outside.

mod engine;
mod reference_augment;
mod reference_cluster;
mod reference_nn;
mod training_stages;
