//! What is never kept: results of files that changed under the stage, numbers that are not finite, and a key for two works.

use std::{collections::BTreeSet, thread, time::Duration};

use strata::run::Status;

use crate::{
    support::{NEIGHBOURS, Project},
    toys::Bench,
};

fn meddling(word: &str) -> String {
    format!("[stage.source]\nkind = \"numbers\"\npath = \"numbers.txt\"\nmeddle = \"{word}\"\n")
}

/// Runs a stage that reads 1 from its file after something has changed it to 2.
fn meddled(word: &str, age: Duration) -> (Bench, crate::toys::Ran) {
    let bench = Bench::new();
    std::fs::write(bench.folder.path().join("numbers.txt"), "1\n").expect("written");
    thread::sleep(age);
    let ran = bench.run(&meddling(word));
    (bench, ran)
}

/// The numbers that lie in the cache as outputs of finished work.
fn kept(bench: &Bench) -> Vec<Vec<f64>> {
    let store = bench.store();
    let manifests = store.manifests().expect("the cache can be read");
    let numbers = manifests.iter().map(|(_, manifest)| {
        let artifact = store.read(&manifest.outputs["out"].hash).expect("an artifact");
        artifact.tensor("x").and_then(|x| Ok(x.to_vec1()?)).expect("numbers")
    });
    numbers.collect()
}

/// Young files are compared by content, old ones by what the file system says.
const AGES: [Duration; 2] = [Duration::ZERO, Duration::from_millis(1200)];

#[test]
fn a_file_that_changes_while_it_is_read_is_read_again_under_its_new_hash() {
    for age in AGES {
        let (bench, ran) = meddled("once", age);
        assert_eq!(ran.started, ["source", "source"], "{:?}", ran.messages);
        assert_eq!(ran.all, [("source".to_owned(), Status::Ran)]);
        assert_eq!(kept(&bench), [vec![2.0]]);
        assert_eq!(bench.run(&meddling("once")).started, [""; 0], "the new content is cached");
        std::fs::write(bench.folder.path().join("numbers.txt"), "1\n").expect("written");
        assert_eq!(bench.run(&meddling("once")).started, ["source"], "the old content never was");
    }
}

#[test]
fn a_file_that_was_put_back_is_noticed_too() {
    for age in AGES {
        let (bench, ran) = meddled("and back", age);
        assert_eq!(ran.all, [("source".to_owned(), Status::Failed)]);
        assert!(ran.messages[0].contains("numbers.txt") && ran.messages[0].contains("again and again"), "{ran:?}");
        assert!(kept(&bench).is_empty(), "nothing was kept");
    }
}

#[test]
fn numbers_that_are_not_finite_are_no_output() {
    let bench = Bench::new();
    let text = "[stage.large]\nkind = \"numbers\"\nvalues = [1.0, 1e308]\n[stage.sum]\nkind = \"map\"\n\
                inputs = { in = \"large.out\" }\nadd = 1e308\ndecimals = 0\n[stage.more]\nkind = \"map\"\n\
                inputs = { in = \"sum.out\" }\n";
    let ran = bench.run(text);
    let of = |name: &str| ran.all.iter().find(|(found, _)| found == name).map(|(_, status)| *status);
    assert_eq!((of("sum"), of("more")), (Some(Status::Failed), Some(Status::Blocked)));
    let message = &ran.messages[0];
    assert!(["`out`", "`x`", "inf", "row 1"].iter().all(|word| message.contains(word)), "{message}");
    assert_eq!(bench.run(text).started, ["sum"], "a failure is not cached");
}

#[test]
fn a_parameter_is_a_finite_number() {
    let found = Bench::new().mistakes(
        "[stage.n]\nkind = \"numbers\"\nvalues = [1.0, nan]\n[stage.m]\nkind = \"map\"\ninputs = { in = \"n.out\" }\nadd = -inf\n",
    );
    assert_eq!(
        found,
        ["3:16: `n.values`: must be a finite number, got nan", "7:7: `m.add`: must be a finite number, got -inf"]
    );
}

#[test]
fn metrics_that_are_not_finite_are_kept_as_such() {
    let bench = Bench::new();
    let text = "[stage.n]\nkind = \"numbers\"\nvalues = [1e308, 1e308]\n[stage.m]\nkind = \"map\"\n\
                inputs = { in = \"n.out\" }\ndecimals = 0\n";
    bench.run(text);
    let manifests = bench.store().manifests().expect("the cache can be read");
    let sums: Vec<f64> = manifests.iter().filter_map(|(_, manifest)| manifest.metrics.get("sum").copied()).collect();
    assert_eq!(sums, [f64::INFINITY]);
    assert_eq!(bench.run(text).started, [""; 0]);
}

#[test]
fn every_seed_of_64_bits_has_a_key_of_its_own() {
    let project = Project::with(NEIGHBOURS);
    let seeds = [(1 << 53) - 1, 1 << 53, (1 << 53) + 1, 1_764_307_712_000_000_001, i64::MAX as u64];
    let mut hashes = BTreeSet::new();
    for seed in seeds {
        let set = format!("images.seed={seed}");
        let ran = project.json(&["run", "pipelines/p.toml", "images", "-S", &set]);
        assert_eq!(ran["stages"][0]["status"], "ran", "{seed}");
        hashes.insert(ran["stages"][0]["outputs"]["train"]["hash"].as_str().expect("a hash").to_owned());
    }
    assert_eq!(hashes.len(), seeds.len());
}

#[test]
fn repeats_by_the_clock_are_repeats() {
    let text = format!("[pipeline]\nseed = 1764307712000000000\n[sweep]\nseeds = 4\nvary = [\"images\"]\n{NEIGHBOURS}");
    let project = Project::with(&text);
    let ran = project.json(&["run", "pipelines/p.toml", "images"]);
    assert_eq!(ran["counts"]["ran"], 4);
}

#[test]
fn two_files_of_one_name_do_not_explain_each_other() {
    let project = Project::with(NEIGHBOURS);
    project.write("other/p.toml", NEIGHBOURS.replace("[stage.knn]", "[stage.knn]\nk = 7"));
    project.write("other/pipelines/empty", "");
    let cache = project.path("cache");
    let cache = cache.to_str().expect("a path of text");
    project.done(&["run", "pipelines/p.toml"]);
    project.done(&["run", "other/p.toml", "--cache-dir", cache]);
    project.edit("pipelines/p.toml", "[stage.knn]", "[stage.knn]\ntemperature = 0.2");
    let why = project.done(&["why", "pipelines/p.toml", "knn"]).out;
    assert!(why.contains("temperature") && !why.contains("k: 7"), "{why}");
}

const PROBED: &str = r#"
[stage.images]
kind = "dataset"
train = 60
test = 30
size = 16

[stage.train]
kind = "encode"
inputs = { images = "images.train" }

[stage.test]
kind = "encode"
inputs = { images = "images.test" }

[stage.drawn]
kind = "linear_probe"
inputs = { train = "train.features", test = "test.features" }
fraction = 0.5

[stage.whole]
kind = "linear_probe"
inputs = { train = "train.features", test = "test.features" }
"#;

#[test]
fn a_seed_without_effect_is_no_repeat() {
    // Only the seed of `drawn` decides anything: which half of the labels it sees.
    let text = format!("{PROBED}[sweep]\nseeds = 3\nvary = [\"drawn\", \"whole\"]\n\"whole.c\" = [0.001, 0.1]\n");
    let project = Project::with(&text);
    let run = project.done(&["run", "pipelines/p.toml"]);
    let seeds = |stage: &str| -> Vec<String> {
        let lines = run.out.lines().filter(|line| line.trim_start().starts_with(stage));
        lines
            .map(|line| line.split('[').next().unwrap_or_default().split_whitespace().rev().nth(1).map(str::to_owned))
            .map(|seeds| seeds.expect("a cell"))
            .collect()
    };
    assert_eq!(seeds("drawn"), ["3"], "{}", run.out);
    assert_eq!(seeds("whole").first().map(String::as_str), Some("1"), "{}", run.out);
    let compared = project.done(&["compare", "pipelines/p.toml", "whole@whole.c=0.001", "whole@whole.c=0.1"]).out;
    assert!(compared.contains("one seed: the spread over seeds is unknown"), "{compared}");

    let none = Project::with(&format!("{PROBED}[sweep]\nseeds = 2\nvary = [\"whole\"]\n"));
    let refused = none.strata(&["check", "pipelines/p.toml"]);
    assert_eq!(refused.code, Some(2), "{}", refused.out);
    assert!(refused.err.contains("no result varies with the seeds"), "{}", refused.err);
}

#[test]
fn sizes_that_cannot_be_are_mistakes() {
    let project = Project::with(NEIGHBOURS);
    for set in ["images.train=18446744073709551615", "images.size=100000000", "images.test=999999999999999"] {
        for verb in ["check", "plan", "run"] {
            let ran = project.strata(&[verb, "pipelines/p.toml", "-S", set]);
            assert_eq!(ran.code, Some(2), "{verb} {set}\n{}", ran.err);
            assert!(ran.err.contains("more than a tebibyte of images"), "{}", ran.err);
        }
    }
    let project = Project::with(&format!(
        "{NEIGHBOURS}[stage.batches]\nkind = \"sampler\"\ninputs = {{ labels = \"images.train\" }}\n\
         [stage.noisy]\nkind = \"noise\"\ninputs = {{ images = \"images.train\" }}\n\
         [stage.net]\nkind = \"simclr\"\ninputs = {{ images = \"images.train\", batches = \"batches\" }}\n\
         [stage.dae]\nkind = \"dae\"\ninputs = {{ clean = \"images.train\", noisy = \"noisy\" }}\n"
    ));
    for (set, said) in [
        ("net.head=[1000000000]", "must be sizes from 1 to 65536, got 1000000000"),
        ("net.head=[16,0]", "must be sizes from 1 to 65536, got 0"),
        ("dae.channels=[8,1000000]", "must be sizes from 1 to 65536, got 1000000"),
        ("net.encoder.n=1000000", "must be from 1 to 1000, not 1000000"),
        ("batches.rounds=10000000000", "more than a tebibyte of images or indices"),
        ("noisy.draws=18446744073709551615", "more than a tebibyte of images or indices"),
        ("net.concentration=1e300", "must be between 0 and 1000000"),
        ("net.augment.blur_sigma=[1e-300,1e-300]", "must be two rising numbers from 0.001 to 100"),
    ] {
        let ran = project.strata(&["check", "pipelines/p.toml", "-S", set]);
        assert_eq!(ran.code, Some(2), "{set}\n{}", ran.err);
        assert!(ran.err.contains(said), "{set}\n{}", ran.err);
    }
}

#[test]
fn a_baseline_of_two_values_is_refused() {
    let project = Project::with(&format!("{NEIGHBOURS}[sweep]\n\"knn.k\" = [1, 3]\n"));
    project.done(&["run", "pipelines/p.toml"]);
    let twice = project.strata(&["table", "pipelines/p.toml", "--baseline", "knn.k=1,knn.k=3"]);
    assert!(twice.code == Some(2) && twice.err.contains("gives an axis two values"), "{}", twice.err);
}
