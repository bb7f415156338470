//! The one integration binary: each module proves one kind of behaviour from outside.

#![expect(unreachable_pub, reason = "modules of one program share what is public")]
#![expect(clippy::print_stdout, reason = "tests of random cases say which they drew")]

mod all_kinds;
mod browser;
mod cache;
mod careful_results;
mod cli;
mod compare;
mod dataset;
mod diverged;
mod engine;
mod errors;
mod failed_points;
mod faults;
mod floors;
mod fuzz;
mod fuzz_sweeps;
mod golden;
mod guarantees;
mod hidden;
mod history;
mod idle;
mod import;
#[cfg(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod io_errors;
mod kept_text;
mod layouts;
mod not_finite;
mod own_kind;
mod pipelines;
mod price;
mod programs;
mod programs_that_fail;
mod python_programs;
mod readers;
mod reference_augment;
mod reference_cluster;
mod reference_formats;
mod reference_losses;
mod reference_nn;
mod reference_probe;
mod reference_statistics;
mod reference_tsne;
mod remembered_names;
mod report;
mod resume;
mod runs;
mod scheduling;
mod search;
mod seeds;
mod serve;
mod serve_page;
mod signals;
mod status_lines;
mod support;
mod sweep_oracle;
mod sweep_targets;
mod sweeps;
mod tensor_files;
mod terminal;
mod threads;
mod torch_weights;
mod toys;
mod trackers;
mod training_stages;
mod trust;
mod unrolled;
mod upkeep;
mod watch;

#[cfg(not(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[test]
fn io_errors() {
    support::require::<()>(None, "Linux with glibc on x86-64 or ARM64, where single system calls can be failed");
}
