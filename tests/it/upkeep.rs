//! The upkeep of a cache: what goes, what stays, and what damage does.

use std::fs;

use crate::support::{Project, text};

const ALL: &str = include_str!("all_kinds.toml");
const FILE: &str = "pipelines/p.toml";

fn finished() -> Project {
    let project = Project::with(ALL);
    project.done(&["run", FILE]);
    project
}

fn objects(project: &Project) -> Vec<std::path::PathBuf> {
    let cache = project.cache().into_iter().map(|(path, _)| path);
    cache
        .filter(|path| path.extension().is_some_and(|kind| kind == "safetensors") && path.starts_with("objects"))
        .collect()
}

#[test]
fn evicted_objects_come_back_only_when_they_are_needed() {
    let project = finished();
    let before = objects(&project);
    let bare = project.strata(&["cache", "gc", "--max-size", "50"]);
    assert!(bare.code == Some(2) && bare.err.contains("50GiB"), "50 of what? {}", bare.err);
    assert_eq!(objects(&project), before);
    let dry = project.done(&["cache", "gc", "--max-size", "0", "--dry-run"]);
    assert!(dry.out.contains("would free") && dry.out.contains("to make it all again"), "{}", dry.out);
    assert_eq!(objects(&project), before, "a dry run deletes nothing");
    project.done(&["cache", "gc", "--max-size", "0"]);
    assert_eq!(objects(&project), [""; 0].map(std::path::PathBuf::from));
    let all_cached = project.words("run", &[]);
    assert!(all_cached.iter().all(|(_, word)| word == "cached"), "{all_cached:?}");

    // A new probe needs features, those need weights and images, and so on up; the DAE is needed for the batches.
    project.edit(FILE, "kind = \"linear_probe\"", "kind = \"linear_probe\"\nc = 0.5");
    let plan: Vec<String> =
        project.words("plan", &[]).into_iter().filter(|(_, w)| w == "run").map(|(n, _)| n).collect();
    let ran: Vec<String> =
        project.words("run", &[]).into_iter().filter(|(_, w)| w != "cached").map(|(n, _)| n).collect();
    assert_eq!(plan, ran, "the plan says what is made again");
    for needed in ["images", "simclr", "train_features", "test_features", "probe"] {
        assert!(ran.iter().any(|name| name == needed), "{needed} in {ran:?}");
    }
    for not in ["knn", "fine_tune", "scratch"] {
        assert!(!ran.iter().any(|name| name == not), "{not} not in {ran:?}");
    }
    assert_eq!(project.strata(&["cache", "verify"]).code, Some(0));
}

#[test]
fn pinned_work_stays() {
    let project = finished();
    project.done(&["cache", "pin", "simclr"]);
    project.done(&["cache", "gc", "--max-size", "0"]);
    assert_eq!(objects(&project).len(), 2, "weights and views");
    let refused = project.strata(&["cache", "rm", "simclr"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("pinned"), "{}", refused.err);
    project.done(&["cache", "unpin", "simclr"]);
    project.done(&["cache", "rm", "simclr"]);
    assert_eq!(objects(&project).len(), 0);
    let plan = project.words("plan", &["--until", "simclr"]);
    assert!(plan.contains(&("simclr".to_owned(), "run".to_owned())), "{plan:?}");
    let unknown = project.strata(&["cache", "pin", "nothing"]);
    assert_eq!(unknown.code, Some(2));
}

#[test]
fn verify_finds_rot_and_repair_lets_it_be_made_again() {
    let project = finished();
    let run = project.json(&["run", FILE]);
    let simclr = run["stages"].as_array().expect("stages").iter().find(|stage| stage["instance"] == "simclr");
    let path = text(&simclr.expect("simclr")["outputs"]["weights"]["path"]);
    let mut bytes = fs::read(&path).expect("an object");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, &bytes).expect("written");
    let found = project.strata(&["cache", "verify"]);
    assert_eq!(found.code, Some(1));
    assert!(found.out.contains("corrupt") && found.out.contains(&path), "{}", found.out);
    project.strata(&["cache", "verify", "--repair"]);
    let words = project.words("run", &[]);
    assert!(words.contains(&("simclr".to_owned(), "ran".to_owned())), "{words:?}");
    assert!(words.iter().all(|(name, word)| name == "simclr" || word == "cached"), "{words:?}");
    assert_eq!(project.strata(&["cache", "verify"]).code, Some(0));
}

#[test]
fn a_run_that_meets_rot_says_so_and_mends_it() {
    let project = finished();
    for object in objects(&project) {
        let path = project.path("cache").join(object);
        let size = fs::metadata(&path).expect("an object").len();
        fs::write(&path, vec![1u8; usize::try_from(size).expect("a size")]).expect("written");
    }
    project.edit(FILE, "kind = \"linear_probe\"", "kind = \"linear_probe\"\nc = 0.5");
    let ran = project.done(&["run", FILE]);
    assert!(ran.err.contains("damaged") && ran.err.contains("made again"), "{}", ran.err);
}

#[test]
fn work_run_again_gives_the_same_bytes() {
    let project = finished();
    let verify = project.done(&["cache", "verify", "--recompute", "100%"]);
    let count = project.json(&["cache", "ls"]).as_array().expect("a list").len();
    assert!(verify.out.contains(&format!("{count} of {count} pieces of work ran again")), "{}", verify.out);
}

#[test]
fn a_failed_stage_is_tried_again_and_the_rest_goes_on() {
    let project = Project::with(ALL);
    // A diverging training fails every time; what does not depend on it finishes.
    project.edit(FILE, "[stage.scratch]\n", "[stage.scratch]\nretries = 1\noptimizer = { lr = 1e30 }\n");
    let ran = project.strata(&["run", FILE, "-k"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("retries  scratch") && ran.err.contains("learning rate"), "{}", ran.err);
    let words: Vec<(String, String)> = project.words("plan", &[]);
    assert!(words.iter().all(|(name, word)| name == "scratch" || word == "cached"), "{words:?}");
}
