//! The one integration binary: each module proves one kind of behaviour from outside.

mod all_kinds;
mod cache;
mod cli;
mod engine;
mod errors;
mod faults;
mod floors;
mod fuzz;
mod pipelines;
mod reference_augment;
mod reference_cluster;
mod reference_nn;
mod resume;
mod status_lines;
mod support;
mod sweeps;
mod toys;
mod training_stages;
mod unrolled;
mod upkeep;
