//! A project in a temporary folder, and the binary run in it; and what tests need of the machine.

use std::{
    fs,
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Neighbours on raw pixels: the least that has a test accuracy.
pub const NEIGHBOURS: &str = r#"
[stage.images]
kind = "dataset"
train = 120
test = 60
size = 16

[stage.train]
kind = "encode"
inputs = { images = "images.train" }

[stage.test]
kind = "encode"
inputs = { images = "images.test" }

[stage.knn]
kind = "knn_probe"
inputs = { train = "train.features", test = "test.features" }
"#;

/// A file of the repository that pipelines of tests import.
const ARRAY: &str = "tests/reference/tensor_files/rows.npy";

/// What a test needs of the machine, if it is there; otherwise the test is [`skipped`].
pub fn require<T>(found: Option<T>, what: &str) -> Option<T> {
    if found.is_none() {
        skipped(&format!("there is no {what}"));
    }
    found
}

/// Says that a test cannot run here; with `STRATA_REQUIRE_ALL=1`, as in CI, fails.
pub fn skipped(why: &str) {
    assert!(std::env::var("STRATA_REQUIRE_ALL").as_deref() != Ok("1"), "skipped, with STRATA_REQUIRE_ALL=1: {why}");
    say_skipped(why);
}

/// Says it past the reader of tests, who keeps what those that pass print to himself.
pub fn say_skipped(why: &str) {
    let thread = std::thread::current();
    let line = format!("SKIPPED: {}: {why}\n", thread.name().unwrap_or("a test"));
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// A Python that can import these modules: `STRATA_PYTHON`, else `python3`.
pub fn python_with(modules: &str) -> Option<String> {
    let python = std::env::var("STRATA_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let imports = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
    let found = imports.is_ok_and(|ran| ran.status.success()).then_some(python);
    require(found, &format!("Python with {modules} (STRATA_PYTHON names another than python3)"))
}

/// A Python with torch, torchvision, timm, safetensors and numpy: `STRATA_TORCH_PYTHON`, which must have them, else
/// `STRATA_PYTHON` or `python3`, which need not.
pub fn python_with_torch() -> Option<String> {
    let modules = "torch, torchvision, timm, safetensors, numpy";
    let has_them = |python: &String| {
        let ran = Command::new(python).args(["-c", &format!("import {modules}")]).output();
        ran.is_ok_and(|ran| ran.status.success())
    };
    if let Ok(named) = std::env::var("STRATA_TORCH_PYTHON") {
        let found = Some(named).filter(has_them);
        return require(found, &format!("{modules} in the Python that STRATA_TORCH_PYTHON names"));
    }
    let usual = std::env::var("STRATA_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Some(usual).filter(has_them);
    if found.is_none() {
        say_skipped(&format!("there is no Python with {modules} (STRATA_TORCH_PYTHON names one)"));
    }
    found
}

/// The folder of data and tools that may be offered to tests, if it holds these files: `STRATA_SHARED`, which must hold
/// them, else `shared` beside the repository, which need not be there.
pub fn offered(files: &[&str]) -> Option<PathBuf> {
    let whole = |folder: &PathBuf| files.iter().all(|file| folder.join(file).exists());
    if let Some(named) = std::env::var_os("STRATA_SHARED").map(PathBuf::from) {
        return require(Some(named).filter(whole), &format!("{} in STRATA_SHARED", files.join(", ")));
    }
    let beside = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared")).filter(whole);
    if beside.is_none() {
        say_skipped(&format!("{} is not offered (STRATA_SHARED names a folder that holds it)", files.join(", ")));
    }
    beside
}

/// Lets a child hear signals: tests may run below `nohup` or in the background, where they are ignored, and a child
/// inherits that.
pub fn hears_signals(command: &mut Command) {
    // SAFETY: `signal` may be called between fork and exec.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
}

/// A folder with `pipelines/`; deleted with the value.
pub struct Project {
    folder: tempfile::TempDir,
}

/// What the binary did.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Project {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("pipelines")).expect("a folder in it");
        Self { folder }
    }

    /// A project with `pipelines/p.toml`, and with the array that `all_kinds.toml` imports.
    pub fn with(pipeline: &str) -> Self {
        let project = Self::new();
        project.write("pipelines/p.toml", pipeline);
        if pipeline.contains(ARRAY) {
            let array = Path::new(env!("CARGO_MANIFEST_DIR")).join(ARRAY);
            project.write(ARRAY, fs::read(array).expect("an array of the repository"));
        }
        project
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("folders can be made");
        fs::write(path, content).expect("a file can be written");
    }

    /// Replaces a text in a file, which must be there once.
    pub fn edit(&self, name: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.path(name)).expect("a file to edit");
        assert_eq!(text.matches(old).count(), 1, "{old:?} in {name}");
        self.write(name, text.replace(old, new));
    }

    /// Files where the shipped pipelines look for their data, as many and as large as the real ones, with nothing in them:
    /// enough for everything but a run.
    pub fn write_hollow_data(&self) {
        let cifar = "data/cifar-10-batches-bin";
        self.write(&format!("{cifar}/batches.meta.txt"), "cat\n");
        for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
            let path = format!("{cifar}/{name}.bin");
            self.write(&path, "");
            let file = fs::OpenOptions::new().write(true).open(self.path(&path)).expect("a file");
            file.set_len(30_730_000).expect("a file with a hole");
        }
        for (split, images) in [("train", 250), ("test", 50)] {
            for class in 0..5 {
                (0..images).for_each(|at| self.write(&format!("data/imagenet5/{split}/{class}/{at}.jpg"), ""));
            }
        }
    }

    /// The binary, at the project's root, whatever the environment of the tests is.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
        command.current_dir(self.folder.path());
        for name in ["STRATA_CACHE_DIR", "NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "COLUMNS"] {
            command.env_remove(name);
        }
        hears_signals(&mut command);
        command
    }

    pub fn strata(&self, args: &[&str]) -> Ran {
        finish(self.command().args(args))
    }

    /// Runs in a shell after a `limit`, such as `ulimit -f 8`: writes beyond it fail as on a full disk.
    pub fn limited(&self, limit: &str, args: &[&str]) -> Ran {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("trap '' XFSZ; {limit}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_strata")]);
        finish(shell.args(args).current_dir(self.folder.path()).env_remove("STRATA_CACHE_DIR"))
    }

    /// Runs and expects exit code 0.
    pub fn done(&self, args: &[&str]) -> Ran {
        let ran = self.strata(args);
        assert_eq!(ran.code, Some(0), "strata {}\n{}{}", args.join(" "), ran.out, ran.err);
        ran
    }

    /// Runs with `--output json` and reads the answer.
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--output", "json"]).collect();
        serde_json::from_str(&self.done(&args).out).expect("standard output is one JSON document")
    }

    /// The status word of each instance in a run or a plan of `pipelines/p.toml`.
    pub fn words(&self, verb: &str, more: &[&str]) -> Vec<(String, String)> {
        let args: Vec<&str> = [verb, "pipelines/p.toml"].iter().chain(more).copied().collect();
        let document = self.json(&args);
        let stages = document["stages"].as_array().expect("a list of stages");
        stages.iter().map(|stage| (text(&stage["instance"]), text(&stage["status"]))).collect()
    }

    /// Every file of the cache, by its path there, with its content.
    pub fn cache(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let root = self.path("cache");
        let mut found = Vec::new();
        files(&root, &mut found);
        found.into_iter().map(|file| (file.clone(), fs::read(root.join(file)).expect("a file of the cache"))).collect()
    }
}

/// Waits until a file that a child writes, such as its `--events`, has so many lines of a kind. False if the child ended
/// first.
pub fn lines_come(file: &Path, child: &mut Child, count: usize, is_one: impl Fn(&str) -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        let ended = child.try_wait().expect("a child").is_some();
        let seen = fs::read(file).unwrap_or_default();
        if String::from_utf8_lossy(&seen).lines().filter(|line| is_one(line)).count() >= count {
            return true;
        }
        if ended {
            return false;
        }
        assert!(Instant::now() < deadline, "{} waits for a line for five minutes", file.display());
        sleep(Duration::from_millis(2));
    }
}

/// Whether a line of `--events` is of this event and instance.
pub fn is_event(line: &str, event: &str, instance: &str) -> bool {
    let event = format!("\"event\":\"{event}\"");
    line.contains(&event) && line.contains(&format!("\"instance\":\"{instance}\""))
}

/// Sends a signal, by its name without `SIG`.
pub fn send(child: &Child, signal: &str) {
    let sent = finish(Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]));
    assert_eq!(sent.code, Some(0), "{}", sent.err);
}

/// The first number and the count of random cases: `STRATA_SEED` and `STRATA_CASES`, or the same few in every run. Both are
/// printed, so a failure can be repeated.
pub fn cases(what: &str, count: u64) -> (u64, u64) {
    let given = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a whole number"));
    let (first, count) = (given("STRATA_SEED").unwrap_or(1), given("STRATA_CASES").unwrap_or(count));
    println!("{what}: {count} cases from STRATA_SEED={first} on, in order");
    (first, count)
}

/// Runs a command to its end.
pub fn finish(command: &mut Command) -> Ran {
    let output = command.output().expect("the binary can be started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is text");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.push(path.strip_prefix(root).expect("a path below").to_owned());
            }
        }
    }
    walk(folder, folder, found);
    found.sort();
}
