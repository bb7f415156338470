//! A file that is edited while a run goes on does not change that run.

use std::{fs, process::Stdio};

use serde_json::Value;

use crate::support::{Project, is_event, lines_come};

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

/// Runs; at the first stage that starts, the file becomes `then`. What it printed, and the parameters of every training.
fn edited(sweep: &str, then: &str, more: &[&str]) -> (Value, Vec<Value>) {
    let project = Project::with(&format!("{FILE}{sweep}"));
    let args = ["run", "pipelines/p.toml", "--events", "events.jsonl", "--output", "json", "--threads", "1"];
    let out = fs::File::create(project.path("out")).expect("a file");
    let mut command = project.command();
    let mut child = command.args(args).args(more).stdout(out).stderr(Stdio::inherit()).spawn().expect("it starts");
    let events = project.path("events.jsonl");
    assert!(lines_come(&events, &mut child, 1, |line| is_event(line, "stage_started", "images")));
    project.write("pipelines/p.toml", then);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let out = fs::read_to_string(project.path("out")).expect("what it printed");
    let told = fs::read_to_string(&events).expect("events");
    let lines = told.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let trainings = lines.filter(|event| event["event"] == "stage_started" && event["kind"] == "supervised");
    (serde_json::from_str(&out).expect("JSON"), trainings.map(|event| event["parameters"].clone()).collect())
}

#[test]
fn rounds_of_seeds_are_all_of_one_text() {
    let sweep = "[sweep]\nseeds = 1\nvary = ['net']\n";
    let other = format!("{FILE}{sweep}").replace("epochs = 4", "epochs = 5");
    for then in ["half a fi", "", &other] {
        let (run, trainings) = edited(sweep, then, &["--until-ci", "0.9"]);
        assert!(trainings.len() >= 2, "there was a second round: {run}");
        assert!(trainings.iter().all(|parameters| parameters["epochs"] == 4), "{trainings:?}");
        assert_eq!(run["counts"]["ran"].as_u64(), Some(trainings.len() as u64 + 1), "nothing ran twice: {run}");
    }
}

#[test]
fn rungs_are_all_of_one_text() {
    let halving = "[sweep]\nmethod = 'halving'\nover = 'net.epochs'\nfactor = 2\nscore = 'net.test_accuracy'\n";
    let sweep = format!("{halving}'net.optimizer.lr' = [0.01, 0.1]\n");
    let (run, trainings) = edited(&sweep, "half a fi", &[]);
    assert_eq!(trainings.len(), 3, "{run}");
    assert!(trainings.iter().all(|parameters| parameters["batch_size"] == 20), "{trainings:?}");
}
