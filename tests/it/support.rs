//! A project in a temporary folder, and the binary run in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
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

    /// A project with `pipelines/p.toml`.
    pub fn with(pipeline: &str) -> Self {
        let project = Self::new();
        project.write("pipelines/p.toml", pipeline);
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

    /// The binary, at the project's root, whatever the environment of the tests is.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
        command.current_dir(self.folder.path());
        for name in ["STRATA_CACHE_DIR", "NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "COLUMNS"] {
            command.env_remove(name);
        }
        command
    }

    pub fn strata(&self, args: &[&str]) -> Ran {
        finish(self.command().args(args))
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
