//! `strata report`: write one page with everything that the cache knows about a pipeline.

use std::{path::PathBuf, process::ExitCode};

use super::{
    Console, Failure,
    args::PipelineArgs,
    look::{Look, LookArgs},
};
use crate::{
    amount::bytes,
    experiment::Experiment,
    report::{files, page::Page, sections},
    results::{Catalogue, Results},
    search,
    stage::Registry,
};

/// Write one page with tables, curves, pictures and the graph: a single file, from cached results only
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    look: LookArgs,
    /// The file to write
    #[arg(short = 'o', long = "output-file", value_name = "FILE", default_value = "report.html", value_hint = clap::ValueHint::FilePath)]
    page: PathBuf,
}

impl Args {
    /// Writes the page.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let Look { experiment, pipeline, .. } = self.look.open(registry, console)?;
        let html = page(&experiment, &pipeline)?.html();
        files::write(&self.page, html.as_bytes())?;
        if !console.quiet {
            console.print(&format!("{} ({})\n", self.page.display(), bytes(html.len() as u64)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The page of an experiment, from what is in the cache.
pub(super) fn page(experiment: &Experiment, pipeline: &PipelineArgs) -> Result<Page, Failure> {
    let (graph, store) = (experiment.graph()?, experiment.store());
    let mut search = Vec::new();
    let all = graph.select(&[])?;
    let plan = search::plan(&graph, &all, &store, false, &mut |remark| search.push(remark.to_string()))?;
    if plan.cached().next().is_none() {
        return Err(Failure::Failed(format!("no results are cached; `{}` makes them", pipeline.run(&[]))));
    }
    let results = Results::new(&graph, plan.cached());
    let catalogue = Catalogue::new(&graph, &plan, &store, &results);
    Ok(sections::page(&catalogue, &pipeline.file, &pipeline.run(&[]), &search))
}
