//! Keys and caches of released versions: a change that makes users' results useless cannot pass unseen.
//!
//! `STRATA_BLESS=1 cargo test golden` writes what this version makes to `tests/golden/`; a change there needs a reason in
//! CHANGELOG.md. The cache of a release is added once, with `STRATA_BLESS=1`, and never written again.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use strata::{
    diagnostic::Sources,
    digest::{ArtifactHash, SourceHash},
    graph::Graph,
    pipeline,
    stages::registry,
    store::{Recipe, canonical},
};

use crate::support::{Project, text};

/// Two instances of each kind: with defaults alone as far as that is possible, and with other values.
const KEYS: &str = include_str!("../golden/keys.toml");

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn is_blessed() -> bool {
    std::env::var_os("STRATA_BLESS").is_some()
}

/// The text that is hashed for each instance and its key. Contents that come in are stood for by the names of their ports.
fn keys() -> BTreeMap<String, Value> {
    let mut sources = Sources::default();
    sources.add("keys.toml", KEYS);
    let (pipeline, found) = pipeline::parse(&sources, &golden("keys.toml"), &registry());
    let graph = Graph::build(pipeline, found).unwrap_or_else(|found| {
        panic!("{}", found.iter().map(|d| d.render(&sources, false)).collect::<Vec<_>>().join("\n"))
    });
    let of = |instance: &strata::graph::Instance<'_>| {
        let mut params = instance.work.effective();
        let mut files = BTreeMap::new();
        if params.get("path").is_some_and(Value::is_string) {
            params.as_object_mut().expect("parameters are a table").remove("path");
            files.insert("path".to_owned(), SourceHash::from(blake3::hash(b"path")));
        }
        let inputs = instance.inputs.iter().map(|link| (link.port.to_owned(), ArtifactHash::of(link.port.as_bytes())));
        let recipe = Recipe {
            program: None,
            kind: instance.kind.name.to_owned(),
            version: instance.kind.version,
            params: params.into(),
            inputs: inputs.collect(),
            sources: files,
        };
        let trajectory = instance.work.extent().map(|extent| recipe.trajectory(&extent.free));
        (
            instance.name.to_string(),
            json!({"hashed": canonical(&recipe), "key": recipe.key(), "trajectory": trajectory}),
        )
    };
    graph.instances.iter().map(of).collect()
}

#[test]
fn keys_are_those_of_the_releases() {
    let keys = keys();
    for kind in registry().kinds() {
        let count = keys.values().filter(|key| text(&key["hashed"]).contains(&format!("\"kind\":\"{}\"", kind.name)));
        assert!(count.count() >= 2, "add two instances of `{}` to tests/golden/keys.toml", kind.name);
    }
    let path = golden("keys.json");
    if is_blessed() {
        fs::write(&path, serde_json::to_string_pretty(&keys).expect("JSON") + "\n").expect("written");
    }
    let known: BTreeMap<String, Value> =
        serde_json::from_str(&fs::read_to_string(&path).expect("the keys of the releases")).expect("JSON");
    for (name, key) in &keys {
        assert_eq!(
            Some(key),
            known.get(name),
            "the key of `{name}` is another: every user's result would be made again"
        );
    }
    assert_eq!(keys.len(), known.len());
}

/// A project whose cache a release has made.
fn released(release: &str) -> Project {
    let project = Project::new();
    let from = golden(release);
    copy(&from, &project.path(""));
    project
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder of the tests").map(|entry| entry.expect("an entry").path()) {
        let name = entry.file_name().expect("a name");
        if entry.is_dir() {
            copy(&entry, &to.join(name));
        } else {
            fs::copy(&entry, to.join(name)).expect("copied");
        }
    }
}

#[test]
fn a_cache_of_each_release_is_still_good() {
    let mut releases: Vec<PathBuf> = fs::read_dir(golden("caches"))
        .expect("the caches of the releases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    releases.sort();
    assert!(!releases.is_empty());
    for release in releases {
        let name = release.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let project = released(&format!("caches/{name}"));
        let table = fs::read_to_string(project.path("table.json")).expect("what the release showed");
        let words = project.words("run", &[]);
        let others: Vec<_> = words.iter().filter(|(_, word)| word != "cached").collect();
        assert!(others.is_empty(), "not found in the cache of {name}: {others:?}");
        let table: Value = serde_json::from_str(&table).expect("JSON");
        assert_eq!(project.json(&["table", "pipelines/p.toml"])["rows"], table["rows"], "{name}");
        assert_eq!(project.done(&["cache", "verify"]).code, Some(0));
        // Nothing that the release wrote was lost.
        for (path, content) in files(&release.join("cache")) {
            let now = fs::read(project.path("cache").join(&path)).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            assert!(!path.starts_with("manifests-v1") || now == content, "{path:?} of {name} was written again");
        }
    }
}

fn files(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).expect("a path below").to_owned();
                found.push((name, fs::read(&path).expect("a file")));
            }
        }
    }
    found
}
