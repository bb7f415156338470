//! `strata serve`: the page of a cache, live while something runs.

use std::{path::PathBuf, process::ExitCode};

use super::{
    Console, Failure,
    args::{CacheArgs, PipelineArgs},
    report,
};
use crate::{
    experiment::Experiment,
    run::signals::stop_flag,
    serve::{Reports, ServeError, Server, Site},
    stage::Registry,
    store::{Run, Store},
};

/// Serve a page on 127.0.0.1 with the runs, results and reports of a cache, live while something runs
///
/// The page is read-only: neither it nor this command writes to the cache. Ctrl-C ends it.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Show only this pipeline file, from the cache of its project
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// The port; 0 takes any that is free [default: 7423, or any that is free if that is taken]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    #[command(flatten)]
    cache: CacheArgs,
}

impl Args {
    /// Serves until it is interrupted.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let store = match &self.file {
            Some(file) if !file.is_file() => {
                return Err(Failure::Usage(format!("there is no file {}", file.display())));
            }
            Some(file) => self.cache.store(file),
            None => self.cache.open_here()?,
        };
        let stop = stop_flag()?;
        let server = Server::listen(self.port)?;
        let site = Site::new(store.clone(), registry.clone(), self.file.clone(), reports(store, registry.clone()));
        console.print(&format!("{}\n", server.address()))?;
        console.remark("Ctrl-C ends it");
        server.serve(site, &stop)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Listen { .. } => Self::Usage(error.to_string()),
            ServeError::Accept(_) => Self::Failed(error.to_string()),
        }
    }
}

/// Makes the report of a run from the results that are in the cache.
fn reports(store: Store, registry: Registry) -> Reports {
    let make = move |run: &Run| -> Result<String, Failure> {
        let experiment = Experiment::of_run(run.file(), run, &store)?.kinds(registry.clone());
        let experiment = match store.root() {
            Some(root) => experiment.cache(root),
            None => experiment,
        };
        Ok(report::page(&experiment, &PipelineArgs::plain(run.file()).with(&run.record.changes))?.html())
    };
    Box::new(move |run| make(run).map_err(|failure| failure.to_string()))
}
