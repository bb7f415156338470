//! Arguments that several verbs share: each flag has one meaning everywhere.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anstyle::AnsiColor;
use bytesize::ByteSize;
use clap::{ValueEnum, builder::Styles};

use super::Failure;
use crate::{
    experiment::{Changes, Experiment, Request},
    pipeline::project_root,
    stage::{DeviceId, Registry},
    store::Store,
    threads,
};

/// The colours of help texts, as in cargo.
pub(super) const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// The pipeline that a verb works on.
#[derive(Clone, clap::Args)]
pub(super) struct PipelineArgs {
    /// The pipeline file
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: PathBuf,
    /// Set a parameter; several values (a,b,c or range(1,5)) make an axis of the sweep
    #[arg(short = 'S', long = "set", value_name = "STAGE.PARAM=VALUE", allow_hyphen_values = true)]
    pub set: Vec<String>,
    /// The sweep to use, one of `[sweep.NAME]` [default: the plain `[sweep]`]
    #[arg(long, value_name = "NAME")]
    pub sweep: Option<String>,
    /// The variants to use; `base` is the unmodified graph, and `none` is that alone, unmarked [default: all]
    #[arg(long, value_name = "NAME[,NAME]")]
    pub variant: Option<String>,
    /// Repeat the sweep over this many seeds, instead of the file's `seeds`; if the file has none, everything varies
    /// except the data
    #[arg(long, value_name = "N")]
    pub seeds: Option<usize>,
}

impl PipelineArgs {
    /// A pipeline file as it is, without changes.
    pub(super) fn plain(file: PathBuf) -> Self {
        Self { file, set: Vec::new(), sweep: None, variant: None, seeds: None }
    }

    /// The changes to the pipeline that the arguments ask for.
    pub(super) fn changes(&self) -> Changes {
        let Self { set, sweep, variant, seeds, .. } = self.clone();
        Changes { set, sweep, variant, seeds }
    }

    /// The same file with other changes.
    pub(super) fn with(&self, changes: &Changes) -> Self {
        let Changes { set, sweep, variant, seeds } = changes.clone();
        Self { file: self.file.clone(), set, sweep, variant, seeds }
    }

    /// The experiment, with its results in the default cache.
    pub(super) fn experiment(&self, registry: &Registry) -> Result<Experiment, Failure> {
        let experiment = Experiment::open(&self.file)?.kinds(registry.clone());
        Ok(experiment.with_changes(self.changes()))
    }

    /// The command line that runs these targets with the same pipeline arguments.
    pub(super) fn run(&self, targets: &[&str]) -> String {
        let file = self.file.to_string_lossy();
        let mut words = vec!["strata", "run", &file];
        words.extend(targets);
        let changes = self.changes().words();
        words.extend(changes.iter().map(String::as_str));
        shlex::try_join(words).unwrap_or_else(|_| format!("strata run {file}"))
    }
}

/// The cache.
#[derive(clap::Args)]
pub(super) struct CacheArgs {
    /// The cache folder; by default `cache/` in the project
    #[arg(long, value_name = "DIR", env = "STRATA_CACHE_DIR", hide_env_values = true, value_hint = clap::ValueHint::DirPath)]
    cache_dir: Option<PathBuf>,
}

impl CacheArgs {
    /// The experiment, with its results in this cache.
    pub(super) fn experiment(&self, pipeline: &PipelineArgs, registry: &Registry) -> Result<Experiment, Failure> {
        Ok(self.keep(pipeline.experiment(registry)?))
    }

    /// The experiment, with its results in this cache.
    pub(super) fn keep(&self, experiment: Experiment) -> Experiment {
        match self.chosen() {
            Some(folder) => experiment.cache(folder),
            None => experiment,
        }
    }

    /// The cache of a pipeline file, which need not exist.
    pub(super) fn store(&self, file: &Path) -> Store {
        Store::open(self.chosen().cloned().unwrap_or_else(|| project_root(file).join("cache")))
    }

    fn chosen(&self) -> Option<&PathBuf> {
        self.cache_dir.as_ref().filter(|folder| !folder.as_os_str().is_empty())
    }

    /// The cache of the project that the current folder belongs to. It must exist.
    pub(super) fn open_here(&self) -> Result<Store, Failure> {
        let default = || project_root(Path::new("pipeline.toml")).join("cache");
        let store = Store::open(self.chosen().cloned().unwrap_or_else(default));
        if store.is_there()? {
            return Ok(store);
        }
        let here = std::env::current_dir().unwrap_or_default();
        let above = here.ancestors().map(|folder| folder.join("cache"));
        let known = above
            .filter(|folder| Some(folder.as_path()) != store.root())
            .find(|folder| folder.join("CACHEDIR.TAG").exists());
        let help = match known {
            Some(known) => format!("there is one at {}: `--cache-dir {}`", known.display(), known.display()),
            None => "a run makes it; `--cache-dir DIR` names another".to_owned(),
        };
        Err(Failure::Usage(format!("there is no cache at {}; {help}", store.place())))
    }
}

/// Which instances of a pipeline to run.
#[derive(clap::Args)]
pub(super) struct SelectArgs {
    /// Stages or instances to make, with everything that they depend on [default: all]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Stop after this stage
    #[arg(long, value_name = "STAGE")]
    until: Vec<String>,
    /// Run the targets (or everything) even if their results are cached
    #[arg(short, long)]
    pub force: bool,
}

impl SelectArgs {
    /// The request for these instances.
    pub(super) fn request(&self) -> Request {
        Request { targets: self.targets.clone(), until: self.until.clone(), ..Request::default() }
    }
}

/// How work is run.
#[derive(clap::Args)]
pub(super) struct WorkArgs {
    /// How many instances may run at the same time
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    pub jobs: usize,
    /// Threads of each running instance [default: all cores, shared by the jobs]; results do not depend on it
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    threads: Option<usize>,
    /// Memory of all running instances together (`8GiB`), going by the `needs` of stages [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<ByteSize>,
    /// After a failure, continue with what does not depend on it
    #[arg(short, long)]
    pub keep_going: bool,
    /// Stop after this time (`90min`, `2h`) as if interrupted: running stages save their states
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub budget: Option<Duration>,
    /// Time between two saved states of a training
    #[arg(long, value_name = "TIME", default_value = "1min", value_parser = time)]
    pub save_every: Duration,
    /// The device to compute on: `cpu`, `cuda`, `cuda:N`, or several GPUs (`cuda:0,cuda:1`) that the instances share
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_delimiter = ',')]
    device: Vec<DeviceId>,
}

impl WorkArgs {
    /// Threads of each running instance.
    pub(super) fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| (threads::cores() / self.jobs).max(1))
    }

    /// Bytes of memory of all running instances together.
    pub(super) fn memory(&self) -> u64 {
        self.memory.map_or(u64::MAX, |size| size.as_u64())
    }

    /// The devices, after checking that each can be opened and none is named twice.
    pub(super) fn devices(&self) -> Result<Vec<DeviceId>, Failure> {
        for (at, device) in self.device.iter().enumerate() {
            if self.device[..at].contains(device) {
                return Err(Failure::Usage(format!("`--device` names {device} twice")));
            }
            device.open().map_err(|error| Failure::Usage(error.to_string()))?;
        }
        if self.device.len() > 1 && self.device.contains(&DeviceId::Cpu) {
            return Err(Failure::Usage("`--device` takes the CPU or GPUs, not both".to_owned()));
        }
        Ok(self.device.clone())
    }
}

/// Parses a size. The unit is required, because a bare number is easily misread.
pub(super) fn size(text: &str) -> Result<ByteSize, String> {
    if text.trim().bytes().all(|c| c.is_ascii_digit() || c == b'.') && text.parse::<u64>() != Ok(0) {
        return Err(format!("a unit is needed: `{text}GiB`, `{text}MB`, or `{text}B` for bytes"));
    }
    text.parse().map_err(|_| "a size is a number and its unit: `20GB`, `500MiB`".to_owned())
}

/// Parses a length of time with its unit.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "a time is a number and its unit: `90s`, `30min`, `2h`".to_owned())
}

/// Parses a count of at least 1.
pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "must be a whole number, at least 1".to_owned())
}

/// The words of the command line after a verb, as typed.
pub(super) fn typed(verb: &str) -> Vec<String> {
    let words = std::env::args_os().skip(1).skip_while(|word| word != verb).skip(1);
    words.map(|word| word.to_string_lossy().into_owned()).collect()
}

/// The format of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Text,
    /// For scripts
    Json,
    /// For spreadsheets
    Csv,
    /// For issues and notes
    Markdown,
    /// For papers: a `tabular` with the rules of `booktabs`
    Latex,
}

/// The format of output that is not a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum TextOrJson {
    /// For people
    #[default]
    Text,
    /// For scripts
    Json,
}
