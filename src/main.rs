//! The command line. Everything lies in the library.

use std::process::ExitCode;

/// A training step frees and allocates the same large blocks again and again; this allocator keeps their pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    strata::ml::kernels::prepare_allocator();
    strata::cli::main(&strata::stages::registry())
}
