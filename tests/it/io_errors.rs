//! A disk that fails (EIO) at any system call below the cache: at each one by itself, and from each one on. The calls are
//! failed by `io_errors.c`, which is loaded into the binary. Each run ends in a clear error or with the right result, and
//! the next one on a sound disk finishes with the bytes of a run that nothing disturbed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    time::Duration,
};

use serde_json::Value;

use crate::support::{Project, Ran, finish, text};

/// As few milliseconds as a run with files, saved states and features can take: it is done a thousand times.
const SMALL: &str = r#"
[pipeline]
seed = 3
[stage.images]
kind = "dataset"
size = 8
train = 12
test = 6
[stage.scratch]
kind = "supervised"
inputs = { train = "images.train", test = "images.test" }
encoder = { n = 1, width = 0.125 }
epochs = 1
batch_size = 12
schedule = { kind = "constant" }
[stage.features]
kind = "encode"
inputs = { weights = "scratch.weights", images = "images.test" }
[stage.photos]
kind = "dataset"
source = "cifar10"
path = "data"
"#;
const RUN: [&str; 8] = ["run", "pipelines/p.toml", "--save-every", "0s", "--threads", "1", "--output", "json"];

/// The kinds of calls that fail, as `io_errors.c` names them.
const CHANGES: &str = "c";
const READS: &str = "rl";
/// Reads without looks at sizes and times.
const BYTES: &str = "r";

/// The library that fails calls.
static SHIM: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library = folder.path().join("io_errors.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/io_errors.c");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let built = finish(Command::new(compiler).args(["-O1", "-shared", "-fPIC", source, "-o"]).arg(&library));
    assert_eq!(built.code, Some(0), "{}", built.err);
    (folder, library)
});

/// Which calls fail.
#[derive(Clone, Copy)]
struct Failing {
    below: &'static str,
    calls: &'static str,
    /// The first and the last call, from 1.
    from: usize,
    to: usize,
}

impl Failing {
    fn none(calls: &'static str) -> Self {
        Self { below: "cache", calls, from: 0, to: 0 }
    }

    fn all(below: &'static str) -> Self {
        Self { below, calls: BYTES, from: 1, to: usize::MAX >> 1 }
    }
}

/// Runs the binary on a disk that fails: what it did, and the calls that were counted.
fn on_a_bad_disk(project: &Project, args: &[&str], failing: Failing) -> (Ran, Vec<String>) {
    let root = fs::canonicalize(project.path("")).expect("the project's folder");
    let log = root.join("calls.log");
    let mut command = project.command();
    command.args(args).env("LD_PRELOAD", &SHIM.1).env("IO_ERRORS_LOG", &log);
    command.env("IO_ERRORS_BELOW", root.join(failing.below)).env("IO_ERRORS_CALLS", failing.calls);
    command.env("IO_ERRORS_FROM", failing.from.to_string()).env("IO_ERRORS_TO", failing.to.to_string());
    let ran = finish(&mut command);
    let calls = fs::read_to_string(log).expect("a log").lines().map(str::to_owned).collect();
    (ran, calls)
}

/// A project with source files, the cache of a finished run of it, and the hashes that it gave.
struct Finished {
    project: Project,
    cache: Vec<(PathBuf, Vec<u8>)>,
    hashes: BTreeMap<String, Value>,
}

impl Finished {
    fn new() -> Self {
        let project = Project::with(SMALL);
        project.write("data/batches.meta.txt", "cat\ndog\n");
        for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
            let pixels: Vec<u8> = (0..2 * 3073u32).map(|at| u8::from(at % 3073 == 0)).collect();
            project.write(&format!("data/{name}.bin"), pixels);
        }
        // The hashes of files younger than a second are not remembered.
        std::thread::sleep(Duration::from_millis(1200));
        let hashes = hashes(&project.done(&RUN));
        Self { cache: project.cache(), hashes, project }
    }

    /// Puts the cache into its first state: empty, or finished.
    fn reset(&self, finished: bool) {
        fs::remove_dir_all(self.project.path("cache")).expect("a cache");
        for (file, bytes) in self.cache.iter().filter(|_| finished) {
            self.project.write(&format!("cache/{}", file.display()), bytes);
        }
    }

    /// Fails call after call of a command. With `on`, all later calls fail too. Gives the kinds of calls that failed,
    /// and how many runs ended well and how many did not.
    fn fail_each(&self, args: &[&str], finished: bool, calls: &'static str, on: bool, every: usize) -> Tally {
        self.reset(finished);
        let (ran, all) = on_a_bad_disk(&self.project, args, Failing::none(calls));
        assert_eq!(ran.code, Some(0), "{}\n{}", args.join(" "), ran.err);
        let mut tally = Tally::default();
        for from in (1..=all.len()).step_by(every) {
            self.reset(finished);
            let to = if on { usize::MAX >> 1 } else { from };
            let (ran, calls) = on_a_bad_disk(&self.project, args, Failing { from, to, ..Failing::none(calls) });
            // The beats of a lock come by the clock, so a run may make some calls more or fewer.
            let Some(failed) = calls.get(from - 1) else { continue };
            let what =
                format!("{}: call {from} fails, {failed}{}", args.join(" "), if on { ", and all after" } else { "" });
            tally.kinds.insert(failed.split(' ').next().unwrap_or_default().to_owned());
            self.sane(&ran, &what);
            *(if ran.code == Some(0) { &mut tally.well } else { &mut tally.badly }) += 1;
            let after = self.project.strata(&RUN);
            assert_eq!(after.code, Some(0), "{what}, then\n{}", after.err);
            assert_eq!(hashes(&after), self.hashes, "{what}");
            let verify = self.project.strata(&["cache", "verify"]);
            assert_eq!(verify.code, Some(0), "{what}, then\n{}{}", verify.out, verify.err);
        }
        println!("{}, {calls}: {tally:?} of {} calls", args.join(" "), all.len());
        assert!((tally.well + tally.badly) * every * 10 >= all.len() * 9, "{tally:?} of {} calls", all.len());
        tally
    }

    /// The right result, or an error that names the path and the reason.
    fn sane(&self, ran: &Ran, what: &str) {
        assert!(!ran.err.contains("panicked"), "{what}\n{}", ran.err);
        match ran.code {
            Some(0) => {}
            Some(1) => {
                let said = format!("{}{}", ran.out, ran.err);
                assert!(said.contains("cache") && said.contains("(os error 5)"), "{what}\n{said}");
            }
            _ => panic!("{what}: {:?}\n{}{}", ran.code, ran.out, ran.err),
        }
        if ran.out.starts_with('{') {
            for (output, hash) in hashes(ran) {
                assert_eq!(Some(&hash), self.hashes.get(&output), "{what}: {output}");
            }
        }
    }
}

/// What failed, and how the runs ended.
#[derive(Debug, Default)]
struct Tally {
    kinds: BTreeSet<String>,
    well: usize,
    badly: usize,
}

impl Tally {
    fn kinds(&self) -> Vec<&str> {
        self.kinds.iter().map(String::as_str).collect()
    }
}

/// The hash of each output that a run has.
fn hashes(ran: &Ran) -> BTreeMap<String, Value> {
    let run: Value = serde_json::from_str(&ran.out).expect("one JSON document");
    let outputs = |stage: &Value| {
        let (name, outputs) = (text(&stage["instance"]), stage["outputs"].as_object().cloned().unwrap_or_default());
        outputs.into_iter().map(move |(port, output)| (format!("{name}.{port}"), output["hash"].clone()))
    };
    run["stages"].as_array().expect("stages").iter().flat_map(outputs).collect()
}

#[test]
fn each_change_fails_by_itself() {
    let finished = Finished::new();
    let tally = finished.fail_each(&RUN, false, CHANGES, false, 1);
    assert_eq!(tally.kinds(), ["fsync", "mkdir", "open", "rename", "unlink", "write"]);
    // Memos, the history and the removal of files that nobody needs are no reason to fail.
    assert!(tally.well > 10 && tally.badly > 80, "{tally:?}");
}

#[test]
fn each_read_fails_by_itself() {
    let finished = Finished::new();
    let tally = finished.fail_each(&RUN, false, READS, false, 1);
    assert_eq!(tally.kinds(), ["list", "open", "read", "stat"]);
    assert!(tally.well > 10 && tally.badly > 40, "{tally:?}");
    let tally = finished.fail_each(&RUN, true, READS, false, 1);
    assert!(tally.well > 0 && tally.badly > 5, "{tally:?}");
}

#[test]
fn a_disk_that_fails_from_some_call_on() {
    let finished = Finished::new();
    let force = [&RUN[..], &["--force"]].concat();
    // Each call was failed above; here the state of the run at the time matters, and neighbours share that.
    for calls in [CHANGES, READS] {
        finished.fail_each(&RUN, false, calls, true, 5);
        finished.fail_each(&force, true, calls, true, 5);
    }
}

#[test]
fn upkeep_on_a_disk_that_fails() {
    let finished = Finished::new();
    for args in [
        &["plan", "pipelines/p.toml"][..],
        &["table", "pipelines/p.toml"],
        &["cache", "ls"],
        &["cache", "pin", "scratch"],
        &["cache", "gc", "--max-size", "0"],
        &["cache", "rm", "scratch"],
        &["export", "pipelines/p.toml", "scratch.weights", "-o", "out", "--force"],
    ] {
        // These read manifest after manifest in the same way.
        for (calls, every) in [(CHANGES, 1), (READS, 5)] {
            finished.fail_each(args, true, calls, false, every);
        }
    }
}

#[test]
fn a_run_with_nothing_to_do_reads_no_tensor_and_no_source() {
    let finished = Finished::new();
    let run = |more: &[&str], below| {
        let args = [&["run", "pipelines/p.toml"], more].concat();
        on_a_bad_disk(&finished.project, &args, Failing::all(below))
    };
    let plain = finished.project.done(&["run", "pipelines/p.toml"]);
    let table = |ran: &Ran| ran.out.lines().filter(|line| !line.contains(" cached, ")).collect::<Vec<_>>().join("\n");
    for below in ["cache/objects", "data"] {
        let (ran, calls) = run(&[], below);
        assert_eq!(calls, [""; 0], "what lies below {below} is not even opened");
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert!(ran.out.contains("4 cached, 0 ran") && table(&ran).contains("scratch"), "{}", ran.out);
        assert_eq!(table(&ran), table(&plain));
        // The same calls would be seen: work that must be done makes them, and fails.
        let (ran, calls) = run(&["--force"], below);
        assert!(!calls.is_empty());
        assert_eq!(ran.code, Some(1), "{}", ran.err);
    }
}

/// A transient error must not cost the object that it hit.
#[test]
fn an_object_that_could_not_be_looked_at_is_not_thrown_away() {
    let finished = Finished::new();
    let object = |path: &Path| path.starts_with("objects");
    finished.reset(true);
    let failing = Failing { below: "cache/objects", calls: "l", from: 1, to: usize::MAX >> 1 };
    let (ran, calls) = on_a_bad_disk(&finished.project, &RUN, failing);
    assert!(ran.code == Some(1) && !calls.is_empty(), "{}", ran.err);
    let left = finished.project.cache();
    for (path, bytes) in finished.cache.iter().filter(|(path, _)| object(path)) {
        assert!(left.contains(&(path.clone(), bytes.clone())), "{} is gone", path.display());
    }
}
