//! Run records: every run leaves one, whatever becomes of it, and it can be looked at when file and data have changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{NEIGHBOURS, Project, Ran, send, text};

/// A program that waits for a file, so that a test can look at a run under way.
const PATIENT: &str = r#"
[kind.wait]
run = "sh wait.sh {outputs.text} {params.name}"
files = ["wait.sh"]
outputs = { text = "file" }
params = { name = "a" }

[stage.first]
kind = "wait"

[stage.second]
kind = "wait"
name = "b"
"#;

const WAIT: &str = r#"
echo "waits for $2" > "$1"
touch "$HOME/started-$2-$$"
[ "$2" = a ] && exit 0
while [ ! -e "$HOME/go" ]; do sleep 0.02; done
"#;

/// The runs of a file, newest first.
fn runs(project: &Project) -> Vec<Value> {
    list(&project.json(&["runs", "pipelines/p.toml"])["runs"])
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list")).clone()
}

fn run(project: &Project, more: &[&str]) -> String {
    let args: Vec<&str> = ["run", "pipelines/p.toml"].iter().chain(more).copied().collect();
    text(&project.json(&args)["run"])
}

/// The accuracy of each instance of the neighbours.
fn scores(project: &Project, more: &[&str]) -> BTreeMap<String, f64> {
    let args: Vec<&str> = ["table", "pipelines/p.toml", "knn"].iter().chain(more).copied().collect();
    let rows = list(&project.json(&args)["rows"]);
    let score = |row: &Value| (text(&row["instance"]), row["metrics"]["test_accuracy"].as_f64().expect("a score"));
    rows.iter().map(score).collect()
}

fn record(project: &Project, id: &str, file: &str) -> Value {
    let path = project.path(&format!("cache/runs-v1/{id}/{file}"));
    serde_json::from_slice(&fs::read(&path).expect("a file of the record")).expect("JSON")
}

#[test]
fn a_record_says_what_was_asked_and_what_became_of_it() {
    let project = Project::with(NEIGHBOURS);
    let answer = project.json(&["run", "pipelines/p.toml", "-S", "knn.k=1,5", "--until", "knn", "--events", "e.jsonl"]);
    assert_eq!(answer["format"], 1);
    let id = text(&answer["run"]);
    assert!(list(&answer["stages"]).iter().all(|stage| stage["where"] == "local" && stage["log"].is_null()));
    let asked = record(&project, &id, "run.json");
    assert_eq!(asked["format"], 1);
    assert_eq!((text(&asked["id"]), text(&asked["file"])), (id.clone(), "pipelines/p.toml".to_owned()));
    assert_eq!(text(&asked["text"]), NEIGHBOURS);
    let typed = ["pipelines/p.toml", "-S", "knn.k=1,5", "--until", "knn", "--events", "e.jsonl", "--output", "json"];
    assert_eq!(asked["arguments"], json!(typed));
    assert_eq!(asked["changes"], json!({"set": ["knn.k=1,5"], "sweep": null, "variant": null, "seeds": null}));
    assert_eq!((&asked["targets"], &asked["until"]), (&json!([]), &json!(["knn"])));
    assert_eq!(asked["instances"].as_array().map(Vec::len), Some(5));
    assert_eq!(asked["instances"][3]["axes"], json!({"knn.k": 1}));
    let end = record(&project, &id, "end.json");
    assert_eq!((&end["status"], &end["counts"]["ran"]), (&json!("done"), &json!(5)));
    let of_run: BTreeMap<String, Value> =
        list(&answer["stages"]).iter().map(|stage| (text(&stage["instance"]), stage["key"].clone())).collect();
    let of_end = end["outcomes"].as_object().expect("outcomes");
    assert_eq!(of_end.iter().map(|(name, one)| (name.clone(), one["key"].clone())).collect::<BTreeMap<_, _>>(), of_run);

    // The recorded events are those of `--events`, apart from the time and progress that is left out.
    let lines = |path: &Path| {
        let told = fs::read_to_string(path).expect("events");
        let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert!(lines.iter().all(|line| line["run"] == id.as_str() && line["time"].is_string()), "{told}");
        let rest = lines.into_iter().filter(|line| line["event"] != "progress");
        rest.map(|mut line| {
            line["time"] = Value::Null;
            line
        })
        .collect::<Vec<_>>()
    };
    let recorded = lines(&project.path(&format!("cache/runs-v1/{id}/events.jsonl")));
    assert_eq!(recorded, lines(&project.path("e.jsonl")));

    let listed = &runs(&project)[0];
    let counts = json!({"cached": 0, "ran": 5, "resumed": 0, "failed": 0, "blocked": 0});
    assert_eq!((&listed["id"], &listed["status"], &listed["counts"]), (&json!(id), &json!("done"), &counts));
    assert_eq!(listed["started"], asked["started"]);
    for format in ["text", "csv", "markdown"] {
        let shown = project.done(&["runs", "--output", format]).out;
        assert!(shown.contains(&id) && shown.contains("knn.k=1,5") && shown.contains("5 ran"), "{shown}");
    }
}

#[test]
fn three_edits_and_two_sweeps_of_one_file_are_all_found_again_and_nothing_twice() {
    let project = Project::with(&format!("{NEIGHBOURS}k = 3\n"));
    let first = run(&project, &[]);
    project.edit("pipelines/p.toml", "train = 120", "train = 100");
    let second = run(&project, &[]);
    project.edit("pipelines/p.toml", "k = 3", "k = 7");
    let third = run(&project, &[]);
    let fourth = run(&project, &["-S", "knn.k=1,3"]);
    let fifth = run(&project, &["-S", "images.seed=1,2", "-S", "knn.k=5"]);
    let all = runs(&project);
    let ids: Vec<String> = all.iter().map(|run| text(&run["id"])).collect();
    assert_eq!(ids, [&fifth, &fourth, &third, &second, &first].map(String::as_str));

    // 120 images with k = 3; 100 with 3, 7, 1; two seeds with 5. The sweep has 3 once more.
    let history = project.json(&["table", "pipelines/p.toml", "--history"]);
    let rows = list(&history["rows"]);
    let keys: BTreeSet<String> = rows.iter().map(|row| text(&row["key"])).collect();
    assert_eq!((rows.len(), keys.len()), (6, 6), "{history:#}");
    let parameters = |row: &Value| {
        let of = |name: &str| row["parameters"][name].as_u64().unwrap_or_else(|| panic!("{name} of {row}"));
        (of("images.train"), of("knn.k"), of("images.seed"))
    };
    let found: BTreeSet<_> = rows.iter().map(parameters).collect();
    let wanted = [(120, 3, 0), (100, 3, 0), (100, 7, 0), (100, 1, 0), (100, 5, 1), (100, 5, 2)];
    assert_eq!(found, wanted.into_iter().collect());
    assert!(rows.iter().all(|row| row["parameters"].as_object().is_some_and(|all| all.len() == 3)), "{history:#}");
    let by_k: BTreeMap<_, String> = rows.iter().map(|row| (parameters(row), text(&row["run"]))).collect();
    assert_eq!((&by_k[&(120, 3, 0)], &by_k[&(100, 3, 0)], &by_k[&(100, 7, 0)]), (&first, &fourth, &third));

    // Each run still shows what it showed.
    let of_first = scores(&project, &["--run", &first]);
    assert_eq!(of_first.len(), 1);
    assert_eq!(scores(&project, &["--run", "last"]), scores(&project, &["-S", "images.seed=1,2", "-S", "knn.k=5"]));
    assert_eq!(scores(&project, &["--run", &fourth]).len(), 2);

    // Sorted, and the best of them.
    let sorted = project.json(&["table", "pipelines/p.toml", "--history", "--sort", "knn.test_accuracy", "--top", "4"]);
    let best: Vec<f64> =
        list(&sorted["rows"]).iter().filter_map(|row| row["metrics"]["test_accuracy"].as_f64()).collect();
    assert_eq!(best.len(), 4);
    assert!(best.windows(2).all(|two| two[0] >= two[1]), "{best:?}");
    let csv = project.done(&["table", "pipelines/p.toml", "--history", "--output", "csv"]).out;
    let header = csv.lines().next().expect("a header");
    assert!(header.starts_with("stage,instance,key,finished,run,images.seed,images.train,knn.k,"), "{header}");
    let shown = project.done(&["table", "pipelines/p.toml", "--history"]).out;
    assert!(shown.contains("images.train") && shown.contains(&first), "{shown}");
    let wrong = project.strata(&["table", "pipelines/p.toml", "--history", "--sort", "accuracy"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("no result has the metric `accuracy`") && wrong.err.contains("`test_accuracy`"));

    // Two runs, compared.
    let diff = project.json(&["diff", "pipelines/p.toml", "--run", &first, "--run", &third]);
    let differences = list(&diff["instances"]);
    let of = |stage: &str| differences.iter().find(|one| one["a"] == stage).unwrap_or_else(|| panic!("{diff:#}"));
    assert_eq!(of("images")["parameters"], json!([{"name": "train", "a": 120, "b": 100}]));
    assert_eq!(of("knn")["parameters"], json!([{"name": "k", "a": 3, "b": 7}]));
    assert!(!list(&of("knn")["metrics"]).is_empty());
    let one = project.json(&["diff", "pipelines/p.toml", "knn", "--run", &first, "--run", &third]);
    let changed = json!([{"name": "images.train", "a": 120, "b": 100}, {"name": "knn.k", "a": 3, "b": 7}]);
    assert_eq!(one["instances"][0]["parameters"], changed);
    let same = project.done(&["diff", "pipelines/p.toml", "--run", &first, "--run", &first]).out;
    assert!(same.contains("the two runs made the same"), "{same}");
}

#[test]
fn a_run_shows_its_results_when_its_data_are_gone() {
    let project = Project::with(
        &NEIGHBOURS.replace("train = 120\ntest = 60\nsize = 16", "source = \"image_folder\"\npath = \"data\""),
    );
    let picture = |name: &str, shade: u8| {
        project.write(name, "");
        image::RgbImage::from_pixel(8, 8, image::Rgb([shade, shade / 2, 255 - shade]))
            .save(project.path(name))
            .expect("a picture");
    };
    for split in ["train", "test"] {
        for at in 0..6u8 {
            picture(&format!("data/{split}/dark/{at}.png"), at * 9);
            picture(&format!("data/{split}/light/{at}.png"), 140 + at * 9);
        }
    }
    let id = run(&project, &[]);
    let before = scores(&project, &[]);
    assert_eq!(before.len(), 1);
    fs::remove_dir_all(project.path("data")).expect("the data");
    assert_eq!(project.strata(&["table", "pipelines/p.toml"]).code, Some(2), "the file alone is a mistake now");
    assert_eq!(scores(&project, &["--run", "last"]), before);
    fs::remove_file(project.path("pipelines/p.toml")).expect("the file");
    assert_eq!(scores(&project, &["--run", &id]), before);
    let plan = project.json(&["plan", "pipelines/p.toml", "--run", &id]);
    assert_eq!(plan["counts"]["cached"], 4, "{plan:#}");
    project.done(&["report", "pipelines/p.toml", "--run", &id]);
    project.done(&["log", "pipelines/p.toml", "knn", "--run", &id]);
    project.done(&["why", "pipelines/p.toml", "knn", "--run", &id]);
    project.done(&["export", "pipelines/p.toml", "train.features", "-o", "out", "--run", &id]);
    project.done(&["compare", "pipelines/p.toml", "--run", &id]);
    // A result that was deleted is said to be gone, and no other takes its place.
    let key = text(&list(&plan["stages"])[3]["key"]);
    project.done(&["cache", "rm", &key]);
    let plan = project.json(&["plan", "pipelines/p.toml", "--run", &id]);
    assert_eq!(list(&plan["stages"])[3]["reason"]["kind"], "deleted");
    assert!(scores(&project, &["--run", &id]).is_empty());
}

#[test]
fn a_forgotten_flag_is_told_in_one_line() {
    let project = Project::with(&format!("{NEIGHBOURS}\n[variant.small]\nset = {{ \"images.train\" = 60 }}\n"));
    project.done(&["run", "pipelines/p.toml", "-S", "knn.k=1,5", "--variant", "base", "-q"]);
    let note =
        "note: the last run of pipelines/p.toml had `-S 'knn.k=1,5' --variant base`; `--run last` shows its results";
    for verb in [&["table", "pipelines/p.toml"][..], &["plan", "pipelines/p.toml"], &["compare", "pipelines/p.toml"]] {
        let told = project.done(verb).err;
        assert_eq!(told.matches(note).count(), 1, "{verb:?}: {told}");
    }
    assert!(!project.done(&["table", "pipelines/p.toml", "-q"]).err.contains("note:"));
    let same = ["table", "pipelines/p.toml", "-S", "knn.k=1,5", "--variant", "base"];
    assert!(!project.done(&same).err.contains("the last run"));
    assert_eq!(scores(&project, &["--run", "last"]), scores(&project, &same[2..]));
    let refused = project.strata(&["table", "pipelines/p.toml", "--run", "last", "--seeds", "2"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.err.contains("`--run` shows a run as it was") && refused.err.contains("`--seeds`"),
        "{}",
        refused.err
    );
}

#[test]
fn a_run_that_cannot_begin_has_no_record_and_one_that_fails_has() {
    let project = Project::with(&NEIGHBOURS.replace("size = 16", "sise = 16"));
    assert_eq!(project.strata(&["run", "pipelines/p.toml"]).code, Some(2));
    project.write("pipelines/p.toml", NEIGHBOURS);
    assert_eq!(project.strata(&["run", "pipelines/p.toml", "nothing"]).code, Some(2));
    assert_eq!(project.strata(&["run", "pipelines/p.toml", "--events", "no/such/folder"]).code, Some(1));
    assert!(!project.path("cache/runs-v1").exists() || runs(&project).is_empty());
    assert!(!project.done(&["runs", "pipelines/p.toml"]).err.contains("warning"));

    let project = Project::with(
        "[kind.bad]\nrun = \"sh -c 'echo no luck; exit 3'\"\noutputs = { x = \"file\" }\n[stage.bad]\nkind = \"bad\"\n",
    );
    let failed = project.strata(&["run", "pipelines/p.toml", "--output", "json"]);
    assert_eq!(failed.code, Some(1), "{}", failed.err);
    let answer: Value = serde_json::from_str(&failed.out).expect("JSON");
    let log = text(&answer["stages"][0]["log"]);
    assert!(fs::read_to_string(project.path("").join(log)).expect("the log").contains("no luck"));
    let listed = &runs(&project)[0];
    assert_eq!((&listed["status"], &listed["counts"]["failed"]), (&json!("failed"), &json!(1)));
    assert!(project.done(&["log", "pipelines/p.toml", "bad", "--run", "last"]).out.contains("no luck"));
}

/// Starts a run of [`PATIENT`].
fn start(project: &Project) -> Child {
    let mut command = project.command();
    command.args(["run", "pipelines/p.toml", "-q", "-S", "first.name=a"]).env("HOME", project.path(""));
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary can be started")
}

/// Waits until something holds.
fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{what} does not come");
        sleep(Duration::from_millis(10));
    }
}

fn started(project: &Project, name: &str) -> usize {
    let entries = fs::read_dir(project.path("")).expect("the project");
    let is_one = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&format!("started-{name}"));
    entries.filter_map(Result::ok).filter(is_one).count()
}

fn statuses(project: &Project) -> Vec<String> {
    runs(project).iter().map(|run| text(&run["status"])).collect()
}

#[test]
fn a_run_is_running_then_interrupted() {
    let project = Project::with(PATIENT);
    project.write("wait.sh", WAIT);
    let mut child = start(&project);
    until("the second stage", || started(&project, "b") == 1);
    until("the record of the first stage", || runs(&project)[0]["counts"] == json!({"ran": 1}));
    let listed = &runs(&project)[0];
    assert_eq!((&listed["status"], &listed["seconds"]), (&json!("running"), &Value::Null));
    let plan = project.json(&["plan", "pipelines/p.toml", "--run", "last"]);
    let words: Vec<String> = list(&plan["stages"]).iter().map(|stage| text(&stage["status"])).collect();
    assert_eq!(words, ["cached", "run"], "what it has so far: {plan:#}");
    send(&child, "INT");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert_eq!(statuses(&project), ["interrupted"]);
    assert_eq!(runs(&project)[0]["counts"]["blocked"], 1);
}

#[test]
fn of_eight_runs_at_once_four_that_are_killed_are_lost_and_the_others_done() {
    let project = Project::with(PATIENT);
    project.write("wait.sh", WAIT);
    let mut children: Vec<Child> = (0..8).map(|_| start(&project)).collect();
    until("eight records", || runs(&project).len() == 8 && started(&project, "b") > 0);
    assert_eq!(statuses(&project), ["running"; 8]);
    let pids: BTreeSet<u64> = runs(&project)
        .iter()
        .filter_map(|run| record(&project, &text(&run["id"]), "run.json")["pid"].as_u64())
        .collect();
    assert_eq!(pids, children.iter().map(|child| u64::from(child.id())).collect());
    for child in &mut children[..4] {
        child.kill().expect("killed");
        child.wait().expect("it ends");
    }
    project.write("go", "");
    for child in &mut children[4..] {
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
    }
    let all = runs(&project);
    let of = |child: &Child| {
        let is_it = |run: &&Value| record(&project, &text(&run["id"]), "run.json")["pid"] == child.id();
        all.iter().find(is_it).unwrap_or_else(|| panic!("a run of {}", child.id()))
    };
    for child in &children[..4] {
        assert_eq!(of(child)["status"], "lost");
    }
    for child in &children[4..] {
        let run = of(child);
        assert_eq!(run["status"], "done");
        let outcomes = record(&project, &text(&run["id"]), "end.json")["outcomes"].clone();
        let names: Vec<&String> = outcomes.as_object().expect("outcomes").keys().collect();
        assert_eq!(names, ["first", "second"]);
    }
    // What a lost run did is known up to the moment of its end.
    let plan = project.json(&["plan", "pipelines/p.toml", "--run", &text(&of(&children[0])["id"])]);
    assert_eq!(plan["stages"][1]["reason"]["kind"], "not_in_run", "{plan:#}");
}

#[test]
fn records_that_cannot_be_used_are_passed_over_with_a_word() {
    let project = Project::with(NEIGHBOURS);
    let ids: Vec<String> = (0..4).map(|_| run(&project, &[])).collect();
    let path = |id: &str, file: &str| project.path(&format!("cache/runs-v1/{id}/{file}"));
    fs::write(path(&ids[1], "run.json"), "{\"format\":1,\"id\":").expect("half written");
    fs::write(path(&ids[2], "run.json"), "{\"format\":9,\"news\":[]}").expect("of the future");
    fs::write(path(&ids[3], "end.json"), "damaged").expect("damaged");
    let Ran { out, err, .. } = project.done(&["runs", "pipelines/p.toml"]);
    assert!(out.contains(&ids[0]) && !out.contains(&ids[1]) && !out.contains(&ids[2]), "{out}");
    assert!(
        err.contains(&format!("warning: the record of run {} is passed over: its run.json is damaged", ids[1])),
        "{err}"
    );
    assert!(err.contains("has format 9, and this version of strata reads format 1"), "{err}");
    assert!(err.contains("its end.json is damaged") && out.contains("lost"), "{err}{out}");
    // Other verbs go on, and a run that is asked for by its id is refused with the reason.
    assert_eq!(scores(&project, &["--history"]).len(), 1);
    project.done(&["run", "pipelines/p.toml", "-q"]);
    let refused = project.strata(&["table", "pipelines/p.toml", "--run", &ids[2]]);
    assert!(refused.code == Some(1) && refused.err.contains("format 9"), "{}", refused.err);
    let absent = project.strata(&["table", "pipelines/p.toml", "--run", "20200101-000000-abc"]);
    assert!(absent.code == Some(2) && absent.err.contains("`strata runs pipelines/p.toml`"), "{}", absent.err);
    let no_id = project.strata(&["table", "pipelines/p.toml", "--run", "../../x"]);
    assert!(no_id.code == Some(2) && no_id.err.contains("looks like"), "{}", no_id.err);
    project.write("pipelines/q.toml", NEIGHBOURS);
    let other = project.strata(&["table", "pipelines/q.toml", "--run", &ids[0]]);
    assert!(other.code == Some(2) && other.err.contains("p.toml"), "{}", other.err);
}

#[test]
fn a_record_that_cannot_be_written_costs_one_warning_and_no_result() {
    let project = Project::with(NEIGHBOURS);
    project.write("cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n");
    project.write("cache/runs-v1", "a file where a folder should be");
    let ran = project.done(&["run", "pipelines/p.toml"]);
    assert_eq!(ran.err.matches("warning: the run is not recorded").count(), 1, "{}", ran.err);
    assert_eq!(scores(&project, &[]).len(), 1);
}

#[test]
fn a_cache_of_an_earlier_version_has_results_and_no_runs() {
    let project = Project::with(NEIGHBOURS);
    project.done(&["run", "pipelines/p.toml", "-q"]);
    project.edit("pipelines/p.toml", "train = 120", "train = 100");
    project.done(&["run", "pipelines/p.toml", "-q"]);
    fs::remove_dir_all(project.path("cache/runs-v1")).expect("records");
    let none = project.done(&["runs", "pipelines/p.toml"]);
    assert!(none.out.is_empty() && none.err.contains("holds no run of pipelines/p.toml"), "{}", none.err);
    let rows = list(&project.json(&["table", "pipelines/p.toml", "--history"])["rows"]);
    let trains: BTreeSet<u64> = rows.iter().filter_map(|row| row["parameters"]["images.train"].as_u64()).collect();
    assert_eq!((rows.len(), trains), (2, BTreeSet::from([100, 120])));
    let refused = project.strata(&["table", "pipelines/p.toml", "--run", "last"]);
    assert!(refused.code == Some(2) && refused.err.contains("holds no run"), "{}", refused.err);
}

#[test]
fn garbage_collection_keeps_records_unless_it_is_told() {
    let project = Project::with(NEIGHBOURS);
    let ids = [run(&project, &[]), run(&project, &[])];
    project.done(&["cache", "gc"]);
    assert_eq!(runs(&project).len(), 2);
    project.done(&["cache", "gc", "--runs-older-than", "1h"]);
    assert_eq!(runs(&project).len(), 2);
    let old = project.path("cache/runs-v1/20200101-000000-abc");
    fs::rename(project.path(&format!("cache/runs-v1/{}", ids[0])), &old).expect("older now");
    let told = project.done(&["cache", "gc", "--runs-older-than", "30d", "-n"]).out;
    assert!(told.contains("would delete the record of 1 run") && old.exists(), "{told}");
    let told = project.done(&["cache", "gc", "--runs-older-than", "30d"]).out;
    assert!(told.contains("deleted the record of 1 run") && !old.exists(), "{told}");
    assert_eq!(runs(&project).len(), 1);
    assert_eq!(scores(&project, &[]).len(), 1, "results stay");
}

#[test]
fn two_files_of_one_name_do_not_share_runs_or_history() {
    let project = Project::with(&format!("[pipeline]\nname = \"same\"\n{NEIGHBOURS}"));
    project.write(
        "pipelines/q.toml",
        format!("[pipeline]\nname = \"same\"\n{}", NEIGHBOURS.replace("size = 16", "size = 8")),
    );
    let id = run(&project, &[]);
    project.done(&["run", "pipelines/q.toml", "-q"]);
    assert_eq!(runs(&project).iter().map(|run| text(&run["id"])).collect::<Vec<_>>(), [id]);
    assert_eq!(list(&project.json(&["runs"])["runs"]).len(), 2);
    assert_eq!(scores(&project, &["--history"]).len(), 1);
}
