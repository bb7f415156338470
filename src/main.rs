//! The `strata` program: it sets up the allocator and calls the command line of the library.

mod allocator;

use std::process::ExitCode;

fn main() -> ExitCode {
    allocator::prepare();
    strata::cli::main(&strata::stages::registry())
}
