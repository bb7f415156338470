//! `strata compare`: arms paired over seeds.

use serde_json::Value;

use crate::support::{NEIGHBOURS, Project};

const SWEEP: &str = r#"
[sweep]
"knn.k" = [1, 20, 120]
seeds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
vary = ["images"]
"#;

fn pipeline() -> String {
    format!("{NEIGHBOURS}{SWEEP}")
}

/// The test accuracy of each instance of `knn`, by its axes.
fn accuracy(rows: &Value, seed: u64, k: u64) -> f64 {
    let rows = rows["rows"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["axes"]["seed"] == seed && row["axes"]["knn.k"] == k);
    row.expect("a row for each point")["metrics"]["test_accuracy"].as_f64().expect("an accuracy")
}

#[test]
fn differences_are_taken_pair_by_pair() {
    let project = Project::with(&pipeline());
    project.done(&["run", "pipelines/p.toml", "-q"]);
    let table = project.json(&["table", "pipelines/p.toml"]);
    let compare = |arms: &[&str]| project.json(&[&["compare", "pipelines/p.toml"], arms].concat());
    let found = compare(&["knn@knn.k=1", "knn@knn.k=20", "knn@knn.k=120", "knn@knn.k=1"]);
    let comparisons = found["comparisons"].as_array().expect("comparisons");
    assert_eq!(comparisons.len(), 3);
    for (one, k) in comparisons.iter().zip([20, 120, 1]) {
        let differences = (1..=10).map(|seed| accuracy(&table, seed, k) - accuracy(&table, seed, 1));
        let mean = differences.sum::<f64>() / 10.0;
        assert!((one["difference"].as_f64().expect("a difference") - mean).abs() < 1e-12, "{one}");
        assert_eq!((&one["pairs"], &one["unpaired"]), (&10.into(), &0.into()));
    }
    assert_eq!(comparisons[1]["differs"], true, "all images vote: {found}");
    assert_eq!(comparisons[1]["verdict"], "differs: lower");
    assert_eq!((&comparisons[2]["differs"], &comparisons[2]["p"]), (&false.into(), &1.0.into()), "an arm and itself");
    assert!(comparisons[1]["p_adjusted"].as_f64() > comparisons[1]["p"].as_f64(), "several are corrected for");

    let one = compare(&["knn@knn.k=1,seed=2", "knn@knn.k=20,seed=2"]);
    assert_eq!(one["comparisons"][0]["pairs"], 1);
    assert_eq!(one["comparisons"][0]["differs"], Value::Null);
    assert_eq!(one["comparisons"][0]["verdict"], "one seed: the spread over seeds is unknown");
    let text = project.done(&["compare", "pipelines/p.toml", "knn@knn.k=1", "knn@knn.k=120"]).out;
    assert!(text.contains("differs: lower") && text.contains("test accuracy %"), "{text}");
}

/// Over an axis that reaches one arm alone, the arm's mean is what is compared.
#[test]
fn an_arm_without_the_axis_is_compared_with_a_mean() {
    let text = pipeline().replace("[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", "[1, 2]");
    let all =
        "[stage.all]\nkind = \"knn_probe\"\ninputs = { train = \"train.features\", test = \"test.features\" }\nk = 1\n";
    let project = Project::with(&format!("{all}\n{text}"));
    project.done(&["run", "pipelines/p.toml", "-q"]);
    let table = project.json(&["table", "pipelines/p.toml", "knn"]);
    let one = project.json(&["compare", "pipelines/p.toml", "all", "knn"])["comparisons"][0].clone();
    assert_eq!((&one["pairs"], &one["seeds"], &one["unpaired"]), (&2.into(), &2.into(), &0.into()), "{one}");
    let of = |k| (accuracy(&table, 1, k) + accuracy(&table, 2, k)) / 2.0;
    let mean = (of(1) + of(20) + of(120)) / 3.0 - of(1);
    assert!((one["difference"].as_f64().expect("a difference") - mean).abs() < 1e-12, "{one}");
    // An axis of one value in an arm need not be fixed there too.
    let variant = "\n[variant.other]\nset = { \"knn.temperature\" = 0.5 }\n";
    project.write("pipelines/v.toml", format!("{all}\n{text}{variant}"));
    let base = ["pipelines/v.toml", "--variant", "base"];
    project.done(&[&["run", "-q"], &base[..]].concat());
    let arms = ["knn@variant=base,knn.k=1", "knn@knn.k=20"];
    let one = project.json(&[&["compare"], &base[..], &arms].concat())["comparisons"][0].clone();
    assert_eq!(one["pairs"], 2, "{one}");
}

/// People see means over the seeds, with the interval over the seeds; scripts see every run.
#[test]
fn tables_show_means_over_seeds() {
    let project = Project::with(&pipeline());
    project.done(&["run", "pipelines/p.toml", "-q"]);
    let table = project.json(&["table", "pipelines/p.toml"]);
    assert_eq!(table["rows"].as_array().map(Vec::len), Some(30));
    let text = project.done(&["table", "pipelines/p.toml"]).out;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(lines.len(), 2 + 3, "{text}");
    let mean = (1..=10).map(|seed| accuracy(&table, seed, 20)).sum::<f64>() / 10.0;
    let line: Vec<&str> = lines[3].split_whitespace().collect();
    assert_eq!(line[..3], ["20", "10", &format!("{:.1}", 100.0 * mean)], "{text}");
    let found = project.json(&["compare", "pipelines/p.toml", "knn@knn.k=1", "knn@knn.k=20"]);
    assert!((found["comparisons"][0]["arm_mean"].as_f64().expect("a mean") - mean).abs() < 1e-12);
}

#[test]
fn a_metric_over_two_axes() {
    let project = Project::with(&pipeline().replace("[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", "[1, 2]"));
    project.done(&["run", "pipelines/p.toml", "-q", "-S", "knn.temperature=0.1,0.2"]);
    let table = project.json(&["table", "pipelines/p.toml"]);
    let pivot = ["table", "pipelines/p.toml", "--rows", "knn.k", "--columns", "images.seed"];
    let cells = project.json(&pivot);
    assert_eq!(project.json(&[&pivot[..], &["--value", "knn.test_accuracy"]].concat()), cells);
    let cells = cells["cells"].as_array().expect("cells");
    assert_eq!(cells.len(), 3 * 2);
    for cell in cells {
        let (k, seed) = (cell["row"].as_u64().expect("a k"), cell["column"].as_u64().expect("a seed"));
        assert_eq!(cell["mean"].as_f64(), Some(accuracy(&table, seed, k)));
        assert_eq!((&cell["n"], &cell["low"]), (&1.into(), &Value::Null));
    }
    let short = project.json(&["table", "pipelines/p.toml", "--rows", "k", "--columns", "images.seed"]);
    assert_eq!(short["cells"].as_array(), Some(cells), "the header of a column is a name of its axis");
    let wider = project.done(&[&pivot[..], &["-S", "knn.k=1,2"]].concat());
    assert!(wider.err.contains("without a result, and so in no cell: knn@"), "{}", wider.err);
    let latex = project.done(&[&pivot[..], &["--output", "latex"]].concat()).out;
    assert!(latex.starts_with("\\begin{tabular}{lrr}\n\\toprule\ntest accuracy \\%: knn.k"), "{latex}");
    let mixed = project.done(&[&pivot[..], &["-S", "knn.temperature=0.1,0.2"]].concat());
    assert!(mixed.err.contains("cells are means over `knn.temperature`"), "{}", mixed.err);
    assert!(!mixed.out.contains('±'), "temperatures are no repeats: {}", mixed.out);
    let other = project.strata(&[&pivot[..], &["--value", "images.test_accuracy"]].concat());
    assert!(other.code == Some(2) && other.err.contains("the metric `images.test_accuracy`"), "{}", other.err);
    let none = project.strata(&[&pivot[..], &["--value", "loss"]].concat());
    assert_eq!(none.code, Some(2));
    assert!(none.err.contains("no result has the metric `loss`"), "{}", none.err);
    assert!(none.err.contains("`knn.k`") && none.err.contains("`test_accuracy`"), "{}", none.err);
    let one = project.strata(&["table", "pipelines/p.toml", "--rows", "knn.k", "--columns", "knn.k"]);
    assert_eq!(one.code, Some(2), "{}", one.out);
}

/// Only seeds are repeats: a mean over them has an interval, a mean over anything else has none.
#[test]
fn cells_have_intervals_over_seeds_alone() {
    let text = pipeline().replace("[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", "[1, 2, 3]");
    let project = Project::with(&text);
    let more = ["-S", "knn.temperature=0.1,0.2"];
    project.done(&[&["run", "pipelines/p.toml", "-q"], &more[..]].concat());
    let pivot = |rows: &str, columns: &str| {
        let cells =
            project.json(&[&["table", "pipelines/p.toml", "--rows", rows, "--columns", columns], &more[..]].concat());
        cells["cells"].as_array().expect("cells").clone()
    };
    let over_seeds = pivot("knn.k", "knn.temperature");
    assert_eq!(over_seeds.len(), 6);
    assert!(over_seeds.iter().all(|cell| cell["n"] == 3 && cell["low"].is_f64()), "{over_seeds:?}");
    let order: Vec<u64> = over_seeds.iter().filter_map(|cell| cell["row"].as_u64()).collect();
    assert_eq!(order, [1, 1, 20, 20, 120, 120], "in the order of the sweep");
    let over_temperatures = pivot("knn.k", "images.seed");
    assert!(over_temperatures.iter().all(|cell| cell["n"] == 2 && cell["low"].is_null()), "{over_temperatures:?}");
}

/// A part of a sweep is shown with all its axes, and what is missing is said.
#[test]
fn half_a_sweep_is_known_as_half() {
    let project = Project::with(&pipeline());
    let run = project.json(&["run", "pipelines/p.toml", "knn@seed=2,knn.k=20"]);
    let ran = run["stages"].as_array().expect("stages").iter().filter(|stage| stage["name"] == "knn");
    let ran: Vec<&Value> = ran.collect();
    assert_eq!(ran.len(), 1, "values in any order name an instance");
    assert_eq!(ran[0]["instance"], "knn@knn.k=20,seed=2");
    assert!(ran[0]["metrics"]["test_accuracy"].is_f64(), "{}", ran[0]);
    let table = project.done(&["table", "pipelines/p.toml"]);
    let missing = "instances are cached; `strata run pipelines/p.toml` makes the others";
    assert!(table.err.contains(missing), "{}", table.err);
    let elsewhere = project.done(&["table", "pipelines/p.toml", "knn", "-S", "knn.temperature=0.3", "--seeds", "2"]);
    let run = "no results are cached; `strata run pipelines/p.toml knn -S 'knn.temperature=0.3' --seeds 2` makes them";
    assert!(elsewhere.err.contains(run), "{}", elsewhere.err);
    let csv = project.done(&["table", "pipelines/p.toml", "--output", "csv"]).out;
    assert!(csv.starts_with("stage,instance,knn.k,seed,"), "{csv}");
    project.done(&["run", "pipelines/p.toml", "knn@seed=2", "-q"]);
    let full = project.done(&["table", "pipelines/p.toml", "knn@seed=2"]);
    assert_eq!(full.err, "", "all that was asked for is there");
}

#[test]
fn arms_that_are_none_are_explained() {
    let project = Project::with(&pipeline());
    let wrong = |arms: [&str; 2]| {
        let ran = project.strata(&["compare", "pipelines/p.toml", arms[0], arms[1]]);
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        ran.err
    };
    assert!(wrong(["knn@knn.k=1", "knm@knn.k=20"]).contains("did you mean `knn`?"));
    let none = wrong(["knn@knn.k=1", "knn@knn.k=7"]);
    assert!(none.contains("no instance of `knn` is `knn@knn.k=7`") && none.contains("knn@knn.k=1,seed=1"), "{none}");
    assert!(wrong(["knn@knn.k=1", "knn"]).contains("give it a value of `knn.k`"));
    assert!(wrong(["knn@knn.k", "knn"]).contains("has no `=`"));
    let nothing = project.strata(&["compare", "pipelines/p.toml", "knn@knn.k=1", "knn@knn.k=20"]);
    assert_eq!(nothing.code, Some(1), "{}", nothing.err);
    let why = "`knn@knn.k=20` cannot be compared: 10 of its 10 instances have no `test_accuracy`";
    assert!(nothing.err.contains(why) && nothing.err.contains("and 5 more"), "{}", nothing.err);
    assert!(nothing.err.contains("`strata run pipelines/p.toml 'knn@knn.k=20'` runs"), "{}", nothing.err);
}
