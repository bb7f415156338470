//! A point of a sweep that fails: the rest goes on, tables show the gap, searches count it as the worst.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::Value;
use strata::{
    graph::{self, Graph, InstanceId},
    run::{self, Status},
    search::{Climb, Ladder},
};

use crate::{
    support::{Project, Ran, text},
    toys::{Bench, Started},
};

const FILE: &str = r#"
[stage.images]
kind = "dataset"
train = 60
test = 40
size = 8

[stage.net]
kind = "supervised"
inputs = { train = "images.train", test = "images.test" }
encoder = { kind = "resnet", n = 1, width = 0.25 }
epochs = 4
batch_size = 20
schedule = { kind = "constant" }
"#;

const HALVING: &str = "method = 'halving'\nover = 'net.epochs'\nfactor = 2\nscore = 'net.test_accuracy'\n";
/// Of these the second diverges.
const RATES: &str = "'net.optimizer.lr' = [0.01, 10000000000.0, 0.1, 0.3]\n";
const BAD: &str = "net@net.optimizer.lr=10000000000.0";

fn project(sweep: &str) -> Project {
    Project::with(&format!("{FILE}[sweep]\n{sweep}"))
}

fn run(project: &Project, more: &[&str]) -> Ran {
    let run = ["run", "pipelines/p.toml", "--threads", "1", "--events", "events.jsonl"];
    project.strata(&[&run[..], more].concat())
}

/// How often code of instances ran whose name begins like this, by the events of the last run.
fn starts(project: &Project, name: &str) -> usize {
    let events = fs::read_to_string(project.path("events.jsonl")).expect("events");
    events
        .lines()
        .filter(|line| line.contains("stage_started") && line.contains(&format!("\"instance\":\"{name}")))
        .count()
}

/// The trainings that have results, by the table.
fn trained(project: &Project) -> BTreeSet<String> {
    let table = project.json(&["table", "pipelines/p.toml", "net"]);
    table["rows"].as_array().expect("rows").iter().map(|row| text(&row["instance"])).collect()
}

#[test]
fn halving_takes_a_point_that_fails_for_the_worst() {
    let project = project(&format!("{HALVING}{RATES}"));
    let stopped = run(&project, &[]);
    assert_eq!(stopped.code, Some(1), "{}", stopped.err);
    assert!(stopped.err.contains("the search stopped at a failure; with `-k` it goes on"), "{}", stopped.err);

    let searched = run(&project, &["-k"]);
    assert_eq!(searched.code, Some(1), "{}", searched.err);
    assert_eq!(starts(&project, BAD), 1, "once, not once a rung");
    let lost = "rung 1 of 3: 1 point has no score and counts as the worst (net.optimizer.lr=10000000000.0)";
    assert!(searched.err.contains(lost), "{}", searched.err);
    let found = searched.err.lines().find(|line| line.starts_with("found ")).expect("an answer").to_owned();
    assert!(!found.contains("10000000000.0"), "{found}");
    assert!(
        searched.out.lines().any(|line| line.contains("10000000000.0") && line.contains("failed")),
        "{}",
        searched.out
    );
    assert!(searched.out.contains("1 failed"), "{}", searched.out);

    // Three of the first rung, two of the second, one of the last; all verbs see them, and the answer.
    let rows = trained(&project);
    let of_rung = |epochs: &str| rows.iter().filter(|name| name.ends_with(&format!("epochs={epochs}"))).count();
    assert_eq!(["1", "2", "4"].map(of_rung), [3, 2, 1], "{rows:?}");
    let table = project.done(&["table", "pipelines/p.toml"]);
    assert!(
        table.err.contains(&found) && table.err.contains(&format!("without a row: {BAD},net.epochs=1")),
        "{}",
        table.err
    );
    let plan = project.done(&["plan", "pipelines/p.toml"]);
    assert!(plan.err.contains(lost) && plan.err.contains(&found), "{}", plan.err);
    assert!(plan.out.contains("7 cached, 1 run, 0 waiting"), "{}", plan.out);
    project.done(&["report", "pipelines/p.toml", "-o", "page.html"]);
    let page = fs::read_to_string(project.path("page.html")).expect("a page");
    assert!(page.contains(&format!("Search: {found}")), "the winner is on the page");
    let winner = found.trim_start_matches("found ");
    assert!(page.contains(&format!("net@{winner},net.epochs=4")), "{winner}");

    let again = run(&project, &["-k"]);
    assert_eq!(again.code, Some(1));
    assert_eq!((starts(&project, "net@"), starts(&project, BAD)), (1, 1), "a failure is tried again, once");
    assert!(again.err.contains(&found), "{}", again.err);
}

#[test]
fn a_search_in_which_all_fails_ends() {
    let project = project(&format!("{HALVING}'net.optimizer.lr' = [10000000000.0, 20000000000.0]\n"));
    let searched = run(&project, &["-k"]);
    assert_eq!(searched.code, Some(1), "{}", searched.err);
    assert!(searched.err.contains("no point has a score") && !searched.err.contains("found "), "{}", searched.err);
    assert_eq!(starts(&project, "net@"), 2);
    assert!(project.done(&["plan", "pipelines/p.toml"]).err.contains("rung 1 of "), "the plan is of the first rung");
}

#[test]
fn a_search_that_was_stopped_early_is_followed_as_far_as_it_came() {
    let project = project(&format!("{HALVING}{RATES}"));
    let part = ["-k", "net@net.epochs=1"];
    assert_eq!(run(&project, &part).code, Some(1));
    // Nothing of the second rung is there, so nobody knows whether the point without a score failed or never ran.
    let plan = project.done(&["plan", "pipelines/p.toml"]);
    assert!(plan.err.contains("rung 1 of 3") && !plan.err.contains("found"), "{}", plan.err);
    assert!(plan.out.contains("4 cached, 1 run, 0 waiting"), "{}", plan.out);
}

#[test]
fn a_random_search_goes_on_without_a_point_that_fails() {
    let project = project(&format!("method = 'random'\nbudget = 4\n{RATES}"));
    assert!(run(&project, &[]).err.contains("with `-k` it goes on"), "it says how");
    let searched = run(&project, &["-k"]);
    assert_eq!(searched.code, Some(1), "{}", searched.err);
    assert_eq!(trained(&project).len(), 3);
}

#[test]
fn seeds_are_added_for_the_points_that_work() {
    let project = project("'net.optimizer.lr' = [0.01, 10000000000.0]\nseeds = 1\nvary = ['net']\n");
    let done = run(&project, &["-k", "--until-ci", "0.9"]);
    assert_eq!(done.code, Some(1), "{}", done.err);
    assert!(done.err.contains("no interval of test accuracy % where a seed failed"), "{}", done.err);
    let seeds = trained(&project);
    assert!(starts(&project, BAD) > 1, "each seed of the other is tried once: {}", done.err);
    assert!(seeds.iter().all(|name| !name.contains("10000000000.0")), "{seeds:?}");
    let line = done.out.lines().find(|line| line.contains("10000000000.0")).unwrap_or_else(|| panic!("{}", done.out));
    assert!(line.contains("0 (") && line.contains("failed"), "{line}");

    let none =
        Project::with(&format!("{FILE}[sweep]\n'net.optimizer.lr' = [10000000000.0]\nseeds = 2\nvary = ['net']\n"));
    let none = run(&none, &["-k", "--until-ci", "0.9"]);
    assert_eq!(none.code, Some(1), "{}", none.err);
    assert!(none.err.contains("no point has results of all its seeds"), "{}", none.err);
}

#[test]
fn tables_show_the_gap_and_compare_refuses_it() {
    let project = project(&format!("{RATES}seeds = 2\nvary = ['net']\n"));
    assert_eq!(run(&project, &[]).code, Some(1));
    let all = run(&project, &["-k"]);
    assert_eq!(all.code, Some(1), "{}", all.err);
    assert_eq!(
        all.out.lines().filter(|line| line.contains("failed") && line.contains("10000000000.0")).count(),
        1,
        "{}",
        all.out
    );

    // The others have the numbers of a sweep without it.
    let alone =
        Project::with(&format!("{FILE}[sweep]\n'net.optimizer.lr' = [0.01, 0.1, 0.3]\nseeds = 2\nvary = ['net']\n"));
    assert_eq!(run(&alone, &[]).code, Some(0));
    let rows = |project: &Project| {
        let table = project.json(&["table", "pipelines/p.toml"]);
        let rows = table["rows"].as_array().expect("rows").iter();
        rows.map(|row| (text(&row["instance"]), row["metrics"].clone())).collect::<BTreeMap<String, Value>>()
    };
    assert_eq!(rows(&project), rows(&alone));

    let csv = run(&project, &["-k", "--output", "csv"]).out;
    let bad: Vec<&str> = csv.lines().filter(|line| line.contains("10000000000.0")).collect();
    assert_eq!(bad.len(), 2, "a line for each seed: {csv}");
    assert!(bad.iter().all(|line| line.ends_with(",,")), "without numbers: {csv}");
    let table = project.done(&["table", "pipelines/p.toml"]);
    assert!(table.err.contains(&format!("without a row: {BAD},seed=0; {BAD},seed=1")), "{}", table.err);

    let compare = |a: &str, b: &str| project.strata(&["compare", "pipelines/p.toml", a, b]);
    for (a, b) in [(BAD, "net@net.optimizer.lr=0.1"), ("net@net.optimizer.lr=0.1", BAD)] {
        let refused = compare(a, b);
        assert_eq!(refused.code, Some(1), "{}", refused.out);
        let why = format!("`{BAD}` cannot be compared: 2 of its 2 instances have no `test_accuracy`: {BAD},seed=0");
        assert!(refused.err.contains(&why), "{}", refused.err);
    }
    assert_eq!(compare("net@net.optimizer.lr=0.01", "net@net.optimizer.lr=0.1").code, Some(0));
}

const TOYS: &str = "[stage.source]\nkind = 'numbers'\nvalues = [1.0, 2.0]\n[stage.a]\nkind = 'map'\n\
                    inputs = { in = 'source.out' }\ndecimals = 4\n";

/// Equal work fails once: within a run, and in a turn of it that is told what failed before.
#[test]
fn equal_work_fails_once() {
    let mut bench = Bench::new();
    bench.keep_going = true;
    // Both cut the numbers to the same bytes, so the stages below are equal, which only the run finds out.
    let text = "[stage.source]\nkind = 'numbers'\nvalues = [1.0]\n\
                [stage.a]\nkind = 'map'\ninputs = { in = 'source.out' }\nadd = 0.1\ndecimals = 0\n\
                [stage.b]\nkind = 'map'\ninputs = { in = 'source.out' }\nadd = 0.2\ndecimals = 0\n\
                [stage.c]\nkind = 'map'\ninputs = { in = 'a.out' }\nfail = true\n\
                [stage.d]\nkind = 'map'\ninputs = { in = 'b.out' }\nfail = true\n";
    let ran = bench.run(text);
    let broken: Vec<&String> = ran.started.iter().filter(|name| ["c", "d"].contains(&name.as_str())).collect();
    assert_eq!(broken.len(), 1, "{:?}", ran.started);
    let failed = ran.all.iter().filter(|(_, status)| *status == Status::Failed).count();
    assert_eq!((failed, &ran.messages[..]), (2, &["told to fail".to_owned(), "told to fail".to_owned()][..]));
    bench.with(text, |graph| {
        let all = graph.select(&[]).expect("everything");
        let run = |options: &run::Options| {
            let mut started = Started::default();
            let report = run::run(graph, &all, &bench.store(), options, &mut started).expect("the cache works");
            (report, started.0)
        };
        let mut options = bench.options();
        let (report, _) = run(&options);
        let failed = report.outcomes.into_iter().filter(|outcome| outcome.status == Status::Failed);
        options.failed = failed.filter_map(|outcome| outcome.key.zip(outcome.message)).collect();
        let (report, started) = run(&options);
        assert_eq!((started, report.counts.failed), (Vec::<String>::new(), 2));
    });
}

#[test]
fn a_score_that_is_no_finite_number_never_goes_on() {
    let sweep = "[sweep]\nmethod = 'halving'\nover = 'a.decimals'\nfactor = 2\nscore = 'a.sum'\n\
                 'a.add' = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]\n";
    for (goal, best) in [("maximize", [2.0, 4.0, 8.0]), ("minimize", [8.0, 4.0, 2.0])] {
        Bench::new().with(&format!("{TOYS}{sweep}goal = '{goal}'\n"), |graph| {
            let halving = graph.pipeline.halving.as_ref().expect("a search");
            let scores = [f64::NAN, 5.0, f64::INFINITY, 4.0, f64::NEG_INFINITY, f64::NAN, f64::NAN, 3.0];
            let metrics = scored(graph, |add| Some(scores[add as usize - 1]));
            let mut ladder = Ladder::new(graph, halving);
            let alive = |ladder: &Ladder<'_, '_>| -> Vec<f64> {
                ladder.alive().map(|point| point[0].1.as_f64().expect("a number")).collect()
            };
            assert!(matches!(ladder.climb(|index| metrics.get(&index)), Ok(Climb::Up)));
            assert_eq!(alive(&ladder), best, "{goal}: four could go on, three have a score");
            // The best fails on the second rung.
            let fewer = scored(graph, |add| Some(scores[add as usize - 1]).filter(|_| add != best[0]));
            assert!(matches!(ladder.climb(|index| fewer.get(&index)), Ok(Climb::Up)));
            assert_eq!(alive(&ladder), best[1..], "{goal}");
            let lost = ladder.clone().without_score(|_| None).expect("no metric is wrong where there is none");
            assert_eq!(lost.len(), 2);
            assert!(matches!(ladder.clone().climb(|_| None), Ok(Climb::Nothing)));
            let Ok(Climb::Top(point)) = ladder.climb(|index| metrics.get(&index)) else { panic!("three rungs") };
            assert_eq!(point, [("a.add", best[1].into())], "{goal}");
        });
    }
}

/// The metric of every instance of `a`, by the value of its axis.
fn scored(graph: &Graph<'_>, score: impl Fn(f64) -> Option<f64>) -> BTreeMap<InstanceId, BTreeMap<String, f64>> {
    let of = |(index, instance): (InstanceId, &graph::Instance<'_>)| {
        let score = score(instance.axes.get("a.add")?.as_f64()?)?;
        Some((index, BTreeMap::from([("sum".to_owned(), score)])))
    };
    graph.instances.iter_enumerated().filter_map(of).collect()
}
