//! Faults of the disk: flipped bits, cut files, no space, no right to write, clocks that go back. Each ends in a clear
//! error or in work done again, never in another result and never in a panic.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use crate::support::{Project, Ran, finish, require, text};

/// A short cut of `all_kinds.toml`: files, training with saved states, features, a probe.
const SHORT: &str = r#"
[pipeline]
seed = 3
[stage.images]
kind = "dataset"
size = 16
train = 40
test = 20
[stage.scratch]
kind = "supervised"
inputs = { train = "images.train", test = "images.test" }
encoder = { n = 1, width = 0.25 }
epochs = 2
batch_size = 16
schedule = { kind = "constant" }
[stage.train_features]
kind = "encode"
inputs = { weights = "scratch.weights", images = "images.train" }
[stage.test_features]
kind = "encode"
inputs = { weights = "scratch.weights", images = "images.test" }
[stage.probe]
kind = "linear_probe"
inputs = { train = "train_features.features", test = "test_features.features" }
at = "p3"
[stage.photos]
kind = "dataset"
source = "cifar10"
path = "data"
[stage.pixels]
kind = "encode"
inputs = { images = "photos.train" }
"#;
const RUN: [&str; 4] = ["run", "pipelines/p.toml", "--save-every", "0s"];

/// A project with files to read, and nothing in its cache.
fn short() -> Project {
    let project = Project::with(SHORT);
    project.write("data/batches.meta.txt", "cat\ndog\n");
    for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        let pixels: Vec<u8> =
            (0..4 * 3073u32).map(|at| if at % 3073 == 0 { 1 } else { (at * 7 % 251) as u8 }).collect();
        project.write(&format!("data/{name}.bin"), pixels);
    }
    project
}

/// A finished run: its project, its cache, and what it gave.
struct Finished {
    project: Project,
    cache: Vec<(PathBuf, Vec<u8>)>,
    results: Value,
}

static FINISHED: LazyLock<Finished> = LazyLock::new(|| {
    let project = short();
    // The hashes of files younger than a second are not remembered.
    std::thread::sleep(Duration::from_millis(1200));
    project.done(&RUN);
    let results = results(&project);
    Finished { cache: project.cache(), results, project }
});

impl Finished {
    /// A new project whose cache is a copy of this one.
    fn copy(&self) -> Project {
        let project = short();
        for (file, bytes) in &self.cache {
            project.write(&format!("cache/{}", file.display()), bytes);
        }
        project
    }

    fn files(&self, folder: &str) -> Vec<&PathBuf> {
        let files: Vec<&PathBuf> =
            self.cache.iter().map(|(file, _)| file).filter(|file| file.starts_with(folder)).collect();
        assert!(!files.is_empty(), "no file below {folder} in {}", self.project.path("cache").display());
        files
    }
}

/// Every hash and every metric, from a run and a table of it.
fn results(project: &Project) -> Value {
    let run = project.json(&RUN);
    let outputs = |stage: &Value| {
        let outputs = stage["outputs"].as_object().expect("outputs").iter();
        let hashes: Value = outputs.map(|(port, output)| (port.clone(), output["hash"].clone())).collect();
        (text(&stage["instance"]), hashes)
    };
    let outputs: BTreeMap<String, Value> = run["stages"].as_array().expect("stages").iter().map(outputs).collect();
    let table = project.json(&["table", "pipelines/p.toml"]);
    let metrics = |row: &Value| (text(&row["instance"]), row["metrics"].clone());
    let metrics: BTreeMap<String, Value> = table["rows"].as_array().expect("rows").iter().map(metrics).collect();
    serde_json::json!({ "outputs": outputs, "metrics": metrics })
}

/// An end that a user can understand: done, or a failure that is named.
fn sane(ran: &Ran, what: &str) {
    assert!(matches!(ran.code, Some(0 | 1)), "{what}: {:?}\n{}{}", ran.code, ran.out, ran.err);
    assert!(!ran.err.contains("panicked"), "{what}\n{}", ran.err);
    if ran.code == Some(1) {
        let named = ran.err.contains("cannot ") || ran.err.contains("failed") || ran.err.contains("corrupt");
        assert!(named || ran.out.contains("corrupt"), "{what}: no word of what failed\n{}{}", ran.out, ran.err);
    }
}

/// After a fault: runs end sanely, and after a repair give what an undisturbed run gives.
fn heals(project: &Project, what: &str) {
    let force = [&RUN[..], &["--until", "probe", "--force"]].concat();
    for args in [
        &RUN[..],
        &["table", "pipelines/p.toml"],
        &["cache", "ls"],
        &["cache", "gc", "--max-size", "0", "--dry-run"],
        &force,
    ] {
        sane(&project.strata(args), what);
    }
    sane(&project.strata(&["cache", "verify", "--repair"]), what);
    assert_eq!(results(project), FINISHED.results, "{what}");
    let verify = project.strata(&["cache", "verify"]);
    assert_eq!(verify.code, Some(0), "{what}\n{}{}", verify.out, verify.err);
}

/// A number that looks random and is the same every time.
fn scattered(seed: usize, below: usize) -> usize {
    let mixed = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from((mixed >> 20) % below.max(1) as u64).unwrap_or_default()
}

fn flip(bytes: &mut [u8], seed: usize) {
    if !bytes.is_empty() {
        let at = scattered(seed, bytes.len());
        bytes[at] ^= 1 << (seed % 8);
    }
}

/// Damages each file below a folder by itself, in two ways.
fn damaged(folder: &str) {
    for (number, file) in FINISHED.files(folder).into_iter().enumerate() {
        for cut in [false, true] {
            let project = FINISHED.copy();
            let path = project.path("cache").join(file);
            let mut bytes = fs::read(&path).expect("a file of the cache");
            if cut {
                bytes.truncate(scattered(number, bytes.len()));
            } else {
                flip(&mut bytes, number);
            }
            fs::write(&path, bytes).expect("a damaged file");
            heals(&project, &format!("{}, {}", file.display(), if cut { "cut" } else { "a bit flipped" }));
        }
    }
}

#[test]
fn damaged_objects() {
    damaged("objects");
}

#[test]
fn damaged_manifests() {
    damaged("manifests-v1");
}

#[test]
fn damaged_states_history_and_memo() {
    for folder in ["checkpoints-v1", "history-v2", "memo-v1"] {
        damaged(folder);
    }
}

#[test]
fn a_damaged_state_is_passed_over() {
    let project = FINISHED.copy();
    let states: Vec<&PathBuf> = FINISHED.files("checkpoints-v1");
    for file in &states {
        let mut bytes = fs::read(project.path("cache").join(file)).expect("a state");
        flip(&mut bytes, 5);
        fs::write(project.path("cache").join(file), bytes).expect("a damaged state");
    }
    for folder in ["manifests-v1", "objects"] {
        fs::remove_dir_all(project.path("cache").join(folder)).expect("deleted");
    }
    let ran = project.json(&RUN);
    assert_eq!(ran["counts"]["resumed"], 0, "{ran}");
    assert_eq!(results(&project), FINISHED.results);
}

#[test]
fn everything_damaged_at_once() {
    for round in 0..4 {
        let project = FINISHED.copy();
        for (number, (file, bytes)) in FINISHED.cache.iter().enumerate() {
            let mut bytes = bytes.clone();
            let seed = round * 1000 + number;
            match seed % 3 {
                0 => flip(&mut bytes, seed),
                1 => bytes.truncate(scattered(seed, bytes.len())),
                _ => {}
            }
            project.write(&format!("cache/{}", file.display()), bytes);
        }
        heals(&project, &format!("round {round}"));
    }
}

#[test]
fn damaged_locks_and_pins() {
    let states = FINISHED.files("checkpoints-v1");
    let trajectory = states[0].parent().and_then(Path::file_name).expect("a folder").to_string_lossy().into_owned();
    let key = FINISHED.files("manifests-v1")[0].file_stem().expect("a key").to_string_lossy().into_owned();
    let contents: [&[u8]; 4] =
        [b"", b"{\"host\": ", b"\xff\xfe\x00", b"{\"host\": 5, \"pid\": -1, \"token\": \"../../x\"}"];
    for content in contents {
        let project = FINISHED.copy();
        let lock = format!("cache/locks-v1/{trajectory}.json");
        for name in [lock.as_str(), "cache/locks-v1/no-key", &format!("cache/pins-v1/{key}"), "cache/pins-v1/no-key"] {
            project.write(name, content);
        }
        for folder in ["manifests-v1", "objects", "checkpoints-v1"] {
            fs::remove_dir_all(project.path("cache").join(folder)).expect("deleted");
        }
        // Nobody holds it, but that shows only when no beat comes; here the last one is long ago.
        set_time(&project.path(&lock), SystemTime::now() - Duration::from_secs(3600));
        heals(&project, &format!("locks and pins with {content:?}"));
    }
}

#[test]
fn manifests_of_a_later_version() {
    // Further fields change nothing; another form is not read, and the work is done again.
    for (change, cached) in [("further", true), ("other", false), ("binary", false)] {
        let project = FINISHED.copy();
        for file in FINISHED.files("manifests-v1") {
            let path = project.path("cache").join(file);
            let read = fs::read(&path).expect("a manifest");
            let mut value: Value = serde_json::from_slice(&read).expect("JSON");
            match change {
                "further" => value["later"] = serde_json::json!({ "field": [1, 2] }),
                _ => value["outputs"] = serde_json::json!([{ "port": "x" }]),
            }
            let bytes = if change == "binary" { vec![0x82, 0xa1, 0x61, 0xff] } else { sealed(&path, value) };
            fs::write(&path, bytes).expect("a changed manifest");
        }
        let run = project.json(&RUN);
        let stages = run["stages"].as_array().expect("stages").len();
        assert_eq!(run["counts"]["cached"] == stages, cached, "{change}: {}", run["counts"]);
        heals(&project, change);
    }
}

/// A record as the store writes it: the hash of its name and the rest of its text comes first.
fn sealed(path: &Path, mut value: Value) -> Vec<u8> {
    value.as_object_mut().expect("an object").remove("blake3");
    let body = &serde_json::to_vec_pretty(&value).expect("JSON")[1..];
    let name = path.file_name().expect("a name").as_encoded_bytes();
    let hash = blake3::Hasher::new().update(name).update(b"\n").update(body).finalize();
    [format!("{{\"blake3\": \"{hash}\",").as_bytes(), body].concat()
}

#[test]
fn a_metric_changed_by_hand_is_not_believed() {
    let project = FINISHED.copy();
    let mut changed = 0;
    for file in FINISHED.files("manifests-v1") {
        let path = project.path("cache").join(file);
        let read = fs::read_to_string(&path).expect("a manifest");
        let better = read.replace("accuracy\": 0.", "accuracy\": 1.");
        changed += usize::from(better != read);
        fs::write(path, better).expect("a changed manifest");
    }
    assert!(changed > 0);
    assert_eq!(results(&project), FINISHED.results);
}

#[test]
fn an_object_that_rotted_does_not_leave_the_cache() {
    let project = FINISHED.copy();
    for file in FINISHED.files("objects") {
        let path = project.path("cache").join(file);
        let mut bytes = fs::read(&path).expect("an object");
        flip(&mut bytes, 3);
        fs::write(path, bytes).expect("a damaged object");
    }
    let export = project.strata(&["export", "pipelines/p.toml", "scratch.weights", "-o", "out"]);
    assert_eq!(export.code, Some(1), "{}{}", export.out, export.err);
    assert!(export.err.contains("is corrupt"), "{}", export.err);
}

/// A shell script in a mount namespace of its own; `None` where that is not permitted.
fn in_namespace(project: &Project, script: &str) -> Option<Ran> {
    // As root, or in a namespace of users too.
    let may_mount = |flags: &&&str| {
        let mut probe = Command::new("unshare");
        probe.args([flags, "sh", "-c", "mount -t tmpfs tmpfs /mnt"]).output().is_ok_and(|ran| ran.status.success())
    };
    let flags = require(["-m", "-rm"].iter().find(may_mount), "right to mount (unshare -m, or unshare -rm)")?;
    let binary = project.command().get_program().to_owned();
    let mut shell = Command::new("unshare");
    shell.args([flags, "sh", "-c", script, "sh"]).arg(binary).current_dir(project.path(""));
    Some(finish(shell.env_remove("STRATA_CACHE_DIR")))
}

#[test]
fn a_full_disk() {
    let (mut refused, mut rounds) = (0, 0);
    for kilobytes in [8, 40, 80, 160, 320, 640, 1280] {
        let project = short();
        let script = format!(
            "mkdir cache; mount -t tmpfs -o size={kilobytes}k tmpfs cache || exit 99
            \"$1\" run pipelines/p.toml --save-every 0s; code=$?
            mount -o remount,size=64m cache || exit 98
            \"$1\" run pipelines/p.toml --output json > after.json || exit 97
            \"$1\" cache verify > /dev/null || exit 96
            exit $code"
        );
        let Some(ran) = in_namespace(&project, &script) else { return };
        sane(&ran, &format!("{kilobytes} kB"));
        rounds += 1;
        if ran.code == Some(1) {
            refused += 1;
            assert!(ran.err.contains("No space left"), "{}", ran.err);
        }
        same_hashes(&project, "after.json");
    }
    assert!(refused > 2 && refused < rounds, "the disk must be full in some rounds and not in all: {refused}");
}

/// Compares the hashes in the answer of a run with those of the undisturbed one.
fn same_hashes(project: &Project, file: &str) {
    let run: Value = serde_json::from_slice(&fs::read(project.path(file)).expect("an answer")).expect("JSON");
    for stage in run["stages"].as_array().expect("stages") {
        for (port, output) in stage["outputs"].as_object().expect("outputs") {
            let expected = &FINISHED.results["outputs"][text(&stage["instance"])][port];
            assert_eq!(&output["hash"], expected, "{}.{port}", stage["instance"]);
        }
    }
}

#[test]
fn files_that_may_not_grow() {
    let mut refused = 0;
    for blocks in [1, 2, 8, 32, 128] {
        let project = short();
        let binary = project.command().get_program().to_owned();
        let mut shell = Command::new("sh");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$1\" run pipelines/p.toml --save-every 0s");
        shell.args(["-c", &script, "sh"]).arg(binary).current_dir(project.path("")).env_remove("STRATA_CACHE_DIR");
        let ran = finish(&mut shell);
        sane(&ran, &format!("{blocks} blocks"));
        if ran.code == Some(1) {
            refused += 1;
            assert!(ran.err.contains("File too large"), "{}", ran.err);
        }
        heals(&project, &format!("after {blocks} blocks"));
    }
    assert!(refused > 1, "{refused}");
}

#[test]
fn a_cache_that_may_only_be_read() {
    let project = FINISHED.copy();
    let readonly = "mount --bind cache cache && mount -o remount,ro,bind cache || exit 99; ";
    let run = |command: &str| in_namespace(&project, &format!("{readonly}\"$1\" {command}"));
    let Some(all) = run("run pipelines/p.toml --output json") else { return };
    assert_eq!(all.code, Some(0), "what is finished can be used: {}", all.err);
    for command in [
        "plan pipelines/p.toml",
        "table pipelines/p.toml",
        "cache ls",
        "cache verify",
        "cache gc --max-size 0 --dry-run",
    ] {
        let ran = run(command).expect("namespaces");
        assert_eq!(ran.code, Some(0), "{command}\n{}{}", ran.out, ran.err);
    }
    for command in ["run pipelines/p.toml -S probe.c=0.5", "cache pin probe", "cache gc --max-size 0", "cache rm probe"]
    {
        let ran = run(command).expect("namespaces");
        assert_eq!(ran.code, Some(1), "{command}\n{}{}", ran.out, ran.err);
        assert!(ran.err.contains("cannot ") && ran.err.contains("Read-only"), "{command}\n{}", ran.err);
    }
}

#[test]
fn every_folder_of_the_cache_refuses() {
    for folder in ["objects", "manifests-v1", "checkpoints-v1", "locks-v1", "tmp", "memo-v1", "history-v2"] {
        let project = short();
        project.write(&format!("cache/{folder}"), "a file in its place");
        let ran = project.strata(&RUN);
        sane(&ran, folder);
        // Memos save time and the history explains: nothing depends on them.
        let needed = !["memo-v1", "history-v2"].contains(&folder);
        assert_eq!(ran.code, Some(i32::from(needed)), "{folder}\n{}", ran.err);
        assert!(!needed || ran.err.contains(folder), "{folder} is not named\n{}", ran.err);
        fs::remove_file(project.path("cache").join(folder)).expect("deleted");
        heals(&project, folder);
    }
}

fn set_time(path: &Path, time: SystemTime) {
    let file = fs::File::options().write(true).open(path).expect("opened");
    file.set_modified(time).expect("a time can be set");
}

#[test]
fn clocks_that_went_back() {
    let year = Duration::from_secs(365 * 24 * 3600);
    let now = SystemTime::now();
    for time in [now + Duration::from_secs(60), now + year * 400, SystemTime::UNIX_EPOCH, now - year] {
        let project = FINISHED.copy();
        let files = FINISHED.cache.iter().map(|(file, _)| project.path("cache").join(file));
        for file in files.chain([project.path("data/test_batch.bin"), project.path("pipelines/p.toml")]) {
            set_time(&file, time);
        }
        let run = project.json(&RUN);
        assert_eq!(run["counts"]["ran"], 0, "{time:?}");
        heals(&project, &format!("{time:?}"));
        // A change of a source is seen whatever its time says.
        let path = project.path("data/test_batch.bin");
        let mut bytes = fs::read(&path).expect("a source");
        bytes[100] ^= 1;
        fs::write(&path, bytes).expect("a changed source");
        set_time(&path, time);
        let plan = project.json(&["plan", "pipelines/p.toml"]);
        let photos = plan["stages"].as_array().expect("stages").iter().find(|stage| stage["instance"] == "photos");
        assert_eq!(photos.expect("photos")["status"], "run", "{time:?}");
    }
}
