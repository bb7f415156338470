//! Metrics that are not finite: every verb shows them, none takes one for a number or for the best.

use std::fs;

use serde_json::{Value, json};

use crate::support::{NEIGHBOURS, Project, text};

const SWEEP: &str = r#"
[sweep]
"knn.k" = [1, 5, 20]
seeds = 3
vary = ["images"]
"#;

/// Puts another accuracy into the record of an instance, as a kind that computed it would have.
fn put(project: &Project, instance: &str, accuracy: Value) {
    let mut done = 0;
    for (name, bytes) in project.cache() {
        let body = String::from_utf8_lossy(&bytes).into_owned();
        if !body.contains(&format!("/{instance}\"")) || !body.contains("test_accuracy") {
            continue;
        }
        let mut record: serde_json::Map<String, Value> = serde_json::from_str(&body).expect("a record is JSON");
        record.remove("blake3").expect("its seal");
        record["metrics"]["test_accuracy"] = accuracy.clone();
        let body = format!("\n  {}", &serde_json::to_string(&record).expect("JSON")[1..]);
        let file = name.file_name().expect("a name").to_string_lossy().into_owned();
        let seal = blake3::hash(format!("{file}\n{body}").as_bytes()).to_hex();
        fs::write(project.path("cache").join(&name), format!("{{\"blake3\": \"{seal}\",{body}")).expect("written");
        done += 1;
    }
    assert_eq!(done, 1, "one record of {instance}");
}

/// A finished sweep in which one accuracy is NaN and one infinite.
fn project(sweep: &str) -> Project {
    let project = Project::with(&format!("{NEIGHBOURS}{sweep}"));
    project.done(&["run", "pipelines/p.toml", "-q"]);
    project
}

#[test]
fn a_metric_that_is_no_number_is_shown_and_never_compared() {
    let project = project(SWEEP);
    put(&project, "knn@knn.k=5,seed=1", json!("NaN"));
    put(&project, "knn@knn.k=20,seed=2", json!("Infinity"));
    let again = project.json(&["run", "pipelines/p.toml"]);
    assert_eq!(again["counts"]["ran"], 0, "the records are whole");
    let metric = |rows: &Value, instance: &str| {
        let mut rows = rows.as_array().expect("rows").iter();
        rows.find(|row| row["instance"] == instance).expect("a row")["metrics"]["test_accuracy"].clone()
    };
    for rows in [&again["stages"], &project.json(&["table", "pipelines/p.toml"])["rows"]] {
        assert_eq!(metric(rows, "knn@knn.k=5,seed=1"), "NaN");
        assert_eq!(metric(rows, "knn@knn.k=20,seed=2"), "Infinity");
    }
    let table = project.done(&["table", "pipelines/p.toml"]);
    let line = |k: &str| {
        let mut lines = table.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.find(|words| words.contains(&k) && words.contains(&"3")).unwrap_or_else(|| panic!("{}", table.out))
    };
    assert_eq!(line("5").last(), Some(&"NaN"), "no interval: {}", table.out);
    assert_eq!(line("20").last(), Some(&"inf"), "{}", table.out);
    assert!(line("1").last().is_some_and(|word| word.ends_with(']')), "{}", table.out);
    let csv = project.done(&["table", "pipelines/p.toml", "--output", "csv"]).out;
    assert_eq!(csv.matches(",NaN,").count(), 1, "{csv}");
    let pivot = ["table", "pipelines/p.toml", "--rows", "knn.k", "--columns", "images.seed"];
    let cells = project.json(&pivot)["cells"].clone();
    assert_eq!(cells.as_array().map(Vec::len), Some(9), "{cells}");
    assert_eq!(cells.as_array().expect("cells").iter().filter(|cell| cell["mean"] == "NaN").count(), 1);
    assert!(project.done(&pivot).out.contains("NaN"));

    let compare = |a: &str, b: &str| project.strata(&["compare", "pipelines/p.toml", a, b]);
    for (a, b) in [("knn@knn.k=1", "knn@knn.k=5"), ("knn@knn.k=5", "knn@knn.k=1")] {
        let refused = compare(a, b);
        assert_eq!(refused.code, Some(1), "{}", refused.out);
        let why = "`knn@knn.k=5` cannot be compared: `test_accuracy` is not a finite number in knn@knn.k=5,seed=1";
        assert!(refused.err.contains(why), "{}", refused.err);
    }
    assert!(compare("knn@knn.k=1", "knn@knn.k=20").err.contains("knn@knn.k=20,seed=2"));

    let diff = project.json(&["diff", "pipelines/p.toml", "knn@knn.k=1,seed=1", "knn@knn.k=5,seed=1"]);
    let metrics = diff["metrics"].as_array().expect("metrics");
    assert!(metrics.iter().any(|one| one["name"] == "test_accuracy" && one["b"] == "NaN"), "{diff}");

    let precise = project.strata(&["run", "pipelines/p.toml", "--until-ci", "0.99"]);
    assert_eq!(precise.code, Some(0), "{}", precise.err);
    assert!(precise.err.contains("no finite value: knn@knn.k=20; knn@knn.k=5"), "{}", precise.err);

    project.done(&["report", "pipelines/p.toml", "-o", "page.html"]);
    let page = fs::read_to_string(project.path("page.html")).expect("a page");
    assert!(page.contains("NaN"), "the page shows it");
}

#[test]
fn the_best_of_a_random_search_is_a_number() {
    let project = project("[sweep]\n\"knn.k\" = \"range(1, 30)\"\n");
    put(&project, "knn@knn.k=7", json!("NaN"));
    project.done(&["report", "pipelines/p.toml", "-o", "page.html"]);
    let page = fs::read_to_string(project.path("page.html")).expect("a page");
    let (_, best) = page.split_once("The 10 best of 30").expect("a table of the best");
    let (best, _) = best.split_once("</table>").expect("its end");
    assert!(!best.contains("NaN"), "{best}");
}

#[test]
fn halving_passes_by_a_score_that_is_no_number() {
    const SEARCH: &str = r#"
[stage.images]
kind = "dataset"
train = 60
test = 40
size = 8

[stage.net]
kind = "supervised"
inputs = { train = "images.train", test = "images.test" }
encoder = { kind = "resnet", n = 1, width = 0.25 }
epochs = 2
batch_size = 20
schedule = { kind = "constant" }

[sweep]
method = "halving"
over = "net.epochs"
factor = 2
score = "net.test_accuracy"
"net.optimizer.lr" = [0.01, 0.1, 0.3, 0.03]
"#;
    let project = Project::with(SEARCH);
    project.done(&["run", "pipelines/p.toml", "-q", "net@net.epochs=1"]);
    for rate in ["0.01", "0.1", "0.3"] {
        put(&project, &format!("net@net.optimizer.lr={rate},net.epochs=1"), json!("NaN"));
    }
    // Two places, and one point that has a score.
    let plan = project.done(&["plan", "pipelines/p.toml"]);
    assert!(plan.err.contains("rung 2 of 2: 1 point at"), "{}", plan.err);
    let run = project.strata(&["run", "pipelines/p.toml"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(run.err.contains("rung 1 of 2: 3 points have no score and count as the worst"), "{}", run.err);
    assert!(run.err.contains("found net.optimizer.lr=0.03"), "{}", run.err);
    put(&project, "net@net.optimizer.lr=0.03,net.epochs=1", json!("NaN"));
    let vain = project.strata(&["run", "pipelines/p.toml"]);
    assert_eq!(vain.code, Some(1), "{}", vain.err);
    assert!(vain.err.contains("no point has a score") && !vain.err.contains("found"), "{}", vain.err);
    assert!(text(&json!(vain.out)).contains("NaN"), "the table is shown all the same");
}
