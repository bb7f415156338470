//! `strata completions`: print completions for shells.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Console, Failure};

/// Print the completions for a shell
#[derive(clap::Args)]
#[command(after_help = "For example: strata completions bash > ~/.local/share/bash-completion/completions/strata")]
pub(super) struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Args {
    /// Prints the script.
    pub(super) fn execute(&self, console: &Console) -> Result<ExitCode, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "strata", &mut script);
        console.print(&String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}
