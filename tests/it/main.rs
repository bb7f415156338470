//! The one integration binary: each module proves one kind of behaviour from outside.

mod all_kinds;
mod cache;
mod cli;
mod compare;
mod diverged;
mod engine;
mod errors;
mod faults;
mod floors;
mod fuzz;
mod idle;
#[cfg(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod io_errors;
mod pipelines;
mod price;
mod reference_augment;
mod reference_cluster;
mod reference_losses;
mod reference_nn;
mod reference_probe;
mod reference_statistics;
mod reference_tsne;
mod report;
mod resume;
mod scheduling;
mod search;
mod seeds;
mod status_lines;
mod support;
mod sweeps;
mod toys;
mod trackers;
mod training_stages;
mod unrolled;
mod upkeep;
mod watch;
