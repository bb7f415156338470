//! Toy kinds of stages, and a folder with a cache to plan and run them in.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strata::{
    diagnostic::Sources,
    graph::{Graph, InstanceId},
    pipeline,
    plan::{self, PlanStatus},
    run::{self, Event, Reporter, Status},
    stage::{
        Context, Foreseen, Foresight, Form, Inputs, Outputs, Port, Problems, Registry, Root, Source, Stage, StageError,
        StageKind,
    },
    store::{Artifact, Store},
};

pub const ONE: &[Form] = &[Form::Matrix];

/// A list of numbers, from the parameters or a file.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Numbers {
    /// The numbers.
    values: Vec<f64>,
    /// A file with one number a line, read instead.
    path: Option<String>,
    /// What changes the file after it was hashed: `once`, or `and back`.
    #[serde(skip_serializing_if = "Option::is_none")]
    meddle: Option<String>,
    /// Shows that a pipeline's seed arrives.
    seed: u64,
}

impl Stage for Numbers {
    const KIND: &'static str = "numbers";
    const VERSION: u32 = 1;
    const INPUTS: &'static [Port] = &[];
    const OUTPUTS: &'static [Port] = &[Port::new("out", ONE, "the numbers"), Port::optional("rest", ONE, "never made")];

    fn foresee(&self, _: &Foresight, _: &Path, _: &mut Problems) -> Foresight {
        Foresight::from([("out", Foreseen::rows(self.values.len()))])
    }

    fn sources(&self, root: &Path) -> Result<Vec<Source>, StageError> {
        let file = self.path.as_ref().map(|path| Root(root).resolve(path));
        Ok(file.map(|file| Source { param: "path", base: root.to_owned(), files: vec![file] }).into_iter().collect())
    }

    fn run(&self, _: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let mut values = self.values.clone();
        if let Some(path) = &self.path {
            let text = self.read(&cx.resolve(path)).map_err(|e| StageError::failed(e.to_string()))?;
            values = text.lines().filter_map(|line| line.parse().ok()).collect();
        }
        out(&values)
    }
}

impl Numbers {
    fn read(&self, path: &Path) -> std::io::Result<String> {
        let Some(how) = &self.meddle else { return std::fs::read_to_string(path) };
        let aside = path.with_extension("aside");
        if std::fs::read_to_string(path)? == "1\n" {
            std::fs::rename(path, &aside)?;
            std::fs::write(path, "2\n")?;
        }
        let text = std::fs::read_to_string(path)?;
        if how == "and back" {
            std::fs::rename(&aside, path)?;
        }
        Ok(text)
    }
}

/// Numbers, changed one by one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Map {
    /// Added to each.
    add: f64,
    /// Each is cut to this many decimals.
    decimals: i32,
    /// Fail instead.
    fail: bool,
}

impl Default for Map {
    fn default() -> Self {
        Self { add: 0.0, decimals: 6, fail: false }
    }
}

impl Stage for Map {
    const KIND: &'static str = "map";
    const VERSION: u32 = 1;
    const INPUTS: &'static [Port] = &[Port::new("in", ONE, "numbers")];
    const OUTPUTS: &'static [Port] = &[Port::new("out", ONE, "changed numbers")];

    fn check(&self, problems: &mut Problems) {
        problems.within("decimals", self.decimals.into(), 0.0, 9.0);
    }

    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        if self.fail {
            return Err(StageError::failed("told to fail"));
        }
        let values: Vec<f64> = inputs.at("in").tensor("x")?.to_vec1()?;
        let scale = 10f64.powi(self.decimals);
        let values: Vec<f64> = values.iter().map(|x| ((x + self.add) * scale).trunc() / scale).collect();
        cx.metric("sum", values.iter().sum());
        out(&values)
    }
}

fn out(values: &[f64]) -> Result<Outputs, StageError> {
    Ok(Outputs::new().with("out", Artifact::new().with("x", Tensor::new(values, &Device::Cpu)?)))
}

/// Works until there is a file, whoever asks it to stop.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Stubborn {
    /// The file.
    until: String,
}

impl Stage for Stubborn {
    const KIND: &'static str = "stubborn";
    const VERSION: u32 = 1;
    const INPUTS: &'static [Port] = &[];
    const OUTPUTS: &'static [Port] = &[Port::new("out", ONE, "nothing")];

    fn run(&self, _: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        while !cx.resolve(&self.until).exists() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        out(&[])
    }
}

pub fn registry() -> Registry {
    [StageKind::of::<Numbers>(), StageKind::of::<Map>(), StageKind::of::<Stubborn>()].into_iter().collect()
}

#[derive(Default)]
pub struct Started(pub Vec<String>);

impl Reporter for Started {
    fn event(&mut self, event: &Event) {
        if let Event::StageStarted { instance, .. } = event {
            self.0.push(instance.clone());
        }
    }
}

/// A folder with a cache, and ways to plan and run a text in it.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub sets: Vec<String>,
    pub force: bool,
    pub keep_going: bool,
    pub jobs: usize,
    pub targets: Vec<String>,
}

#[derive(Debug)]
pub struct Ran {
    /// Whose code ran, in order of their start.
    pub started: Vec<String>,
    /// All instances with what became of them.
    pub all: Vec<(String, Status)>,
    pub messages: Vec<String>,
}

impl Bench {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder, sets: Vec::new(), force: false, keep_going: false, jobs: 1, targets: Vec::new() }
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("toy.toml")
    }

    pub fn store(&self) -> Store {
        Store::open(self.folder.path().join("cache"))
    }

    pub fn with<T>(&self, text: &str, then: impl FnOnce(&Graph<'_>) -> T) -> T {
        let mut sources = Sources::default();
        sources.add("toy.toml", text);
        for set in &self.sets {
            sources.add("command line", set);
        }
        let (pipeline, found) = pipeline::parse(&sources, &self.file(), &registry());
        let graph = Graph::build(pipeline, found).unwrap_or_else(|found| {
            panic!("{}", found.iter().map(|d| d.render(&sources, false)).collect::<Vec<_>>().join("\n"))
        });
        then(&graph)
    }

    pub fn mistakes(&self, text: &str) -> Vec<String> {
        let mut sources = Sources::default();
        sources.add("toy.toml", text);
        for set in &self.sets {
            sources.add("command line", set);
        }
        let (pipeline, found) = pipeline::parse(&sources, &self.file(), &registry());
        let found = Graph::build(pipeline, found).err().unwrap_or_default();
        found
            .iter()
            .map(|d| {
                let place = sources.place(&d.span).expect("a place");
                let help = d.help.as_ref().map_or_else(String::new, |help| format!(" | {help}"));
                format!("{}:{}: {}{help}", place.line, place.column, d.message)
            })
            .collect()
    }

    pub fn options(&self) -> run::Options {
        run::Options {
            jobs: self.jobs,
            threads: 1,
            force: self.force,
            keep_going: self.keep_going,
            ..run::Options::default()
        }
    }

    pub fn run(&self, text: &str) -> Ran {
        self.with(text, |graph| {
            let options = self.options();
            let selection = graph.select(&self.targets).expect("targets are there");
            let mut started = Started::default();
            let report = run::run(graph, &selection, &self.store(), &options, &mut started).expect("the cache works");
            let name = |index: InstanceId| graph.instances[index].name.to_string();
            let all = report.outcomes.iter().map(|outcome| (name(outcome.index), outcome.status)).collect();
            let messages = report.outcomes.iter().filter_map(|outcome| outcome.message.clone()).collect();
            Ran { started: started.0, all, messages }
        })
    }

    /// Instances with their word and the words of their reason.
    pub fn plan(&self, text: &str) -> Vec<(String, PlanStatus, String)> {
        self.with(text, |graph| {
            let selection = graph.select(&self.targets).expect("targets are there");
            let plan = plan::plan(graph, &selection, &self.store(), self.force).expect("the cache can be read");
            let line = |stage: &plan::Planned| {
                let reason = stage.reason(graph).map_or_else(String::new, |reason| reason.to_string());
                (graph.instances[stage.index].name.to_string(), stage.status(), reason)
            };
            plan.stages.iter().map(line).collect()
        })
    }
}
