//! What people read on 80 columns: plans, comparisons, and the lines of a run.

use crate::support::{NEIGHBOURS, Project};

/// Neighbours over many `k`, each quick.
fn sweep(values: &str) -> String {
    format!("{NEIGHBOURS}\n[sweep]\n\"knn.k\" = {values}\n")
}

/// Names of instances that are longer than a line.
const WIDE: &str = "\n[sweep]\n\"knn.k\" = [1, 3]\n\"knn.temperature\" = [0.1, 0.25]\n\"images.train\" = [60, 120]\n\"images.size\" = [8, 16]\n\"images.val_fraction\" = [0.1, 0.2]\n";

fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or_default()
}

#[test]
fn a_plan_fits_80_columns_and_loses_nothing() {
    let project = Project::with(&format!("{NEIGHBOURS}{WIDE}"));
    let plan = project.done(&["plan", "pipelines/p.toml"]).out;
    assert!(widest(&plan) <= 80, "{} columns:\n{plan}", widest(&plan));
    let squeezed: String = plan.split_whitespace().collect();
    let document = project.json(&["plan", "pipelines/p.toml"]);
    let stages = document["stages"].as_array().expect("stages");
    assert!(stages.iter().any(|stage| stage["instance"].as_str().is_some_and(|name| name.len() > 80)), "long names");
    for stage in stages {
        let name = stage["instance"].as_str().expect("a name");
        assert!(squeezed.contains(&name.replace(' ', "")), "{name} in\n{plan}");
    }
}

#[test]
fn a_plan_has_a_summary_by_stage() {
    let project = Project::with(&sweep("[1, 2, 3, 4]"));
    let summary = project.done(&["plan", "pipelines/p.toml", "--summary"]).out;
    assert!(widest(&summary) <= 80 && !summary.contains("knn@"), "{summary}");
    let knn: Vec<&str> =
        summary.lines().find(|line| line.starts_with(" knn")).expect("a line").split_whitespace().collect();
    assert_eq!(knn, ["knn", "4", "4", "unknown"], "{summary}");
    project.done(&["run", "pipelines/p.toml", "-q"]);
    let grown = ["plan", "pipelines/p.toml", "-S", "knn.k=1,2,3,4,5,6", "--summary"];
    let document = project.json(&grown);
    let by_stage = document["by_stage"].as_array().expect("stages");
    let knn = by_stage.iter().find(|one| one["stage"] == "knn").expect("an entry");
    assert_eq!(
        (&knn["instances"], &knn["cached"], &knn["run"], &knn["waiting"]),
        (&6.into(), &4.into(), &2.into(), &0.into())
    );
    assert!(knn["seconds"].as_f64() > Some(0.0) && knn["unknown"] == 0, "{knn}");
    let sum = |name: &str| by_stage.iter().filter_map(|one| one[name].as_u64()).sum::<u64>();
    assert_eq!(sum("cached"), document["counts"]["cached"].as_u64().expect("a count"), "{document}");
}

#[test]
fn a_comparison_fits_80_columns() {
    let project = Project::with(&format!("{NEIGHBOURS}{WIDE}"));
    project.done(&["run", "pipelines/p.toml", "-q", "-j", "2"]);
    let arm = |k: u32| format!("knn@knn.k={k},knn.temperature=0.25,images.train=120");
    let (one, other) = (arm(1), arm(3));
    let table = project.done(&["compare", "pipelines/p.toml", &one, &other]).out;
    assert!(widest(&table) <= 80, "{} columns:\n{table}", widest(&table));
    let squeezed: String = table.split_whitespace().collect();
    assert!(squeezed.contains(&one) && squeezed.contains(&other), "{table}");
    let document = project.json(&["compare", "pipelines/p.toml", &one, &other]);
    let verdict = document["comparisons"][0]["verdict"].as_str().expect("words");
    assert!(table.contains(&format!(" B: {verdict}")), "{table}");
    let csv = project.done(&["compare", "pipelines/p.toml", &one, &other, "--output", "csv"]).out;
    assert!(csv.contains("arm's mean"), "other formats are whole: {csv}");
}

#[test]
fn quick_work_of_a_sweep_is_counted_and_shown_on_request() {
    let project = Project::with(&sweep("\"range(1, 40)\""));
    let lines = |ran: &str, word: &str| {
        ran.lines().filter(|line| line.trim_start().starts_with(&format!("{word}  knn"))).count()
    };
    let first = project.done(&["run", "pipelines/p.toml"]).err;
    assert!(lines(&first, "run") < 40 && first.contains("  knn: 35 more"), "{first}");
    let cached = project.done(&["run", "pipelines/p.toml"]).err;
    assert!(lines(&cached, "cached") == 6 && cached.contains("  cached  knn: 35 more\n"), "{cached}");
    let all = project.done(&["run", "pipelines/p.toml", "-v"]).err;
    assert_eq!((lines(&all, "cached"), all.contains(" more")), (40, false), "{all}");
}

#[test]
fn a_dataset_says_what_it_reads() {
    let project = Project::with(NEIGHBOURS);
    let ran = project.done(&["run", "pipelines/p.toml"]).err;
    assert!(ran.contains("    note  images (shapes, generated: 120 train, 60 test images)\n"), "{ran}");
}

#[test]
fn failures_that_are_alike_are_told_together() {
    let file = r#"
[kind.broken]
run = "sh pipelines/broken.sh"
inputs = { features = "features" }
outputs = { map = "matrix" }
params = { at = { default = 1 } }

[stage.late]
kind = "broken"
inputs = { features = "train.features" }

[sweep]
"late.at" = [1, 2, 3]
"#;
    let project = Project::with(&format!("{NEIGHBOURS}{file}"));
    project.write("pipelines/broken.sh", "echo the disk is gone >&2\nexit 3\n");
    for quiet in [&[][..], &["-q"]] {
        let ran = project.strata(&[&["run", "pipelines/p.toml", "late", "-k", "-j", "1"], quiet].concat());
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert!(ran.err.contains("  failed  3 instances failed with the same error:\n"), "{}", ran.err);
        let (_, together) = ran.err.split_once("with the same error:\n").expect("a summary");
        for at in 1..=3 {
            assert!(together.contains(&format!("late@late.at={at}")), "{together}");
        }
        assert!(together.contains("the disk is gone"), "{together}");
        // In full once when it happens, and once more at the end.
        assert_eq!(ran.err.matches("the disk is gone").count(), 2, "{}", ran.err);
    }
}
