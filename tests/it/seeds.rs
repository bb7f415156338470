//! `seeds`, `vary` and `share`; and a whole sweep of 144 points.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{NEIGHBOURS, Project};

const FILE: &str = r#"
[stage.images]
kind = "dataset"
train = 40
test = 20
size = 8

[stage.pixels]
kind = "encode"
inputs = { images = "images.train" }

[stage.clusters]
kind = "kmeans"
inputs = { features = "pixels.features" }
clusters = 2
runs = 1

[stage.batches]
kind = "sampler"
inputs = { labels = "clusters.labels" }
batch_size = 4

[stage.simclr]
kind = "simclr"
inputs = { images = "images.train", batches = "batches.batches" }
encoder = { kind = "resnet", n = 1, width = 0.25 }
head = [8]
epochs = 3
"#;

/// The instances of a stage in a plan.
fn names(project: &Project, stage: &str) -> Vec<String> {
    let plan = project.json(&["plan", "pipelines/p.toml"]);
    let stages = plan["stages"].as_array().expect("stages");
    let of_stage = stages.iter().filter(|line| line["name"] == stage);
    of_stage.map(|line| line["instance"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn what_varies_has_one_axis() {
    let with = |sweep: &str| Project::with(&format!("{FILE}[sweep]\n{sweep}"));
    let project = with("seeds = 2\nvary = ['simclr', 'batches']");
    assert_eq!(names(&project, "clusters"), ["clusters"]);
    assert_eq!(names(&project, "batches"), ["batches@seed=0", "batches@seed=1"]);
    assert_eq!(names(&project, "simclr"), ["simclr@seed=0", "simclr@seed=1"]);
    let project = with("seeds = [7, 3]\nshare = ['images', 'clusters', 'batches']");
    assert_eq!(names(&project, "batches"), ["batches"]);
    assert_eq!(names(&project, "simclr"), ["simclr@seed=7", "simclr@seed=3"]);
}

#[test]
fn a_parameter_that_is_left_out_has_a_word_in_the_table() {
    let project = Project::with(NEIGHBOURS);
    project.done(&["run", "pipelines/p.toml", "-S", "images.limit_train=60,= none"]);
    let table = project.done(&["table", "pipelines/p.toml", "-S", "images.limit_train=60,= none"]).out;
    assert!(table.lines().any(|line| line.split_whitespace().next() == Some("none")), "{table}");
}

#[test]
fn seeds_are_given_to_a_file_that_has_none() {
    let project = Project::with(FILE);
    let plan = project.json(&["plan", "pipelines/p.toml", "--seeds", "2"]);
    let instances: Vec<&str> =
        plan["stages"].as_array().expect("stages").iter().filter_map(|line| line["instance"].as_str()).collect();
    assert_eq!(
        instances,
        [
            "images",
            "pixels",
            "clusters@seed=0",
            "clusters@seed=1",
            "batches@seed=0",
            "batches@seed=1",
            "simclr@seed=0",
            "simclr@seed=1"
        ],
        "all but the data varies"
    );
    // The first of them is what runs without seeds.
    project.done(&["run", "pipelines/p.toml", "clusters", "-q"]);
    let run = project.json(&["run", "pipelines/p.toml", "clusters", "--seeds", "2"]);
    assert_eq!((&run["counts"]["cached"], &run["counts"]["ran"]), (&3.into(), &1.into()), "{run}");
}

const SWEEP: &str = r#"
[sweep]
"clusters.clusters" = [2, 3, 4, 5, 6, 7]
"batches.batch_size" = [4, 5, 8, 10]
"batches.policy" = ["random", "stratified"]
seeds = 3
vary = ["batches", "simclr"]
"#;

/// Status words of a run or plan, counted.
fn counts(document: &Value) -> Vec<(String, u64)> {
    let counts = document["counts"].as_object().expect("counts").iter();
    counts.map(|(word, count)| (word.clone(), count.as_u64().expect("a count"))).filter(|one| one.1 > 0).collect()
}

/// 6 cluster counts, 4 batch sizes, 2 policies, 3 seeds.
#[test]
fn a_sweep_of_144_points_is_one_graph() {
    let project = Project::with(&format!("{FILE}{SWEEP}"));
    let plan = project.json(&["plan", "pipelines/p.toml"]);
    let merged = 1 + 1 + 6 + 144 + 144;
    assert_eq!(plan["stages"].as_array().expect("stages").len(), merged);
    assert_eq!(names(&project, "simclr").into_iter().collect::<BTreeSet<_>>().len(), 144);

    // Stopped in the middle.
    let part = project.strata(&["run", "pipelines/p.toml", "-q", "--budget", "400ms", "--output", "json", "-j", "2"]);
    assert_eq!(part.code, Some(130), "{}", part.err);
    let part: Value = serde_json::from_str(&part.out).expect("JSON");
    let done = part["counts"]["ran"].as_u64().expect("a count");
    assert!(part["counts"]["blocked"].as_u64() > Some(0), "{}", part["counts"]);
    let rest = project.json(&["run", "pipelines/p.toml", "-q"]);
    let count = |word: &str| rest["counts"][word].as_u64().expect("a count");
    // Random batches do not depend on the labels: equal work that is seen when the labels are there counts as cached.
    assert_eq!(count("cached") + count("ran") + count("resumed"), merged as u64);
    assert!(count("cached") >= done);
    assert_eq!(counts(&project.json(&["run", "pipelines/p.toml", "-q"])), [("cached".to_owned(), merged as u64)]);

    project.edit("pipelines/p.toml", "[2, 3, 4, 5, 6, 7]", "[2, 3, 4, 5, 6, 7, 8]");
    let more = project.json(&["plan", "pipelines/p.toml"]);
    let own = |line: &&Value| line["instance"].as_str().expect("a name").contains("clusters.clusters=8");
    let open = more["stages"].as_array().expect("stages").iter().filter(|line| line["status"] != "cached");
    let open: Vec<&Value> = open.collect();
    assert_eq!(open.len(), 1 + 24 + 24);
    assert!(open.iter().all(own), "only what is its own runs");
}
