//! The command line. Everything lies in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    strata::cli::main(&strata::stages::registry())
}
