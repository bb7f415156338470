//! `table --history`: every result that the cache holds of a pipeline, whatever run made it.

use std::{collections::BTreeMap, process::ExitCode};

use serde::Serialize;

use super::{Args, show_tables};
use crate::{
    cli::{Console, Failure, args::Format, look::Look},
    graph::Graph,
    results::{Described, PastRow},
};

#[derive(Serialize)]
struct Document<'a> {
    rows: &'a [PastRow],
    /// The descriptions of the metrics by their kinds.
    metrics: BTreeMap<&'a str, Described<'a>>,
}

impl Args {
    /// Prints the history.
    pub(super) fn show_history(&self, look: &Look, graph: &Graph<'_>, console: &Console) -> Result<ExitCode, Failure> {
        if look.run.is_some() {
            let why = "`--history` is about all runs";
            return Err(Failure::Usage(format!("{why}, so `--run` cannot be given too")));
        }
        let complain = &mut |words: String| console.remark(&format!("warning: {words}"));
        let past = look.experiment.past(graph, complain)?.only(&self.targets)?;
        if self.curves {
            return self
                .show_curves(past.curves().map(|(name, key, series)| (name, Some(key), series)).collect(), console);
        }
        let past = past.with_numbers();
        let sort = self.sort(graph);
        let past = sort.as_ref().map_or_else(|| Ok(None), |sort| past.clone().sorted(sort).map(Some))?.unwrap_or(past);
        let past = self.top.map(|most| past.clone().top(most)).unwrap_or(past);
        let unsorted = past.rows().iter().filter(|row| sort.as_ref().is_some_and(|sort| !row.has(sort))).count();
        match self.output {
            Format::Json => console.json(&Document { rows: past.rows(), metrics: past.described() })?,
            Format::Csv => console.print(&past.flat().csv())?,
            format => {
                show_tables(past.tables(sort.as_ref(), console.verbose), format, console)?;
                if let (1.., Some(sort)) = (unsorted, &sort) {
                    let metric = &sort.metric;
                    console.remark(&format!("without `{metric}`, and so not shown: {unsorted} results"));
                }
            }
        }
        if past.rows().is_empty() && self.output != Format::Json {
            let run = look.pipeline.run(&[]);
            console.remark(&format!("the cache holds no result of this pipeline; `{run}` makes some"));
        }
        Ok(ExitCode::SUCCESS)
    }
}
