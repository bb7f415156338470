//! `strata runs`: the runs of a pipeline file, or of all.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use serde::Serialize;

use super::{
    Console, Failure,
    args::{CacheArgs, Format},
};
use crate::{
    amount::duration,
    experiment::is_of,
    report::one_line,
    results::{Align, Grid},
    store::{Run, RunId, RunStatus, Store},
};

/// List the runs of a pipeline file, or of all in the cache, newest first: when, with what arguments, how they ended
#[derive(clap::Args)]
pub(super) struct Args {
    /// The pipeline file [default: all that have runs in the cache]
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
    #[command(flatten)]
    cache: CacheArgs,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Serialize)]
struct Document<'a> {
    runs: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a RunId,
    pipeline: &'a str,
    file: &'a str,
    arguments: &'a [String],
    started: &'a str,
    /// Wall-clock seconds; `None` if it has not ended, or nobody knows when.
    seconds: Option<f64>,
    status: RunStatus,
    /// The number of instances for each status word, so far.
    counts: BTreeMap<String, usize>,
}

impl<'a> Line<'a> {
    fn of(run: &'a Run, store: &Store) -> Result<Self, Failure> {
        let counts = match &run.end {
            Some(end) if end.message.is_none() => end.counts.clone(),
            _ => store.run_outcomes(run)?.into_values().fold(BTreeMap::new(), |mut counts, outcome| {
                *counts.entry(outcome.status).or_default() += 1;
                counts
            }),
        };
        let record = &run.record;
        Ok(Self {
            id: &record.id,
            pipeline: &record.pipeline,
            file: &record.file,
            arguments: &record.arguments,
            started: &record.started,
            seconds: run.end.as_ref().map(|end| end.seconds),
            status: run.status,
            counts,
        })
    }

    /// `2 ran, 3 cached`.
    fn counted(&self) -> String {
        let some = self.counts.iter().filter(|(_, count)| **count > 0);
        some.map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
    }
}

impl Args {
    /// Prints the list.
    pub(super) fn execute(&self, console: &Console) -> Result<ExitCode, Failure> {
        let store = match &self.file {
            Some(file) => self.cache.store(file),
            None => self.cache.open_here()?,
        };
        let all = store.runs()?;
        for passed in &all.passed_over {
            console.remark(&format!("warning: {passed}"));
        }
        let wanted = all.runs.iter().filter(|run| self.file.as_ref().is_none_or(|file| is_of(run, file)));
        let runs = wanted.map(|run| Line::of(run, &store)).collect::<Result<Vec<_>, _>>()?;
        match self.output {
            Format::Json => console.json(&Document { runs })?,
            Format::Text if runs.is_empty() => {
                let of = self.file.as_ref().map(|file| format!(" of {}", file.display())).unwrap_or_default();
                console.note(&format!("{} holds no run{of}", store.place()));
            }
            format => console.grid(&grid(&runs, format), format)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn grid(runs: &[Line<'_>], format: Format) -> Grid {
    let people = format != Format::Csv;
    let left = |header: &'static str| (header, Align::Left);
    let columns =
        [left("run"), left("started"), left("status"), ("seconds", Align::Right), left("instances"), left("arguments")];
    let mut grid = Grid::new(columns);
    for run in runs {
        let words = run.arguments.iter().map(String::as_str);
        let typed = shlex::try_join(words).unwrap_or_default();
        // A program that uses the library has no arguments, so the file says what ran.
        let typed = if typed.is_empty() { run.file.to_owned() } else { typed };
        let started = run.started.split('.').next().unwrap_or_default().replace('T', " ");
        let seconds = run.seconds.map(|seconds| if people { duration(seconds) } else { seconds.to_string() });
        grid.push(vec![
            run.id.to_string(),
            if people { started } else { run.started.to_owned() },
            run.status.word().to_owned(),
            seconds.unwrap_or_default(),
            run.counted(),
            one_line(&typed).into_owned(),
        ]);
    }
    grid
}
