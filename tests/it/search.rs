//! Searches of a sweep: random points, successive halving; more seeds until intervals are narrow.

use std::{collections::BTreeSet, process::Stdio};

use serde_json::Value;

use crate::support::{Project, lines_come, send, text};

const FILE: &str = r#"
[stage.images]
kind = "dataset"
train = 60
test = 40
size = 8

[stage.batches]
kind = "sampler"
inputs = { labels = "images.train" }
policy = "random"
batch_size = 10
rounds = 2

[stage.simclr]
kind = "simclr"
inputs = { images = "images.train", batches = "batches.batches" }
encoder = { kind = "resnet", n = 1, width = 0.25 }
head = [8]
epochs = 9
schedule = { kind = "cosine", horizon = 9 }

[stage.train]
kind = "encode"
inputs = { weights = "simclr.weights", images = "images.train" }

[stage.test]
kind = "encode"
inputs = { weights = "simclr.weights", images = "images.test" }

[stage.probe]
kind = "linear_probe"
inputs = { train = "train.features", test = "test.features" }
at = "p3"
"#;

const GRID: &str = "'simclr.temperature' = [0.1, 0.2, 0.5]\n'simclr.optimizer.lr' = [0.01, 0.03, 0.1]\n";

fn project(sweep: &str) -> Project {
    Project::with(&format!("{FILE}[sweep]\n{sweep}"))
}

/// The instances of a stage in a run or plan, with their status words.
fn of_stage(document: &Value, stage: &str) -> Vec<(String, String)> {
    let stages = document["stages"].as_array().expect("stages").iter();
    let of_stage = stages.filter(|line| line["name"] == stage);
    of_stage.map(|line| (text(&line["instance"]), text(&line["status"]))).collect()
}

fn names(document: &Value, stage: &str) -> BTreeSet<String> {
    of_stage(document, stage).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_larger_budget_only_adds_random_points() {
    let project = project(&format!("method = 'random'\nbudget = 3\n{GRID}"));
    let few = names(&project.json(&["plan", "pipelines/p.toml"]), "simclr");
    assert_eq!(few.len(), 3);
    project.edit("pipelines/p.toml", "budget = 3", "budget = 6");
    let more = names(&project.json(&["plan", "pipelines/p.toml"]), "simclr");
    assert!(more.len() == 6 && more.is_superset(&few), "{few:?} {more:?}");
    project.edit("pipelines/p.toml", "budget = 6", "budget = 100");
    assert_eq!(names(&project.json(&["plan", "pipelines/p.toml"]), "simclr").len(), 9, "the grid has no more");
    project.edit("pipelines/p.toml", "[0.01, 0.03, 0.1]", "'log_uniform(0.01, 0.1)'");
    let drawn = names(&project.json(&["plan", "pipelines/p.toml", "-S", "pipeline.seed=4"]), "simclr");
    assert_eq!(drawn.len(), 100);
    assert_ne!(drawn, names(&project.json(&["plan", "pipelines/p.toml"]), "simclr"), "another seed, other points");
}

/// The ranking of the first rung, worked out from the table; the order of the file for equals.
fn best(project: &Project, count: usize) -> BTreeSet<String> {
    let table = project.json(&["table", "pipelines/p.toml"]);
    let rows = table["rows"].as_array().expect("rows").iter();
    let mut scored: Vec<(f64, String)> = rows
        .filter(|row| row["stage"] == "probe" && row["axes"]["simclr.epochs"] == 1)
        .map(|row| (row["metrics"]["test_accuracy"].as_f64().expect("a score"), text(&row["instance"])))
        .collect();
    assert_eq!(scored.len(), 9);
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let point = |name: String| name.replace("probe@", "simclr@").replace("epochs=1", "epochs=3");
    scored.into_iter().take(count).map(|(_, name)| point(name)).collect()
}

#[test]
fn halving_takes_the_best_further() {
    let halving = "method = 'halving'\nover = 'simclr.epochs'\nscore = 'probe.test_accuracy'\n";
    let project = project(&format!("{halving}{GRID}"));
    let plan = project.json(&["plan", "pipelines/p.toml"]);
    assert_eq!(names(&plan, "simclr").len(), 9, "only the first rung is known");
    assert!(names(&plan, "simclr").iter().all(|name| name.ends_with("simclr.epochs=1")));

    let done = project.json(&["run", "pipelines/p.toml", "-q"]);
    let simclr = of_stage(&done, "simclr");
    let of_rung = |rung: &str| simclr.iter().filter(|(name, _)| name.ends_with(rung)).cloned().collect::<Vec<_>>();
    assert_eq!(["epochs=1", "epochs=3", "epochs=9"].map(|rung| of_rung(rung).len()), [9, 3, 1]);
    assert!(of_rung("epochs=1").iter().all(|(_, status)| status == "ran"));
    // Survivors go on from the state of the rung before.
    assert!(of_rung("epochs=3").iter().chain(&of_rung("epochs=9")).all(|(_, status)| status == "resumed"));
    assert_eq!(of_rung("epochs=3").into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>(), best(&project, 3));

    let again = project.json(&["run", "pipelines/p.toml", "-q"]);
    assert_eq!(again["counts"]["cached"], again["stages"].as_array().expect("stages").len());
    assert_eq!(names(&again, "simclr"), names(&done, "simclr"));
    let plan = project.json(&["plan", "pipelines/p.toml"]);
    assert_eq!(names(&plan, "simclr"), names(&done, "simclr"), "a plan knows what results decide");
    // A lower score can be the better one.
    project.edit("pipelines/p.toml", "test_accuracy'", "loss'\ngoal = 'minimize'");
    let other = project.json(&["run", "pipelines/p.toml", "-q", "-S", "simclr.epochs=3"]);
    assert_eq!(of_stage(&other, "simclr").len(), 9 + 3);
}

#[test]
fn a_halving_that_was_stopped_goes_on() {
    let halving = "method = 'halving'\nover = 'simclr.epochs'\nscore = 'probe.test_accuracy'\nbudget = 5\n";
    let project = project(&format!("{halving}{GRID}"));
    let run = ["run", "pipelines/p.toml", "-q", "--events", "events.jsonl"];
    let mut part = project.command().args(run).stdout(Stdio::null()).spawn().expect("the binary can be started");
    let trained = |line: &str| line.contains("\"event\":\"stage_finished\"") && line.contains("\"kind\":\"simclr\"");
    assert!(lines_come(&project.path("events.jsonl"), &mut part, 1, trained));
    send(&part, "INT");
    assert_eq!(part.wait().expect("it ends").code(), Some(130));
    let rest = project.json(&["run", "pipelines/p.toml", "-q"]);
    assert_eq!(names(&rest, "simclr").len(), 5 + 1);
    project.edit("pipelines/p.toml", "probe.test_accuracy", "probe.acuracy");
    let wrong = project.strata(&["run", "pipelines/p.toml", "-q"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("no instance of `probe` has the metric `acuracy`"), "{}", wrong.err);
}

#[test]
fn rungs_that_cannot_extend_are_announced() {
    let halving = "method = 'halving'\nover = 'simclr.epochs'\nscore = 'probe.test_accuracy'\nbudget = 3\n";
    let project = project(&format!("{halving}{GRID}"));
    assert!(!project.done(&["plan", "pipelines/p.toml"]).err.contains("anew"));
    project.edit("pipelines/p.toml", "horizon = 9", "horizon = 0");
    let said = project.done(&["plan", "pipelines/p.toml"]).err;
    assert!(said.contains("each rung starts `simclr` anew") && said.contains("`schedule.horizon = 9`"), "{said}");
}

/// Half the width that the table gives, and the number of seeds.
fn width(project: &Project, seeds: usize) -> f64 {
    let seeds = seeds.to_string();
    let table = project.json(&["table", "pipelines/p.toml", "--seeds", &seeds]);
    let rows = table["rows"].as_array().expect("rows").iter().filter(|row| row["stage"] == "probe");
    let values: Vec<f64> = rows.map(|row| row["metrics"]["test_accuracy"].as_f64().expect("a number")).collect();
    let estimate = strata::results::Estimate::of(&values).expect("values");
    estimate.interval.map_or(f64::INFINITY, |(low, high)| high - low)
}

#[test]
fn seeds_are_added_until_the_interval_is_narrow() {
    let project = project("seeds = 1\nvary = ['simclr']\n");
    let wanted = 0.08;
    let done = project.json(&["run", "pipelines/p.toml", "--until-ci", "0.08", "-j", "2"]);
    let seeds = names(&done, "simclr").len();
    assert!(seeds >= 2 && width(&project, seeds) <= wanted, "{seeds} seeds, {}", width(&project, seeds));
    assert!(
        of_stage(&done, "simclr").iter().all(|(_, status)| status == "ran"),
        "what earlier turns ran is not `cached`"
    );
    assert_eq!(done["counts"]["cached"], 0);
    // The number that the file gives is where it starts, and what is there counts.
    let again = project.json(&["run", "pipelines/p.toml", "--until-ci", "0.08", "-q"]);
    assert_eq!((names(&again, "simclr").len(), &again["counts"]["ran"]), (seeds, &Value::from(0)));
    // Out of time, it stops and says so.
    let stopped = project.strata(&["run", "pipelines/p.toml", "--until-ci", "0.000001", "--budget", "1s"]);
    assert_eq!(stopped.code, Some(130), "{}", stopped.err);
    assert!(stopped.err.contains("seeds: the 95 % interval of test accuracy % is at most"), "{}", stopped.err);
    let wrong = project.strata(&["run", "pipelines/p.toml", "--until-ci", "0.1", "--metric", "acuracy"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.err);
}

#[test]
fn seeds_can_be_given_for_once() {
    let project = project("seeds = [7, 3]\nvary = ['simclr']\n");
    let seeds = |count: &str| names(&project.json(&["plan", "pipelines/p.toml", "--seeds", count]), "simclr");
    let seed = |seed: u64| format!("simclr@seed={seed}");
    assert_eq!(seeds("3"), [7, 3, 8].into_iter().map(seed).collect());
    assert_eq!(seeds("4"), [7, 3, 8, 9].into_iter().map(seed).collect());
    assert_eq!(project.strata(&["plan", "pipelines/p.toml", "--seeds", "0"]).code, Some(2));
}

#[test]
fn a_table_shows_differences_from_a_baseline() {
    let project = project("'simclr.temperature' = [0.1, 0.5]\nseeds = 3\nvary = ['simclr']\n");
    project.done(&["run", "pipelines/p.toml", "-q", "-j", "2"]);
    let table = |baseline: &str| project.json(&["table", "pipelines/p.toml", "probe", "--baseline", baseline]);
    let rows = |table: Value| table["rows"].as_array().expect("rows").clone();
    let number = |row: &Value, part: &str| row[part]["test_accuracy"].as_f64();
    let mut pairs = 0;
    let with = rows(table("simclr.temperature=0.1"));
    for row in with.iter().filter(|row| row["axes"]["simclr.temperature"] == 0.5) {
        let partner = with
            .iter()
            .find(|other| other["axes"]["simclr.temperature"] == 0.1 && other["axes"]["seed"] == row["axes"]["seed"]);
        let partner = partner.expect("the same seed");
        let difference = number(row, "metrics").unwrap() - number(partner, "metrics").unwrap();
        assert_eq!(number(row, "differences"), Some(difference));
        assert_eq!(number(partner, "differences"), None, "nothing differs from itself");
        pairs += 1;
    }
    assert_eq!(pairs, 3);
    let shown = project.done(&["table", "pipelines/p.toml", "probe", "--baseline", "simclr.temperature=0.1"]).out;
    assert!(shown.contains("less simclr.temperature=0.1") && shown.contains(" ± "), "{shown}");
    let csv = project.done(&["table", "pipelines/p.toml", "--baseline", "simclr.temperature=0.1", "--output", "csv"]);
    assert!(csv.out.lines().next().expect("headers").contains("difference_test_accuracy"));
    let wrong = project.strata(&["table", "pipelines/p.toml", "--baseline", "simclr.temperature=9"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("no instance has `simclr.temperature=9`"), "{}", wrong.err);
}
