//! `strata serve`: the page of a cache, live while something runs.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use super::{
    Console, Failure,
    args::{CacheArgs, PipelineArgs},
    report,
};
use crate::{
    experiment::Experiment,
    run,
    serve::{Reports, ServeError, Server, Site},
    stage::Registry,
    store::{Run, Store},
};

/// Serve a page on 127.0.0.1 with the runs, results and reports of a cache, live while something runs
///
/// The page is read-only: neither it nor this command ever writes to the cache. Ctrl-C ends it.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Show only the runs of this pipeline file, and use the cache of its project
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// The port; 0 takes any that is free [default: 7423, or any that is free]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    #[command(flatten)]
    cache: CacheArgs,
}

impl Args {
    /// Serves until it is interrupted.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let store = match &self.file {
            Some(file) => self.cache.experiment(&PipelineArgs::plain(file), registry)?.store(),
            None => self.cache.open_here()?,
        };
        let file = self.file.as_ref().map(|file| file.canonicalize()).transpose()?;
        let stop = run::stop_flag()?;
        let server = Server::listen(self.port)?;
        let reports = reports(&store, registry);
        console.print(&format!("{}\n", server.address()))?;
        console.remark("Ctrl-C ends it");
        server.serve(&Site::new(store, registry.clone(), file, reports), &stop)?;
        Ok(ExitCode::SUCCESS)
    }
}
