//! The engine with toy kinds: what is planned, what runs, and what stays cached.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strata::{
    diagnostic::Sources,
    engine::{self, Event, Graph, Reporter, Status, plan::PlanStatus},
    pipeline,
    stage::{
        Context, Form, Inputs, Outputs, Port, Problems, Registry, Root, Rows, Source, Stage, StageError, StageKind,
    },
    store::{Artifact, Store},
};

const ONE: &[Form] = &[Form::Matrix];

/// A list of numbers, from the parameters or a file.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Numbers {
    /// The numbers.
    values: Vec<f64>,
    /// A file with one number a line, read instead.
    path: Option<String>,
    /// Shows that a pipeline's seed arrives.
    seed: u64,
}

impl Stage for Numbers {
    const KIND: &'static str = "numbers";
    const VERSION: u32 = 1;
    const INPUTS: &'static [Port] = &[];
    const OUTPUTS: &'static [Port] = &[Port::new("out", ONE, "the numbers"), Port::optional("rest", ONE, "never made")];

    fn rows(&self, _: &Rows, _: &Path, _: &mut Problems) -> Rows {
        Rows::from([("out", self.values.len())])
    }

    fn sources(&self, root: &Path) -> Result<Vec<Source>, StageError> {
        let file = self.path.as_ref().map(|path| Root(root).resolve(path));
        Ok(file.map(|file| Source { param: "path", base: root.to_owned(), files: vec![file] }).into_iter().collect())
    }

    fn run(&self, _: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let mut values = self.values.clone();
        if let Some(path) = &self.path {
            let text = std::fs::read_to_string(cx.resolve(path)).map_err(|e| StageError::failed(e.to_string()))?;
            values = text.lines().filter_map(|line| line.parse().ok()).collect();
        }
        out(&values)
    }
}

/// Numbers, changed one by one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Map {
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

fn registry() -> Registry {
    [StageKind::of::<Numbers>(), StageKind::of::<Map>()].into_iter().collect()
}

#[derive(Default)]
struct Started(Vec<String>);

impl Reporter for Started {
    fn event(&mut self, event: &Event) {
        if let Event::StageStarted { instance, .. } = event {
            self.0.push(instance.clone());
        }
    }
}

/// A folder with a cache, and ways to plan and run a text in it.
struct Bench {
    folder: tempfile::TempDir,
    sets: Vec<String>,
    force: bool,
    keep_going: bool,
    jobs: usize,
    targets: Vec<String>,
}

struct Ran {
    /// Whose code ran, in order of their start.
    started: Vec<String>,
    /// All instances with what became of them.
    all: Vec<(String, Status)>,
    messages: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder, sets: Vec::new(), force: false, keep_going: false, jobs: 1, targets: Vec::new() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("toy.toml")
    }

    fn store(&self) -> Store {
        Store::open(self.folder.path().join("cache"))
    }

    fn with<T>(&self, text: &str, then: impl FnOnce(&Graph<'_>) -> T) -> T {
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

    fn mistakes(&self, text: &str) -> Vec<String> {
        let mut sources = Sources::default();
        sources.add("toy.toml", text);
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

    fn run(&self, text: &str) -> Ran {
        self.with(text, |graph| {
            let options = engine::Options {
                jobs: self.jobs,
                threads: 1,
                device: Device::Cpu,
                force: self.force,
                keep_going: self.keep_going,
                save_every: std::time::Duration::from_secs(60),
                until: None,
                cancel: Arc::new(AtomicBool::new(false)),
            };
            let selection = graph.select(&self.targets).expect("targets are there");
            let mut started = Started::default();
            let report =
                engine::run(graph, &selection, &self.store(), &options, &mut started).expect("the cache works");
            let name = |index: usize| graph.instances[index].name.clone();
            let all = report.outcomes.iter().map(|outcome| (name(outcome.index), outcome.status)).collect();
            let messages = report.outcomes.iter().filter_map(|outcome| outcome.message.clone()).collect();
            Ran { started: started.0, all, messages }
        })
    }

    /// Instances with their word and the words of their reason.
    fn plan(&self, text: &str) -> Vec<(String, PlanStatus, String)> {
        self.with(text, |graph| {
            let selection = graph.select(&self.targets).expect("targets are there");
            let plan = engine::plan(graph, &selection, &self.store(), self.force).expect("the cache can be read");
            let line = |stage: &engine::Planned| {
                let reason = stage.reason(graph).map_or_else(String::new, |reason| reason.to_string());
                (graph.instances[stage.index].name.clone(), stage.status(), reason)
            };
            plan.stages.iter().map(line).collect()
        })
    }
}

const CHAIN: &str = r#"
[stage.source]
kind = "numbers"
values = [1.25, 2.5]

[stage.round]
kind = "map"
inputs = { in = "source.out" }
decimals = 0

[stage.shift]
kind = "map"
inputs = { in = "round.out" }
add = 10.0
"#;

#[test]
fn a_second_run_enters_no_stage() {
    let bench = Bench::new();
    assert_eq!(bench.run(CHAIN).started, ["source", "round", "shift"]);
    let again = bench.run(CHAIN);
    assert_eq!(again.started, [""; 0]);
    assert!(again.all.iter().all(|(_, status)| *status == Status::Cached));
}

#[test]
fn what_does_not_matter_changes_nothing() {
    let bench = Bench::new();
    bench.run(CHAIN);
    let same = [
        CHAIN.replace("[stage.round]", "# a comment\n[stage.round]"),
        CHAIN.replace("add = 10.0", "add = 10"),
        CHAIN.replace("add = 10.0", "decimals = 6\nfail = false\nadd = 1e1\nretries = 2"),
        CHAIN.replace("round", "trunc"),
        CHAIN.replace("kind = \"numbers\"\nvalues = [1.25, 2.5]", "values = [ 1.25, 2.50 ]\nkind = 'numbers'"),
    ];
    for text in same {
        assert_eq!(bench.run(&text).started, [""; 0], "{text}");
    }
}

#[test]
fn a_change_reruns_what_depends_on_it_and_equal_bytes_stop_there() {
    let bench = Bench::new();
    bench.run(CHAIN);
    assert_eq!(bench.run(&CHAIN.replace("add = 10.0", "add = 11.0")).started, ["shift"]);
    // 1.75 is cut to 1 as 1.25 was: `round` runs, gives the same bytes, and `shift` stays.
    assert_eq!(bench.run(&CHAIN.replace("1.25", "1.75")).started, ["source", "round"]);
    assert_eq!(bench.run(&CHAIN.replace("1.25", "3.75")).started, ["source", "round", "shift"]);
    assert_eq!(bench.run(CHAIN).started, [""; 0], "old values find old results");
}

#[test]
fn a_plan_says_what_a_run_does() {
    let bench = Bench::new();
    let words = |text: &str| bench.plan(text).into_iter().map(|(_, status, _)| status).collect::<Vec<_>>();
    assert_eq!(words(CHAIN), [PlanStatus::Run, PlanStatus::Waiting, PlanStatus::Waiting]);
    assert!(!bench.folder.path().join("cache").exists(), "a plan writes nothing");
    bench.run(CHAIN);
    let plan = bench.plan(&CHAIN.replace("decimals = 0", "decimals = 1"));
    let lines: Vec<String> = plan.iter().map(|(name, status, reason)| format!("{name} {status:?} {reason}")).collect();
    assert_eq!(lines, ["source Cached ", "round Run decimals: 0 -> 1", "shift Waiting waits for round"]);
}

#[test]
fn source_files_count_by_content() {
    let bench = Bench::new();
    let text = "[stage.source]\nkind = 'numbers'\npath = 'x.txt'\n";
    let file = bench.folder.path().join("x.txt");
    std::fs::write(&file, "1\n2\n").expect("written");
    assert_eq!(bench.run(text).started, ["source"]);
    std::fs::write(&file, "1\n2\n").expect("touched");
    assert_eq!(bench.run(text).started, [""; 0]);
    std::fs::write(&file, "1\n3\n").expect("changed");
    assert_eq!(bench.plan(text)[0].2, "the files at `path` changed");
    assert_eq!(bench.run(text).started, ["source"]);
    std::fs::remove_file(&file).expect("removed");
    let ran = bench.run(text);
    assert_eq!(ran.all, [("source".to_owned(), Status::Failed)]);
    assert!(ran.messages[0].contains("x.txt"), "{:?}", ran.messages);
}

const SWEEP: &str = r#"
[stage.source]
kind = "numbers"
values = [1.0]

[stage.a]
kind = "map"
inputs = { in = "source.out" }

[stage.b]
kind = "map"
inputs = { in = "a.out" }

[sweep]
"a.add" = [1, 2, 3]
"b.add" = [10, 20]
"#;

#[test]
fn a_sweep_is_one_merged_graph() {
    let bench = Bench::new();
    let plan = bench.plan(SWEEP);
    assert_eq!(plan.len(), 1 + 3 + 6);
    assert_eq!(plan[1].0, "a@a.add=1");
    assert_eq!(plan[5].0, "b@a.add=1,b.add=20");
    assert_eq!(bench.run(SWEEP).started.len(), 10);
    let more = SWEEP.replace("[1, 2, 3]", "[1, 2, 3, 4]");
    assert_eq!(bench.run(&more).started, ["a@a.add=4", "b@a.add=4,b.add=10", "b@a.add=4,b.add=20"]);
}

#[test]
fn equal_points_are_one_piece_of_work() {
    let bench = Bench::new();
    let twice = SWEEP.replace("[1, 2, 3]", "[1, 1.0]");
    let plan = bench.plan(&twice);
    assert!(plan.iter().any(|(name, status, reason)| {
        name == "a@a.add=1.0" && *status == PlanStatus::Cached && reason == "the same work as a@a.add=1"
    }));
    assert_eq!(bench.run(&twice).started.len(), 1 + 1 + 2);
    // Different parameters that give equal bytes: what stands on them is done once, even side by side.
    let mut wide = Bench::new();
    wide.jobs = 4;
    let converging = SWEEP.replace("[1, 2, 3]", "[1.00000001, 1.00000002]");
    assert_eq!(wide.run(&converging).started.len(), 1 + 2 + 2);
}

#[test]
fn overrides_replace_values_and_make_axes() {
    let mut bench = Bench::new();
    bench.sets = vec!["round.decimals=1".into(), "shift.add=1,2".into()];
    let names: Vec<String> = bench.plan(CHAIN).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["source", "round", "shift@shift.add=1", "shift@shift.add=2"]);
    bench.sets = vec!["a.add=7".into()];
    assert_eq!(bench.plan(SWEEP).len(), 1 + 1 + 2, "a single value takes the place of an axis");
}

#[test]
fn targets_force_and_failures() {
    let mut bench = Bench::new();
    bench.targets = vec!["round".into()];
    assert_eq!(bench.run(CHAIN).started, ["source", "round"]);
    bench.force = true;
    assert_eq!(bench.run(CHAIN).started, ["round"], "only the target is forced");
    (bench.force, bench.targets) = (false, Vec::new());

    let failing = SWEEP.replace("inputs = { in = \"a.out\" }", "inputs = { in = \"a.out\" }\nfail = true");
    let ran = bench.run(&failing);
    let count = |ran: &Ran, status| ran.all.iter().filter(|(_, s)| *s == status).count();
    assert_eq!((count(&ran, Status::Failed), count(&ran, Status::Blocked)), (1, 5));
    bench.keep_going = true;
    let ran = bench.run(&failing);
    assert_eq!((count(&ran, Status::Failed), count(&ran, Status::Blocked)), (6, 0));
    assert_eq!(count(&ran, Status::Ran) + count(&ran, Status::Cached), 4);
}

#[test]
fn damaged_objects_are_seen_and_made_again() {
    let bench = Bench::new();
    bench.run(CHAIN);
    let objects = bench.store().objects().expect("listed");
    for (path, size) in objects {
        std::fs::write(&path, vec![7u8; size as usize]).expect("overwritten");
    }
    // The sizes are right, so only reading shows the damage: `shift` cannot run, and what it needs is made again.
    let ran = bench.run(&CHAIN.replace("add = 10.0", "add = 12.0"));
    assert!(ran.all.iter().all(|(_, status)| *status != Status::Failed), "{:?}", ran.messages);
    assert_eq!(ran.started, ["shift", "round", "source", "round", "shift"]);
    for (path, _) in bench.store().objects().expect("listed") {
        std::fs::remove_file(path).expect("removed");
    }
    assert_eq!(bench.plan(CHAIN)[0].2, "the object of `out` is missing");
    assert_eq!(bench.run(CHAIN).started, ["source", "round", "shift"]);
}

#[test]
fn the_seed_of_the_pipeline_is_the_default_of_every_stage() {
    let bench = Bench::new();
    let seeded = |seed: u64| format!("[pipeline]\nseed = {seed}\n{CHAIN}");
    bench.run(&seeded(1));
    assert_eq!(bench.plan(&seeded(2))[0].2, "seed: 1 -> 2");
    let fixed = seeded(2).replace("kind = \"numbers\"", "kind = \"numbers\"\nseed = 1");
    assert_eq!(bench.run(&fixed).started, [""; 0]);
}

#[test]
fn all_mistakes_are_found_at_once() {
    let bench = Bench::new();
    let text = r#"
[stage.source]
kind = "numbrs"

[stage.a]
kind = "map"
inputs = { in = "b.out", out = "c.out" }
decimals = 12
ad = 1

[stage.b]
kind = "map"
inputs = { in = "a.out" }
fail = "yes"
add = "no"

[stage.d]
kind = "map"
inputs = { in = "source.out" }

[sweep]
"a.ad" = [1]
"x.y" = [1]
"#;
    assert_eq!(
        bench.mistakes(text),
        [
            "3:8: unknown kind `numbrs` | did you mean \"numbers\"?",
            "5:8: a cycle of stages: a -> b -> a | each arrow is an input; one of them must come from somewhere else",
            "7:26: kind `map` has no input port `out` | there are `in`",
            "7:32: there is no stage `c` | did you mean `a`?",
            "8:12: `a.decimals`: must be between 0 and 9, got 12",
            "9:1: kind `map` has no parameter `ad` | did you mean `add`?",
            "14:8: `b.fail`: must be true or false; got \"yes\"",
            "15:7: `b.add`: must be a number; got \"no\"",
            "22:1: `a.ad`: kind `map` has no parameter `ad` | did you mean `a.add`?",
            "23:1: `x.y`: there is no stage `x` | did you mean `a.y`?",
        ]
    );
    let values = r#"
[stage.source]
kind = "numbers"
values = [1, "x"]
[stage.a]
kind = "map"
inputs = { in = "source.out" }
fail = "yes"
add = "no"
decimals = 12
"#;
    let found = bench.mistakes(values);
    assert_eq!(found.len(), 4, "{found:#?}");
}
