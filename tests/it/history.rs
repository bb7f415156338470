//! What was ever made: the nearest recipe, sorted tables, stages as columns, curves, and the list of the cache.

use serde_json::{Value, json};

use crate::support::{NEIGHBOURS, Project, text};

/// Neighbours, repeated over two seeds of the images.
fn repeated() -> Project {
    Project::with(&format!("{NEIGHBOURS}\n[sweep]\nseeds = 2\nvary = [\"images\"]\n"))
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list")).clone()
}

#[test]
fn why_compares_with_the_nearest_recipe_and_not_with_a_detour() {
    let project = Project::with(&format!("{NEIGHBOURS}k = 3\n"));
    project.done(&["run", "pipelines/p.toml", "-q"]);
    project.done(&[
        "run",
        "pipelines/p.toml",
        "-q",
        "-S",
        "knn.k=9",
        "-S",
        "knn.temperature=0.5",
        "-S",
        "images.seed=4",
    ]);
    project.edit("pipelines/p.toml", "k = 3", "k = 4");
    let reasons = |more: &[&str]| {
        let args: Vec<&str> = ["why", "pipelines/p.toml", "knn"].iter().chain(more).copied().collect();
        let explained = project.json(&args);
        list(&explained["stages"][0]["reasons"]).iter().map(|one| text(&one["path"])).collect::<Vec<_>>()
    };
    let plan = project.json(&["plan", "pipelines/p.toml"]);
    assert_eq!(plan["stages"][3]["reason"], json!({"kind": "param", "path": "k", "old": 3, "new": 4}), "{plan:#}");
    assert_eq!(reasons(&[]), ["k"]);
    // Of two that are equally near, the latest.
    project.done(&["run", "pipelines/p.toml", "-q"]);
    let plan = project.json(&["plan", "pipelines/p.toml", "-S", "knn.k=5"]);
    assert_eq!(plan["stages"][3]["reason"], json!({"kind": "param", "path": "k", "old": 4, "new": 5}));
}

#[test]
fn a_table_is_sorted_by_the_direction_of_its_metric_and_cut() {
    let project = repeated();
    let sweep = ["-S", "knn.k=1,3,15,60"];
    project.done(&[&["run", "pipelines/p.toml", "-q"], &sweep[..]].concat());
    let table = |more: &[&str]| project.json(&[&["table", "pipelines/p.toml", "knn"], &sweep[..], more].concat());
    let mean = |rows: &[Value]| {
        let value = |row: &Value| row["metrics"]["test_accuracy"].as_f64().expect("a score");
        rows.chunks(2).map(|two| (value(&two[0]) + value(&two[1])) / 2.0).collect::<Vec<_>>()
    };
    let all = list(&table(&["--sort", "test_accuracy"])["rows"]);
    let means = mean(&all);
    assert_eq!(means.len(), 4);
    assert!(means.is_sorted_by(|a, b| a >= b), "{means:?}");
    let top = list(&table(&["--sort", "knn.test_accuracy", "--top", "2"])["rows"]);
    assert_eq!(top[..], all[..4], "two points of two seeds");
    let text =
        project.done(&[&["table", "pipelines/p.toml", "--sort", "test_accuracy", "--top", "1"], &sweep[..]].concat());
    assert_eq!(text.out.matches("knn").count(), 1, "{}", text.out);
    let wrong = project.strata(&[&["table", "pipelines/p.toml", "--sort", "nmi"], &sweep[..]].concat());
    assert!(wrong.code == Some(2) && wrong.err.contains("no result has the metric `nmi`"), "{}", wrong.err);
}

#[test]
fn stages_are_columns() {
    let more = "\n[stage.near]\nkind = \"knn_probe\"\ninputs = { train = \"train.features\", test = \"test.features\" }\nk = 1\n";
    let project = Project::with(&format!("{NEIGHBOURS}{more}"));
    let sweep = ["-S", "knn.k=3,15"];
    project.done(&[&["run", "pipelines/p.toml", "-q"], &sweep[..]].concat());
    let by_stage = project.json(&[&["table", "pipelines/p.toml", "--columns", "stage"], &sweep[..]].concat());
    assert_eq!((&by_stage["format"], &by_stage["metric"]), (&json!(1), &json!("test_accuracy")));
    let rows = list(&by_stage["rows"]);
    assert_eq!(
        rows.iter().map(|row| row["axes"].clone()).collect::<Vec<_>>(),
        [json!({"knn.k": 3}), json!({"knn.k": 15})]
    );
    let near: Vec<&Value> = rows.iter().map(|row| &row["stages"]["near"]["mean"]).collect();
    assert!(near[0].is_f64() && near[0] == near[1], "a stage that the axis does not reach is the same: {rows:?}");
    let csv = project
        .done(&[&["table", "pipelines/p.toml", "--columns", "stage", "--output", "csv"], &sweep[..]].concat())
        .out;
    assert_eq!(csv.lines().next(), Some("knn.k,knn: test accuracy %,near: test accuracy %"));
    let refused = project.strata(&["table", "pipelines/p.toml", "--columns", "knn.k"]);
    assert!(refused.code == Some(2) && refused.err.contains("--rows AXIS --columns knn.k"), "{}", refused.err);
}

#[test]
fn curves_are_rows_in_every_format() {
    let training = r#"
[stage.images]
kind = "dataset"
train = 40
test = 20
size = 8

[stage.net]
kind = "supervised"
inputs = { train = "images.train", test = "images.test" }
encoder = { kind = "resnet", n = 1, width = 0.25 }
epochs = 3
batch_size = 10
"#;
    let project = Project::with(training);
    project.done(&["run", "pipelines/p.toml", "-q"]);
    let points = list(&project.json(&["table", "pipelines/p.toml", "net", "--curves"])["rows"]);
    let losses: Vec<&Value> = points.iter().filter(|point| point["series"] == "loss").collect();
    assert_eq!(losses.iter().map(|point| point["epoch"].as_u64()).collect::<Vec<_>>(), [Some(1), Some(2), Some(3)]);
    assert!(losses.iter().all(|point| point["instance"] == "net" && point["value"].is_f64()));
    let csv = project.done(&["table", "pipelines/p.toml", "--curves", "--output", "csv"]).out;
    assert!(csv.starts_with("instance,series,epoch,value\n") && csv.contains("net,loss,3,"), "{csv}");
    project.edit("pipelines/p.toml", "epochs = 3", "epochs = 2");
    project.done(&["run", "pipelines/p.toml", "-q"]);
    let csv = project.done(&["table", "pipelines/p.toml", "--history", "--curves", "--output", "csv"]).out;
    assert!(csv.starts_with("instance,key,series,epoch,value\n"), "{csv}");
    assert_eq!(csv.lines().filter(|line| line.contains(",loss,")).count(), 5, "{csv}");
}

#[test]
fn the_list_of_the_cache_tells_results_of_one_name_apart() {
    let project = Project::with(&format!("{NEIGHBOURS}k = 3\n"));
    project.done(&["run", "pipelines/p.toml", "-q"]);
    project.done(&["run", "pipelines/p.toml", "-q", "-S", "images.train=100"]);
    project.done(&["run", "pipelines/p.toml", "-q", "-S", "knn.k=9"]);
    let all = list(&project.json(&["cache", "ls"])["work"]);
    let knn: Vec<&Value> = all.iter().filter(|one| one["kind"] == "knn_probe").collect();
    let told: Vec<Value> = knn.iter().map(|one| one["parameters"].clone()).collect();
    let of = |train: u64, k: u64| json!({"images.train": train, "knn.k": k});
    assert_eq!(told, [of(120, 3), of(100, 3), of(120, 9)]);
    assert!(knn.iter().all(|one| one["metrics"]["test_accuracy"].is_f64()));
    let shown = project.done(&["cache", "ls"]).out;
    assert!(shown.contains("images.train=100, knn.k=3") && shown.contains("test_accuracy="), "{shown}");
}

#[test]
fn compare_without_arms_lists_them() {
    let project = repeated();
    let sweep = ["-S", "knn.k=1,5"];
    project.done(&[&["run", "pipelines/p.toml", "-q"], &sweep[..]].concat());
    let arms = project.json(&[&["compare", "pipelines/p.toml"], &sweep[..]].concat());
    let names: Vec<(String, u64)> =
        list(&arms["arms"]).iter().map(|arm| (text(&arm["arm"]), arm["seeds"].as_u64().expect("a count"))).collect();
    assert_eq!(names, [("knn@knn.k=1".to_owned(), 2), ("knn@knn.k=5".to_owned(), 2)]);
    let one = project.strata(&[&["compare", "pipelines/p.toml", "knn@knn.k=1"], &sweep[..]].concat());
    assert!(one.code == Some(2) && one.err.contains("knn@knn.k=5"), "{}", one.err);
}

#[test]
fn the_axis_of_seeds_is_called_seed_and_its_old_name_is_understood() {
    let project = repeated();
    let seeds = ["-S", "knn.k=1,5"];
    project.done(&[&["run", "pipelines/p.toml", "-q"], &seeds[..]].concat());
    let table = |more: &[&str]| project.json(&[&["table", "pipelines/p.toml"], &seeds[..], more].concat());
    let all = list(&table(&["knn"])["rows"]);
    assert_eq!(all.len(), 4, "{all:?}");
    let first = &all[0];
    let axis = first["axes"].as_object().expect("axes").keys().find(|axis| *axis == "seed");
    assert!(axis.is_some() && text(&first["instance"]).contains("seed=0"), "{first}");
    let old = list(&table(&["knn@images.seed=1"])["rows"]);
    assert_eq!(old, list(&table(&["knn@seed=1"])["rows"]));
    assert_eq!(old.len(), 2, "{old:?}");
}
