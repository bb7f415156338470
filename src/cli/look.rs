//! What a verb looks at: a pipeline as its file and the arguments have it now, or a run of it as it was.

use std::{path::Path, str::FromStr};

use super::{
    Console, Failure,
    args::{CacheArgs, PipelineArgs},
};
use crate::{
    experiment::{Experiment, is_of, last_run_of},
    stage::Registry,
    store::{Run, RunId, Store},
};

/// A pipeline, a cache, and perhaps a run.
#[derive(clap::Args)]
pub(super) struct LookArgs {
    #[command(flatten)]
    pub pipeline: PipelineArgs,
    #[command(flatten)]
    pub cache: CacheArgs,
    /// Look at this run as it was, whatever the file and the data are now: an id from `strata runs`, or `last`
    #[arg(long, value_name = "ID")]
    run: Option<Which>,
}

/// A run on the command line.
#[derive(Clone, Debug)]
pub(super) enum Which {
    /// The last run of the file.
    Last,
    /// The run with this id.
    Id(RunId),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "last" => Ok(Self::Last),
            id => id.parse().map(Self::Id).map_err(|error| format!("{error}; `last` is the last run of the file")),
        }
    }
}

/// What a verb looks at.
pub(super) struct Look {
    pub experiment: Experiment,
    /// The arguments that show it again: the run's arguments, if a run is looked at.
    pub pipeline: PipelineArgs,
    /// The run, if this is a look at one as it was.
    pub run: Option<RunId>,
}

impl LookArgs {
    /// Opens what is looked at.
    pub(super) fn open(&self, registry: &Registry, console: &Console) -> Result<Look, Failure> {
        open(self.run.as_ref(), &self.pipeline, &self.cache, registry, console)
    }
}

/// Opens a run, or the pipeline as it is now. If the last run of the file had other arguments, says so.
pub(super) fn open(
    run: Option<&Which>,
    pipeline: &PipelineArgs,
    cache: &CacheArgs,
    registry: &Registry,
    console: &Console,
) -> Result<Look, Failure> {
    let Some(which) = run else {
        let experiment = cache.experiment(pipeline, registry)?;
        forgotten(&experiment, &pipeline.file, console);
        return Ok(Look { experiment, pipeline: pipeline.clone(), run: None });
    };
    seen(which, pipeline, cache, registry, console)
}

/// Opens a run of a pipeline file as it was.
pub(super) fn seen(
    which: &Which,
    pipeline: &PipelineArgs,
    cache: &CacheArgs,
    registry: &Registry,
    console: &Console,
) -> Result<Look, Failure> {
    let changes = pipeline.changes().words();
    if let Some(flag) = changes.first() {
        let why = "`--run` shows a run as it was, and that has arguments of its own";
        return Err(Failure::Usage(format!("{why}, so `{flag}` cannot be given too")));
    }
    let store = cache.store(&pipeline.file);
    let run = find(which, &pipeline.file, &store, console)?;
    let experiment = Experiment::of_run(&pipeline.file, &run, &store)?.kinds(registry.clone());
    let (experiment, pipeline) = (cache.keep(experiment), pipeline.with(&run.record.changes));
    Ok(Look { experiment, pipeline, run: Some(run.record.id) })
}

/// Finds a run of a pipeline file.
fn find(which: &Which, file: &Path, store: &Store, console: &Console) -> Result<Run, Failure> {
    let shown = file.display();
    let complain = &mut |words: String| console.remark(&format!("warning: {words}"));
    match which {
        Which::Last => {
            let run = last_run_of(file, store, complain)?;
            run.ok_or_else(|| Failure::Usage(format!("{} holds no run of {shown}", store.place())))
        }
        Which::Id(id) => {
            let run = store.run(id).map_err(|passed| Failure::Failed(passed.to_string()))?;
            let list = format!("`strata runs {shown}` lists the runs of the file");
            let run =
                run.ok_or_else(|| Failure::Usage(format!("there is no run {id} in {}; {list}", store.place())))?;
            if is_of(&run, file) {
                return Ok(run);
            }
            let other = run.file();
            Err(Failure::Usage(format!("run {id} is one of {}; {list}", other.display())))
        }
    }
}

/// Says in one line that the last run of the file had other arguments, if it had.
fn forgotten(experiment: &Experiment, file: &Path, console: &Console) {
    let complain = &mut |words: String| console.remark(&format!("warning: {words}"));
    // What is asked for does not need the records.
    if let Ok(Some((run, false))) = experiment.last_run(complain) {
        let words = run.record.changes.words();
        let had = match shlex::try_join(words.iter().map(String::as_str)) {
            _ if words.is_empty() => "no such arguments".to_owned(),
            Ok(words) => format!("`{words}`"),
            Err(_) => "other arguments".to_owned(),
        };
        console.remark(&format!("note: the last run of {} had {had}; `--run last` shows its results", file.display()));
    }
}
