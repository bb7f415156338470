//! Arguments that several verbs share: each flag has one meaning everywhere.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anstyle::AnsiColor;
use bytesize::ByteSize;
use candle_core::Device;
use clap::{ValueEnum, builder::Styles};

use super::Failure;
use crate::{
    engine::{Graph, Selection},
    pipeline::project_root,
    store::Store,
};

/// The colours of help texts, as those of cargo.
pub const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// The pipeline that a verb is about.
#[derive(Clone, clap::Args)]
pub struct PipelineArgs {
    /// The pipeline file
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: PathBuf,
    /// Set a parameter; several (a,b,c or range(1,5)) make an axis of the sweep
    #[arg(short = 'S', long = "set", value_name = "STAGE.PARAM=VALUE", allow_hyphen_values = true)]
    pub set: Vec<String>,
    /// The sweep to take, of those written `[sweep.NAME]` [default: the plain `[sweep]`]
    #[arg(long, value_name = "NAME")]
    pub sweep: Option<String>,
    /// The variants to take, `base` being the graph as it is; `none` for that alone, unmarked [default: all]
    #[arg(long, value_name = "NAME[,NAME]")]
    pub variant: Option<String>,
    /// How many seeds to repeat the sweep over, in place of the file's `seeds`; without those all varies but the data
    #[arg(long, value_name = "N")]
    pub seeds: Option<usize>,
}

impl PipelineArgs {
    /// The command line that runs these targets of the pipeline as it was given.
    pub fn run(&self, targets: &[&str]) -> String {
        let file = self.file.to_string_lossy();
        let mut words = vec!["strata", "run", &file];
        words.extend(targets);
        words.extend(self.set.iter().flat_map(|set| ["-S", set]));
        words.extend(self.sweep.iter().flat_map(|sweep| ["--sweep", sweep]));
        words.extend(self.variant.iter().flat_map(|variant| ["--variant", variant]));
        let seeds = self.seeds.map(|seeds| seeds.to_string());
        words.extend(seeds.iter().flat_map(|seeds| ["--seeds", seeds]));
        shlex::try_join(words).unwrap_or_else(|_| format!("strata run {file}"))
    }
}

/// The cache.
#[derive(clap::Args)]
pub struct CacheArgs {
    /// The cache folder; by default `cache/` in the project
    #[arg(long, value_name = "DIR", env = "STRATA_CACHE_DIR", hide_env_values = true, value_hint = clap::ValueHint::DirPath)]
    cache_dir: Option<PathBuf>,
}

impl CacheArgs {
    /// The cache of a project.
    pub fn open(&self, root: &Path) -> Store {
        let chosen = self.cache_dir.as_ref().filter(|folder| !folder.as_os_str().is_empty());
        Store::open(chosen.cloned().unwrap_or_else(|| root.join("cache")))
    }

    /// The cache of the project that the current folder belongs to, which must be there.
    pub fn open_here(&self) -> Result<Store, Failure> {
        let store = self.open(&project_root(Path::new("pipeline.toml")));
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

/// What of a pipeline is wanted.
#[derive(clap::Args)]
pub struct SelectArgs {
    /// Stages or instances to make, with all that they need [default: all]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Go no further than this stage
    #[arg(long, value_name = "STAGE")]
    until: Vec<String>,
    /// Run the targets (or everything) whatever the cache holds
    #[arg(short, long)]
    pub force: bool,
}

impl SelectArgs {
    /// The instances that are wanted.
    pub fn select(&self, graph: &Graph<'_>) -> Result<Selection, Failure> {
        let chosen = graph.select(&self.targets).map_err(Failure::Usage)?;
        if self.until.is_empty() {
            return Ok(chosen);
        }
        let until = graph.select(&self.until).map_err(Failure::Usage)?;
        let wanted = |index: &usize| chosen.all.binary_search(index).is_ok();
        Ok(Selection {
            targets: until.targets.into_iter().filter(wanted).collect(),
            all: until.all.into_iter().filter(wanted).collect(),
        })
    }
}

/// How work is done.
#[derive(clap::Args)]
pub struct WorkArgs {
    /// How many instances may run at one time
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    pub jobs: usize,
    /// Threads of each running instance [default: all cores, shared by the jobs]; results do not depend on it
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    threads: Option<usize>,
    /// Memory of all running instances together (`8GiB`), by what stages say they need [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<ByteSize>,
    /// After a failure, go on with what does not depend on it
    #[arg(short, long)]
    pub keep_going: bool,
    /// Stop after this time (`90min`, `2h`) as if interrupted: what runs saves its state
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub budget: Option<Duration>,
    /// Time between two saved states of a training
    #[arg(long, value_name = "TIME", default_value = "1min", value_parser = time)]
    pub save_every: Duration,
    /// Where tensors are computed: `cpu`, `cuda` or `cuda:N`
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = wanted_device)]
    device: Wanted,
}

impl WorkArgs {
    /// Threads of each running instance.
    pub fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| (cores() / self.jobs).max(1))
    }

    /// Bytes of memory of all running instances together.
    pub fn memory(&self) -> u64 {
        self.memory.map_or(u64::MAX, |size| size.as_u64())
    }

    /// The device, opened.
    pub fn device(&self) -> Result<Device, Failure> {
        match self.device {
            Wanted::Cpu => Ok(Device::Cpu),
            Wanted::Cuda(_) if !cfg!(feature = "cuda") => {
                let help = "build it with `cargo build --release --features cuda`";
                Err(Failure::Usage(format!("this strata was built without CUDA; {help}")))
            }
            Wanted::Cuda(ordinal) => Device::new_cuda(ordinal)
                .map_err(|error| Failure::Usage(format!("failed to open CUDA device {ordinal}: {error}"))),
        }
    }
}

/// A size with its unit: a bare number is too easily taken for one of another unit.
pub fn size(text: &str) -> Result<ByteSize, String> {
    if text.trim().bytes().all(|c| c.is_ascii_digit() || c == b'.') && text.parse::<u64>() != Ok(0) {
        return Err(format!("a unit is needed: `{text}GiB`, `{text}MB`, or `{text}B` for bytes"));
    }
    text.parse().map_err(|_| "a size is a number and its unit: `20GB`, `500MiB`".to_owned())
}

/// A length of time with its unit.
pub fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "a time is a number and its unit: `90s`, `30min`, `2h`".to_owned())
}

/// The number of cores.
#[expect(clippy::disallowed_methods, reason = "the one place that asks; results do not depend on it")]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Cpu,
    Cuda(usize),
}

fn wanted_device(text: &str) -> Result<Wanted, String> {
    let ordinal = match text {
        "cpu" => return Ok(Wanted::Cpu),
        "cuda" => Some(0),
        _ => text.strip_prefix("cuda:").and_then(|ordinal| ordinal.parse().ok()),
    };
    ordinal.map(Wanted::Cuda).ok_or_else(|| "devices are `cpu`, `cuda` and `cuda:N`".to_owned())
}

/// A count from 1.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "must be a whole number, at least 1".to_owned())
}

/// The form of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
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

/// The form of what is not a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TextOrJson {
    /// For people
    #[default]
    Text,
    /// For scripts
    Json,
}
