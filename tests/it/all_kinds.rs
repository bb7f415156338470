//! What every kind in the registry must do, unasked: see the docs of `stage`.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;
use strata::{
    diagnostic::Sources,
    graph::Graph,
    pipeline,
    run::{self, Event, Reporter, Status},
    stage::Problems,
    stages::registry,
    store::{Manifest, Store},
};

/// A pipeline with every kind in it, small enough to run in seconds.
const ALL: &str = include_str!("all_kinds.toml");

struct Silent;

impl Reporter for Silent {
    fn event(&mut self, _: &Event) {}
}

/// Runs the pipeline in a new cache, and gives the record of each instance.
fn run(threads: usize, jobs: usize) -> BTreeMap<String, Manifest> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut sources = Sources::default();
    sources.add("all_kinds.toml", ALL);
    let (pipeline, found) = pipeline::parse(&sources, Path::new("all_kinds.toml"), &registry());
    let graph = Graph::build(pipeline, found).unwrap_or_else(|found| {
        panic!("{}", found.iter().map(|d| d.render(&sources, false)).collect::<Vec<_>>().join("\n"))
    });
    let options = run::Options { jobs, threads, ..run::Options::default() };
    let selection = graph.select(&[]).expect("everything");
    let store = Store::open(folder.path().join("cache"));
    let report = run::run(&graph, &selection, &store, &options, &mut Silent).expect("the cache works");
    let record = |outcome: &run::Outcome| {
        let name = graph.instances[outcome.index].name.to_string();
        assert_eq!(outcome.status, Status::Ran, "{name}: {:?}", outcome.message);
        (name, outcome.manifest.as_deref().cloned().expect("a stage that ran has a record"))
    };
    report.outcomes.iter().map(record).collect()
}

#[test]
fn the_pipeline_with_all_kinds_has_all_kinds() {
    let used: Vec<String> = run(1, 1).into_values().map(|manifest| manifest.recipe.kind).collect();
    for kind in registry().kinds() {
        assert!(used.iter().any(|used| used == kind.name), "add the kind `{}` to tests/it/all_kinds.toml", kind.name);
    }
}

#[test]
fn bytes_do_not_depend_on_threads_or_jobs() {
    let results = |(threads, jobs)| -> BTreeMap<String, _> {
        run(threads, jobs).into_iter().map(|(name, m)| (name, (m.outputs, m.metrics, m.series))).collect()
    };
    let one = results((1, 1));
    for setting in [(1, 1), (2, 1), (3, 2)] {
        for (name, result) in results(setting) {
            assert_eq!(result, one[&name], "{name} with (threads, jobs) = {setting:?}");
        }
    }
}

#[test]
fn every_parameter_and_port_is_documented() {
    fn undocumented(path: &str, schema: &Value, found: &mut Vec<String>) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            if property["description"].as_str().is_none_or(str::is_empty) {
                found.push(path);
            }
        }
        for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
            undocumented(&format!("{path}/{name}"), definition, found);
        }
    }
    let mut found = Vec::new();
    for kind in registry().kinds() {
        let schema = kind.schema().to_value();
        if schema["description"].as_str().is_none_or(str::is_empty) {
            found.push(kind.name.to_owned());
        }
        undocumented(kind.name, &schema, &mut found);
        let ports = kind.inputs.iter().chain(&kind.outputs);
        found.extend(ports.filter(|port| port.about.is_empty()).map(|port| format!("{}: {}", kind.name, port.name)));
    }
    assert_eq!(found, [""; 0]);
}

#[test]
fn defaults_pass_their_own_check() {
    for kind in registry().kinds() {
        let mut problems = Problems::default();
        kind.default_stage().check(&mut problems);
        assert_eq!(problems.into_vec(), [], "{}", kind.name);
    }
}

/// What `strata schema KIND` prints is a stage with every port, and every parameter at its default.
#[test]
fn a_kind_as_toml_is_the_kind_at_its_defaults() {
    fn leaves(value: &Value, name: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| leaves(value, name, found)),
            _ => found.push(name.to_owned()),
        }
    }
    for kind in registry().kinds() {
        let text = pipeline::kind_toml(kind);
        let document: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut stage = document["stage"][kind.name].as_table().expect("a stage").clone();
        assert_eq!(stage.remove("kind").as_ref().and_then(toml::Value::as_str), Some(kind.name));
        stage.remove("inputs");
        let defaults = kind.default_stage().params();
        let read = kind.restore(&serde_json::to_value(stage).expect("plain data")).expect("parameters");
        assert_eq!(read.params(), defaults, "{text}");
        let mut names = Vec::new();
        leaves(&defaults, "", &mut names);
        assert!(names.iter().all(|name| text.contains(&format!("{name} = "))), "{text}");
        let mut ports = kind.inputs.iter().chain(&kind.outputs);
        assert!(ports.all(|port| text.contains(&format!("put `{}` (", port.name))), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}
