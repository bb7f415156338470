//! Nothing is lost: killed, interrupted, extended and shared runs end with the bytes of a run that nothing disturbed.

use std::{
    collections::BTreeMap,
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{Project, Ran, is_event, lines_come, send, text};

const ALL: &str = include_str!("all_kinds.toml");
/// States are saved after every step, so that there is always one to go on from.
const RUN: [&str; 4] = ["run", "pipelines/p.toml", "--save-every", "0s"];

/// Every output hash and every metric of a finished run.
type Everything = BTreeMap<String, (Value, Value)>;

fn everything(project: &Project) -> Everything {
    let run = project.json(&RUN);
    let table = project.json(&["table", "pipelines/p.toml"]);
    let metrics: BTreeMap<String, Value> = table["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| (text(&row["instance"]), row["metrics"].clone()))
        .collect();
    let stages = run["stages"].as_array().expect("stages").iter();
    stages
        .map(|stage| {
            let name = text(&stage["instance"]);
            let outputs = stage["outputs"].as_object().expect("outputs").iter();
            let hashes: Value = outputs.map(|(port, output)| (port.clone(), output["hash"].clone())).collect();
            let metrics = metrics.get(&name).cloned().unwrap_or_default();
            (name, (hashes, metrics))
        })
        .collect()
}

fn start(project: &Project, more: &[&str]) -> Child {
    let mut command = project.command();
    command.args(RUN).args(more).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the binary can be started")
}

fn verified(project: &Project) {
    let verify = project.strata(&["cache", "verify"]);
    assert_eq!(verify.code, Some(0), "{}{}", verify.out, verify.err);
}

/// A stream of numbers in [0, 1), the same every time (Knuth's MMIX generator).
fn moments(seed: u64) -> impl Iterator<Item = f64> {
    let next =
        |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    std::iter::successors(Some(seed), next).skip(1).map(|state| (state >> 11) as f64 / (1u64 << 53) as f64)
}

/// Events that come in the same number whatever the load of the machine.
fn is_counted(line: &str) -> bool {
    ["stage_started", "checkpoint", "stage_finished"]
        .iter()
        .any(|event| line.contains(&format!("\"event\":\"{event}\"")))
}

/// Kills a run of every kind at `times` random moments, each in a new cache, and lets it go on. A moment is an event of the
/// run and a random part of 5 ms after it, so that a busy machine does not move them all behind the end.
fn killed(times: usize, seed: u64) {
    let reference = Project::with(ALL);
    let told = ["--events", "events.jsonl"];
    let mut child = start(&reference, &told);
    assert_eq!(child.wait().expect("a child ends").code(), Some(0));
    let events = std::fs::read_to_string(reference.path("events.jsonl")).expect("events");
    let whole = events.lines().filter(|line| is_counted(line)).count();
    let expected = everything(&reference);
    let (mut underway, mut resumed) = (0, 0);
    for (round, moment) in moments(seed).take(times).enumerate() {
        let project = Project::with(ALL);
        let mut child = start(&project, &told);
        let at = moment * whole as f64;
        lines_come(&project.path("events.jsonl"), &mut child, at as usize, is_counted);
        sleep(Duration::from_micros((5000.0 * at.fract()) as u64));
        underway += usize::from(child.try_wait().expect("a child").is_none());
        child.kill().expect("kill -9");
        child.wait().expect("a child ends");
        let again = project.json(&RUN);
        resumed += usize::from(again["counts"]["resumed"].as_u64() > Some(0));
        assert_eq!(everything(&project), expected, "round {round}, killed at {moment:.3} of {whole} events");
        verified(&project);
    }
    println!(
        "{times} of {times} killed runs ended with equal bytes; {underway} died under way, {resumed} resumed a stage"
    );
    assert!(underway * 2 > times, "most runs must be killed before their end: {underway} of {times}");
}

#[test]
fn a_killed_run_ends_with_the_bytes_of_one_that_was_not() {
    killed(6, 1);
}

#[test]
#[ignore = "takes many minutes: cargo test --test it -- --ignored killed_at_200 --nocapture"]
fn killed_at_200_random_moments() {
    killed(200, 2);
}

/// A project whose one training is long enough to be interrupted.
fn long_training() -> Project {
    Project::with(&ALL.replace("epochs = 2\nnegatives", "epochs = 60\nnegatives"))
}

/// Waits until a training has saved a state, as its events tell.
fn wait_for_state(project: &Project, child: &mut Child) {
    let saved = |line: &str| is_event(line, "checkpoint", "simclr");
    assert!(lines_come(&project.path("events.jsonl"), child, 1, saved), "ended without a state of simclr");
}

#[test]
fn interrupts_save_and_the_next_run_goes_on() {
    let reference = long_training();
    let until = [&RUN[..], &["--until", "simclr"]].concat();
    let hash = |run: &Value| {
        let stages = run["stages"].as_array().expect("stages");
        let simclr = stages.iter().find(|stage| stage["instance"] == "simclr").expect("simclr");
        (text(&simclr["status"]), simclr["outputs"]["weights"]["hash"].clone())
    };
    let (_, expected) = hash(&reference.json(&until));
    for name in ["INT", "TERM", "HUP"] {
        let project = long_training();
        let mut child = start(&project, &["--until", "simclr", "--events", "events.jsonl"]);
        wait_for_state(&project, &mut child);
        send(&child, name);
        assert_eq!(child.wait().expect("a child ends").code(), Some(130), "{name}");
        let plan = project.json(&["plan", "pipelines/p.toml", "--until", "simclr"]);
        let planned = plan["stages"].as_array().expect("stages").iter().find(|stage| stage["instance"] == "simclr");
        assert!(planned.expect("simclr")["resumes"]["epoch"].as_u64().is_some(), "{plan}");
        let text = project.done(&["plan", "pipelines/p.toml", "--until", "simclr"]).out;
        assert!(text.contains("simclr (interrupted; goes on after epoch "), "{text}");
        assert_eq!(hash(&project.json(&until)), ("resumed".to_owned(), expected.clone()), "{name}");
        verified(&project);
    }
    let project = long_training();
    let budget = project.strata(&[&until[..], &["--budget", "400ms"]].concat());
    assert_eq!(budget.code, Some(130), "{}", budget.err);
    assert_eq!(hash(&project.json(&until)).1, expected);
}

/// A training stage that can be extended: its table, without `epochs` and `schedule`.
fn extendable(stage: &str, more: &str, epochs: usize, schedule: &str) -> String {
    let head = ALL.split(&format!("[stage.{stage}]")).next().expect("a head").to_owned();
    let table = ALL.split(&format!("[stage.{stage}]\n")).nth(1).and_then(|rest| rest.split("\n[").next());
    // Early stopping would end the training before the epochs that are to be added.
    let other = |line: &&str| !line.starts_with("epochs") && !line.starts_with("patience");
    let table: Vec<&str> = table.expect("its table").lines().filter(other).collect();
    format!("{head}[stage.{stage}]\n{}\nepochs = {epochs}\nschedule = {schedule}\n{more}\n", table.join("\n"))
}

/// Runs one stage to `epochs`: its status, the hash of its weights, and the epochs that were executed.
fn trained(project: &Project, stage: &str, text_of: &str) -> (String, Value, Vec<u64>) {
    project.write("pipelines/p.toml", text_of);
    let _ = std::fs::remove_file(project.path("events.jsonl"));
    let run = project.json(&["run", "pipelines/p.toml", "--until", stage, "--events", "events.jsonl"]);
    let found = run["stages"].as_array().expect("stages").iter().find(|one| one["instance"] == stage).expect("it");
    let events = std::fs::read_to_string(project.path("events.jsonl")).expect("events");
    let executed = events.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).filter_map(|event| {
        (event["event"] == "progress" && event["instance"] == stage).then(|| event["epoch"].as_u64()).flatten()
    });
    let mut executed: Vec<u64> = executed.collect();
    executed.dedup();
    (text(&found["status"]), found["outputs"]["weights"]["hash"].clone(), executed)
}

#[test]
fn more_epochs_go_on_where_fewer_ended() {
    let sgd = |momentum: f64| format!("optimizer = {{ kind = \"sgd\", lr = 0.02, momentum = {momentum} }}");
    let kinds = ["simclr", "dae", "scratch", "fine_tune"].into_iter();
    let cases = kinds.flat_map(|stage| [0.0, 0.9].map(|momentum| (stage, sgd(momentum))));
    let schedules = ["{ kind = \"constant\" }", "{ kind = \"cosine\", horizon = 8 }"];
    let cases: Vec<_> =
        cases.flat_map(|(stage, sgd)| schedules.map(|schedule| (stage, sgd.clone(), schedule))).collect();
    for (stage, optimizer, schedule) in &cases {
        let text_of = |epochs| extendable(stage, optimizer, epochs, schedule);
        let (_, expected, _) = trained(&Project::new(), stage, &text_of(6));
        let project = Project::new();
        assert_eq!(trained(&project, stage, &text_of(3)).0, "ran");
        let (status, hash, executed) = trained(&project, stage, &text_of(6));
        assert_eq!((status.as_str(), &hash), ("resumed", &expected), "{stage}, {optimizer}, {schedule}");
        // The warm-up of fine_tune is an epoch of its own.
        let before = if *stage == "fine_tune" { 4 } else { 3 };
        assert_eq!(executed.first(), Some(&(before + 1)), "{stage}: epochs {executed:?} were executed");
    }
}

#[test]
fn a_schedule_over_all_epochs_starts_anew() {
    let text_of = |epochs| extendable("simclr", "", epochs, "{ kind = \"cosine\" }");
    let (_, expected, _) = trained(&Project::new(), "simclr", &text_of(6));
    let project = Project::new();
    trained(&project, "simclr", &text_of(3));
    let (status, hash, executed) = trained(&project, "simclr", &text_of(6));
    assert_eq!((status.as_str(), &hash, executed.first()), ("ran", &expected, Some(&1)));
    let check = project.done(&["check", "pipelines/p.toml"]);
    assert!(check.out.contains("horizon"), "check says so:\n{}", check.out);
}

#[test]
fn earlier_epochs_can_be_kept_as_outputs() {
    let schedule = "{ kind = \"constant\" }";
    let kept = extendable("simclr", "keep_epochs = [1, 2]", 3, schedule)
        + "[stage.at_2]\nkind = \"encode\"\ninputs = { weights = \"simclr.weights@2\", images = \"images.test\" }\n";
    let project = Project::with(&kept);
    let run = project.json(&["run", "pipelines/p.toml"]);
    let simclr = run["stages"].as_array().expect("stages").iter().find(|stage| stage["instance"] == "simclr");
    let at_2 = simclr.expect("simclr")["outputs"]["weights@2"]["hash"].clone();
    let (_, two, _) = trained(&Project::new(), "simclr", &extendable("simclr", "", 2, schedule));
    assert_eq!(at_2, two, "the weights at epoch 2 are those of a training of 2 epochs");
    project.write("pipelines/p.toml", kept.replace("weights@2\"", "weights@5\""));
    let wrong: Ran = project.strata(&["check", "pipelines/p.toml"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("keep_epochs = [5]"), "{}", wrong.err);
}

/// Starts `count` runs at once, each with a file for its events and one for its output.
fn crowd(project: &Project, count: usize, more: &[&str]) -> Vec<Child> {
    let start = |id: usize| {
        let out = std::fs::File::create(project.path(&format!("out-{id}"))).expect("a file for the output");
        let mut command = project.command();
        command.args(RUN).args(more).args(["--events", &format!("events-{id}.jsonl")]);
        command.stdout(out).stderr(Stdio::null()).spawn().expect("the binary can be started")
    };
    (0..count).map(start).collect()
}

/// What a run of [`crowd`] told, without a last line that a kill cut short.
fn events(project: &Project, id: usize) -> Vec<Value> {
    let events = std::fs::read_to_string(project.path(&format!("events-{id}.jsonl"))).unwrap_or_default();
    events.lines().map_while(|line| serde_json::from_str(line).ok()).collect()
}

/// How often each instance was started, by all runs of a crowd together.
fn starts(project: &Project, count: usize) -> BTreeMap<String, usize> {
    let mut starts = BTreeMap::new();
    for event in (0..count).flat_map(|id| events(project, id)).filter(|event| event["event"] == "stage_started") {
        *starts.entry(text(&event["instance"])).or_default() += 1;
    }
    starts
}

#[test]
fn four_processes_compute_every_key_once() {
    let project = Project::with(ALL);
    for mut child in crowd(&project, 4, &[]) {
        assert_eq!(child.wait().expect("a child ends").code(), Some(0));
    }
    let starts = starts(&project, 4);
    assert!(starts.len() > 10 && starts.values().all(|&times| times == 1), "{starts:?}");
    let table = |id: usize| {
        let out = std::fs::read_to_string(project.path(&format!("out-{id}"))).expect("the output");
        // The last line counts what this process ran.
        let (table, _) = out.trim_end().rsplit_once('\n').expect("a table and a line");
        table.to_owned()
    };
    assert!(table(0).contains("probe"), "{}", table(0));
    assert!((1..4).all(|id| table(id) == table(0)), "four equal tables");
    verified(&project);
}

#[test]
fn one_of_three_takes_over_what_a_killed_process_did() {
    let until = ["--until", "simclr"];
    let weights = |project: &Project| {
        let run = project.json(&[&RUN[..], &until].concat());
        let stages = run["stages"].as_array().expect("stages");
        stages.iter().find(|stage| stage["instance"] == "simclr").expect("simclr")["outputs"].clone()
    };
    let hash = |outputs: &Value| outputs["weights"]["hash"].clone();
    let project = long_training();
    let mut children = crowd(&project, 4, &until);
    let is = |event: &Value, what: &str| event["event"] == what && event["instance"] == "simclr";
    let deadline = Instant::now() + Duration::from_secs(120);
    let killed = loop {
        let saved = |id: &usize| events(&project, *id).iter().any(|event| is(event, "checkpoint"));
        if let Some(id) = (0..4).find(saved) {
            break id;
        }
        assert!(Instant::now() < deadline, "no state of simclr in two minutes");
        sleep(Duration::from_millis(10));
    };
    children[killed].kill().expect("kill -9");
    for (id, child) in children.iter_mut().enumerate() {
        let code = child.wait().expect("a child ends").code();
        assert_eq!(code, if id == killed { None } else { Some(0) }, "process {id}");
    }
    let others: Vec<usize> = (0..4).filter(|&id| id != killed).collect();
    let heirs: Vec<usize> =
        others.iter().copied().filter(|&id| events(&project, id).iter().any(|event| is(event, "resumed"))).collect();
    assert_eq!(heirs.len(), 1, "one goes on");
    // A checkpoint event follows the file, so the heir may know of a later state, never of an earlier one.
    let at = |event: &Value| (event["epoch"].as_u64(), event["step"].as_u64());
    let last = events(&project, killed).iter().filter(|event| is(event, "checkpoint")).map(at).max();
    let resumed = events(&project, heirs[0]).iter().find(|event| is(event, "resumed")).map(at);
    assert!(resumed >= last && last.is_some(), "{resumed:?} behind {last:?}: computed again");
    for (instance, times) in starts(&project, 4) {
        assert_eq!(times, if instance == "simclr" { 2 } else { 1 }, "{instance}");
    }
    assert_eq!(hash(&weights(&project)), hash(&weights(&long_training())), "the bytes of an undisturbed run");
    verified(&project);
}

#[test]
fn the_work_of_a_killed_process_is_taken_over() {
    let project = long_training();
    let until = ["--until", "simclr"];
    let mut first = start(&project, &["--until", "simclr", "--events", "events.jsonl"]);
    wait_for_state(&project, &mut first);
    let mut second = project.command();
    second.args(RUN).args(until).args(["--events", "second.jsonl"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut second = second.spawn().expect("the binary can be started");
    let waits = |line: &str| is_event(line, "waiting", "simclr");
    assert!(lines_come(&project.path("second.jsonl"), &mut second, 1, waits), "the second waits for the first");
    first.kill().expect("kill -9");
    let pid = first.id();
    first.wait().expect("a child ends");
    let ended = second.wait_with_output().expect("a child ends");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{said}");
    assert!(said.contains(&format!("process {pid}")) && said.contains("resumes  simclr"), "{said}");
}
