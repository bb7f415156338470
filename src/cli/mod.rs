//! The command line: one file for each verb, and what several share: `args`, `look` (a file or a run of it), `console` and
//! `failure`. A program can do all of it with the library.

mod args;
mod bench;
mod cache;
mod check;
mod compare;
mod completions;
mod console;
mod diff;
mod export;
mod failure;
mod graph;
mod init;
mod log;
mod look;
mod plan;
mod report;
mod run;
mod runs;
mod schema;
mod serve;
mod table;
mod trial;
mod watch;
mod why;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::{console::Console, failure::Failure};
use crate::stage::Registry;

/// Run machine-learning experiments that are declared in a file, never doing the same work twice
#[derive(Parser)]
#[command(name = "strata", version, propagate_version = true, max_term_width = 100, styles = args::STYLES)]
#[command(after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    console: console::Args,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done, or nothing to do
  1    a stage failed, or the system refused
  2    the command line or the pipeline file is wrong
  3    `plan --exit-code` found work to do
  130  interrupted";

#[derive(Subcommand)]
enum Verb {
    Run(run::Args),
    Runs(runs::Args),
    Plan(plan::Args),
    Why(why::Args),
    Check(check::Args),
    Graph(graph::Args),
    Watch(watch::Args),
    Table(table::Args),
    Diff(diff::Args),
    Compare(compare::Args),
    Report(report::Args),
    Export(export::Args),
    Cache(cache::Args),
    Bench(bench::Args),
    Schema(schema::Args),
    Log(log::Args),
    Serve(serve::Args),
    Try(trial::Args),
    Init(init::Args),
    Completions(completions::Args),
}

/// Parses the command line, runs its verb with the kinds of `registry`, and returns the exit code.
#[must_use]
pub fn main(registry: &Registry) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` arrives here too; it goes to standard output, and is not a failure.
            let code = u8::try_from(error.exit_code()).unwrap_or(failure::WRONG);
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let console = Console::new(&cli.console);
    let done = match &cli.verb {
        Verb::Run(args) => args.execute(registry, &console),
        Verb::Runs(args) => args.execute(&console),
        Verb::Plan(args) => args.execute(registry, &console),
        Verb::Why(args) => args.execute(registry, &console),
        Verb::Check(args) => args.execute(registry, &console),
        Verb::Graph(args) => args.execute(registry, &console),
        Verb::Watch(args) => args.execute(registry, &console),
        Verb::Table(args) => args.execute(registry, &console),
        Verb::Diff(args) => args.execute(registry, &console),
        Verb::Compare(args) => args.execute(registry, &console),
        Verb::Report(args) => args.execute(registry, &console),
        Verb::Export(args) => args.execute(registry, &console),
        Verb::Cache(args) => args.execute(registry, &console),
        Verb::Bench(args) => args.execute(&console),
        Verb::Schema(args) => args.execute(registry, &console),
        Verb::Try(args) => args.execute(registry, &console),
        Verb::Log(args) => args.execute(registry, &console),
        Verb::Serve(args) => args.execute(registry, &console),
        Verb::Init(args) => args.execute(&console),
        Verb::Completions(args) => args.execute(&console),
    };
    done.unwrap_or_else(|failure| failure.report(&console))
}
