//! What runs beside what: `needs`, `--jobs`, `--memory`.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::support::Project;

/// A source and five stages that stand on it, each with these needs.
fn file(needs: &str) -> String {
    let mut text = "[stage.images]\nkind = 'dataset'\ntrain = 400\ntest = 50\n".to_owned();
    for index in 0..5 {
        text.push_str(&format!(
            "[stage.n{index}]\nkind = 'supervised'\ninputs = {{ train = 'images.train', test = 'images.test' }}\n\
             encoder = {{ kind = 'resnet', n = 1, width = 0.25 }}\nepochs = 1\nseed = {index}\n{needs}\n"
        ));
    }
    text
}

/// The most instances that ran at one time, by the events of a run.
fn most_at_once(needs: &str, arguments: &[&str]) -> usize {
    let project = Project::with(&file(needs));
    let mut all = vec!["run", "pipelines/p.toml", "--events", "events.jsonl"];
    all.extend(arguments);
    project.done(&all);
    let (mut running, mut most) = (BTreeSet::new(), 0);
    for line in fs::read_to_string(project.path("events.jsonl")).expect("the events").lines() {
        let event: Value = serde_json::from_str(line).expect("a line is JSON");
        let instance = event["instance"].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str() {
            Some("stage_started") => drop(running.insert(instance)),
            Some("stage_finished") => drop(running.remove(&instance)),
            _ => {}
        }
        most = most.max(running.len());
    }
    most
}

#[test]
fn limits_hold_and_room_is_used() {
    assert_eq!(most_at_once("", &["-j", "3", "--threads", "1"]), 3, "jobs");
    let memory = "needs = { memory = '2GiB' }";
    assert_eq!(most_at_once(memory, &["-j", "4", "--threads", "1", "--memory", "5GiB"]), 2, "memory");
    assert_eq!(most_at_once(memory, &["-j", "4", "--threads", "1", "--memory", "1GiB"]), 1, "more than there is");
    assert_eq!(most_at_once("needs = { threads = 2 }", &["-j", "4", "--threads", "1"]), 2, "threads");
    assert_eq!(
        most_at_once("needs = { threads = 1, gpu = 1 }", &["-j", "2", "--threads", "1"]),
        2,
        "no GPU to wait for"
    );
}
