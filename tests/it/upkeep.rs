//! The upkeep of a cache: what goes, what stays, and what damage does.

use std::{
    fs,
    time::{Duration, Instant, SystemTime},
};

use candle_core::{Device, Tensor};
use strata::{
    digest::StageKey,
    store::{Artifact, Attempt, Manifest, Position, Store},
};

use crate::support::{Project, finish, text};

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
    let count = project.json(&["cache", "ls"])["work"].as_array().expect("a list").len();
    // All but `outside`, whose file may have changed meanwhile.
    let ran = format!("{} of {count} pieces of work ran again", count - 1);
    assert!(verify.out.contains(&ran) && verify.out.contains("outside: it reads files outside"), "{}", verify.out);
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

/// What a test of `gc` fills a cache with: files of one size, so that only the work in them differs.
const SIZE: u64 = 4096;

/// Commits finished work that took so many seconds, with one output; its key.
fn work(store: &Store, name: &str, seconds: f64) -> StageKey {
    let values: Vec<f32> = name.bytes().cycle().take(SIZE as usize / 4).map(f32::from).collect();
    let artifact = Artifact::new().with("x", Tensor::new(values.as_slice(), &Device::Cpu).expect("a tensor"));
    let output = store.write(&artifact).expect("written");
    let manifest: Manifest = serde_json::from_value(serde_json::json!({
        "recipe": { "kind": "noise", "version": 1, "params": { "name": name }, "inputs": {} },
        "outputs": { "images": output },
        "metrics": {},
        "series": {},
        "seconds": seconds,
        "provenance": { "strata": "0.1.0", "instance": format!("p/{name}"), "finished": "", "device": "cpu", "threads": 2 },
    }))
    .expect("a manifest");
    store.commit(&manifest).expect("committed")
}

/// Saves a state with so many seconds of work in it; its trajectory.
fn state(store: &Store, name: &str, epoch: u64, seconds: f64) -> StageKey {
    let way = StageKey::of(name.as_bytes());
    let values = Tensor::new(vec![epoch as f32; SIZE as usize / 4].as_slice(), &Device::Cpu).expect("a tensor");
    let state = Artifact::new().with("x", values).attribute("seconds", seconds);
    let at = Position { epoch, step: 0 };
    store.checkpoints(&way).of(format!("p/{name}")).save(at, &state, |_| true).expect("saved");
    way
}

/// Makes every file of the cache so many days old.
fn age(project: &Project, folder: &str, days: u64) {
    for (path, _) in project.cache().into_iter().filter(|(path, _)| path.starts_with(folder)) {
        let file = fs::File::options().write(true).open(project.path("cache").join(path)).expect("opened");
        file.set_modified(SystemTime::now() - Duration::from_secs(days * 24 * 3600)).expect("a time can be set");
    }
}

fn no_way(_: &Manifest) -> Option<StageKey> {
    None
}

/// What goes if the files of so many of the things that were put into the cache may stay.
fn goes(store: &Store, keep: u64) -> (Vec<String>, f64) {
    let files = store.objects().expect("objects").len() + store.saved_states().expect("states").len();
    let limit = store.bytes().expect("bytes") - (files as u64 - keep) * SIZE;
    let chosen = store.plan_gc(limit, &no_way).expect("a plan");
    (chosen.victims.into_iter().map(|victim| victim.what).collect(), chosen.seconds)
}

#[test]
fn what_costs_least_goes_first_saved_states_among_it() {
    let project = Project::new();
    let store = Store::open(project.path("cache"));
    work(&store, "cheap", 1.0);
    state(&store, "training", 3, 60.0);
    work(&store, "dear", 3600.0);
    assert_eq!(goes(&store, 3), (vec![], 0.0), "there is room for all");
    assert_eq!(goes(&store, 2), (vec!["p/cheap".to_owned()], 1.0));
    let state_goes = "the state of p/training after epoch 3, step 0".to_owned();
    assert_eq!(goes(&store, 1), (vec!["p/cheap".to_owned(), state_goes.clone()], 61.0));
    assert_eq!(goes(&store, 0).1, 3661.0);
    // Results that nobody used lose by waiting; a training that has not ended does not.
    age(&project, "", 365);
    assert_eq!(goes(&store, 1).0, ["p/cheap", &state_goes]);
    work(&store, "middle", 600.0);
    age(&project, "manifests-v1", 365);
    assert_eq!(goes(&store, 2).0, ["p/cheap", "p/middle"]);
    assert_eq!(goes(&store, 1).0.last(), Some(&state_goes));
}

#[test]
fn there_is_room_so_nothing_goes_however_old() {
    let project = Project::new();
    let store = Store::open(project.path("cache"));
    work(&store, "done", 5.0);
    state(&store, "training", 3, 7200.0);
    age(&project, "", 400);
    let before = project.cache();
    let ran = project.done(&["cache", "gc", "--max-size", "10TB"]);
    assert!(ran.out.starts_with("freed 0 B of ") && ran.out.contains("; nothing to make"), "{}", ran.out);
    assert_eq!(project.cache(), before);
    // Without room it says what is lost.
    let dry = project.done(&["cache", "gc", "--max-size", "0", "-n"]);
    assert!(dry.out.contains("2 h 00 min  the state of p/training after epoch 3, step 0"), "{}", dry.out);
    assert!(dry.out.contains("2 h 00 min to make it all again"), "{}", dry.out);
    let list = project.json(&["cache", "ls", "--states"])["states"].clone();
    assert_eq!((&list[0]["instance"], &list[0]["seconds"]), (&"p/training".into(), &7200.0.into()), "{list}");
    let text = project.done(&["cache", "ls", "--states"]).out;
    assert!(text.contains("p/training") && text.contains("2 h 00 min"), "{text}");
    let size = project.done(&["cache", "size"]).out;
    assert!(size.contains("in 1 saved states"), "{size}");
}

#[test]
fn work_is_priced_once_and_less_what_stays_of_it() {
    let project = Project::new();
    let store = Store::open(project.path("cache"));
    let key = work(&store, "training", 100.0);
    state(&store, "training", 5, 50.0);
    let way = state(&store, "training", 10, 99.0);
    let trajectory = |_: &Manifest| Some(way);
    // The states are those of the work, so all of it together is made again in one go.
    let all = store.plan_gc(0, &trajectory).expect("a plan");
    assert_eq!((all.victims.len(), all.seconds), (3, 100.0));
    // The state at epoch 5 is the cheapest; without it nothing of the way is lost, as the one at epoch 10 holds it all.
    let limit = store.bytes().expect("bytes") - 1;
    let one = store.plan_gc(limit, &trajectory).expect("a plan");
    assert_eq!((one.victims.len(), one.seconds, one.victims[0].seconds), (1, 50.0, 50.0), "{one:?}");
    // Both states stay with the work that is pinned, and those of a trajectory that is.
    store.pin(&key).expect("pinned");
    assert_eq!(store.plan_gc(0, &trajectory).expect("a plan").victims, []);
    store.unpin(&key).expect("unpinned");
    store.pin(&way).expect("pinned");
    assert_eq!(store.plan_gc(0, &trajectory).expect("a plan").victims.len(), 1, "the object");
    store.unpin(&way).expect("unpinned");
    // Somebody is at work on it.
    let Attempt::Held(lock) = store.try_lock(&way).expect("a lock") else { panic!("nobody is there") };
    let chosen = store.plan_gc(0, &trajectory).expect("a plan");
    assert_eq!(chosen.victims.len(), 1, "{chosen:?}");
    drop(lock);
    // Or is only when the deletion begins.
    let chosen = store.plan_gc(0, &trajectory).expect("a plan");
    let Attempt::Held(_lock) = store.try_lock(&way).expect("a lock") else { panic!("nobody is there") };
    store.collect(&chosen).expect("collected");
    assert_eq!((store.saved_states().expect("states").len(), store.objects().expect("objects").len()), (2, 0));
}

/// A training that was interrupted: of its state nothing else is known. The trajectory by which it goes on.
fn interrupted() -> (Project, String) {
    let images = "[stage.images]\nkind = \"dataset\"\ntrain = 16\ntest = 8\nsize = 8\n\n";
    let training = "[stage.scratch]\nkind = \"supervised\"\ninputs = { train = \"images.train\", test = \"images.test\" }\n\
                    encoder = { n = 1, width = 0.125 }\nepochs = 2\nbatch_size = 8\nschedule = { kind = \"constant\" }\n";
    let project = Project::with(&format!("{images}{training}"));
    project.done(&["run", FILE, "-q"]);
    project.done(&["cache", "rm", "scratch"]);
    let states = project.json(&["cache", "ls", "--states"])["states"].clone();
    let key = text(&states[0]["key"]);
    assert_eq!(states.as_array().map(Vec::len), Some(1), "{states}");
    (project, key)
}

#[test]
fn saved_states_can_be_pinned_and_removed() {
    let (project, key) = interrupted();
    let resumes = || project.json(&["run", FILE])["counts"]["resumed"] == 1;
    let saved = || Store::open(project.path("cache")).saved_states().expect("states").len();
    for name in [&key[..12], "scratch"] {
        project.done(&["cache", "pin", name]);
        age(&project, "checkpoints-v1", 40);
        project.done(&["cache", "gc", "--max-size", "0"]);
        assert_eq!(saved(), 1, "pinned by {name}");
        let refused = project.strata(&["cache", "rm", &key]);
        assert!(refused.code == Some(1) && refused.err.contains("pinned"), "{}", refused.err);
        project.done(&["cache", "unpin", name]);
    }
    assert!(resumes(), "the work goes on");
    // Now the work has ended: its pin holds the state that longer work goes on from.
    project.done(&["cache", "pin", "scratch"]);
    project.done(&["cache", "gc", "--max-size", "0"]);
    assert_eq!(saved(), 1);
    project.done(&["cache", "unpin", "scratch"]);
    project.done(&["cache", "gc", "--max-size", "0"]);
    assert_eq!(saved(), 0);
    let (project, key) = interrupted();
    let removed = project.done(&["cache", "rm", &key]);
    assert!(
        removed.out.contains("removed  ") && removed.out.contains("the saved states of p/scratch"),
        "{}",
        removed.out
    );
    assert_eq!(project.json(&["run", FILE])["counts"]["resumed"], 0);
}

#[test]
fn what_killed_processes_leave_is_cleared() {
    let project = Project::with(ALL);
    let store = Store::open(project.path("cache"));
    // Names alone: a run that goes on deletes files between their listing and a look into them.
    let files = |folder: &str| fs::read_dir(project.path("cache").join(folder)).expect("a folder").count();
    let mut child = project.command().args(["run", FILE, "-q", "--save-every", "0s"]).spawn().expect("started");
    let deadline = Instant::now() + Duration::from_secs(120);
    while store.saved_states().expect("states").is_empty() {
        assert!(child.try_wait().expect("a child").is_none() && Instant::now() < deadline, "no state is saved");
        std::thread::sleep(Duration::from_millis(5));
    }
    let kept = files("locks-v1");
    let live = project.done(&["cache", "gc"]);
    assert!(files("locks-v1") >= 1 && kept >= 1, "those of a run that lives stay\n{}", live.out);
    child.kill().expect("kill -9");
    child.wait().expect("a child ends");
    assert!(files("locks-v1") >= 1, "it leaves its locks");
    project.write("cache/tmp/.tmpold", "half a file");
    project.write("cache/tmp/.tmpnew", "half a file, a moment ago");
    let hour = SystemTime::now() - Duration::from_secs(3700);
    let old = fs::File::options().write(true).open(project.path("cache/tmp/.tmpold")).expect("opened");
    old.set_modified(hour).expect("set");
    // A lock of this process, which lives, and one of another machine that is old.
    let Attempt::Held(_lock) = store.try_lock(&StageKey::of(b"mine")).expect("a lock") else { panic!("free") };
    let theirs = project.path("cache/locks-v1/theirs.json");
    fs::write(&theirs, r#"{"host": "elsewhere", "pid": 1, "started": 1, "progress": "", "token": "t"}"#)
        .expect("written");
    let states = store.saved_states().expect("states");
    let cleared = project.done(&["cache", "gc"]);
    assert!(cleared.out.contains("the lock of a process that is gone"), "{}", cleared.out);
    assert_eq!(files("locks-v1"), 2, "{}", cleared.out);
    assert!(!project.path("cache/tmp/.tmpold").exists() && project.path("cache/tmp/.tmpnew").exists());
    fs::File::options().write(true).open(&theirs).expect("opened").set_modified(hour).expect("set");
    project.done(&["cache", "gc"]);
    assert_eq!(files("locks-v1"), 1);
    assert_eq!(store.saved_states().expect("states"), states, "the work is still there");
}

#[test]
fn upkeep_says_where_there_is_no_cache() {
    let project = Project::new();
    fs::remove_dir(project.path("pipelines")).expect("an empty folder");
    let verbs: [&[&str]; 7] = [&["ls"], &["size"], &["gc"], &["verify"], &["pin", "x"], &["unpin", "x"], &["rm", "x"]];
    let refused = |folder: &str, more: &[&str], help: &str| {
        for verb in verbs {
            let mut command = project.command();
            let ran = finish(command.arg("cache").args(verb).args(more).current_dir(project.path(folder)));
            assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{verb:?}\n{}", ran.err);
            assert!(ran.err.contains("there is no cache at ") && ran.err.contains(help), "{verb:?}\n{}", ran.err);
        }
    };
    refused("", &[], "`--cache-dir DIR` names another");
    refused("", &["--cache-dir", "typo"], "there is no cache at typo; ");
    // A file of a project without `pipelines/`, run in its folder; then a look from a folder below.
    project.write("p.toml", "[stage.images]\nkind = \"dataset\"\ntrain = 16\ntest = 8\nsize = 8\n");
    project.done(&["run", "p.toml", "-q"]);
    project.write("below/notes.txt", "");
    refused("below", &[], "`--cache-dir ");
    let one = finish(project.command().args(["cache", "ls"]).current_dir(project.path("below")));
    let here = fs::canonicalize(project.path("cache")).expect("a folder");
    assert!(one.err.contains(&format!("there is one at {}", here.display())), "{}", one.err);
    // A folder of another program is no cache, an empty one is.
    refused("", &["--cache-dir", "below"], "there is no cache at below");
    fs::create_dir(project.path("empty")).expect("a folder");
    assert!(project.done(&["cache", "ls", "--cache-dir", "empty"]).err.contains("no finished work is in the cache"));
    assert_eq!(project.json(&["cache", "size", "--cache-dir", "empty"])["objects"], 0);
}

#[test]
fn evicted_results_are_told_from_those_that_are_there() {
    let project = Project::with("[stage.images]\nkind = \"dataset\"\ntrain = 16\ntest = 8\nsize = 8\n");
    project.done(&["run", FILE, "-q"]);
    let whole = project.json(&["cache", "ls"])["work"][0].clone();
    assert!(whole["bytes"].as_u64() > Some(0) && whole["evicted"] == 0, "{whole}");
    project.done(&["cache", "gc", "--max-size", "0"]);
    let gone = project.json(&["cache", "ls"])["work"][0].clone();
    assert_eq!((&gone["bytes"], &gone["evicted"]), (&0.into(), &whole["bytes"]));
    assert!(project.done(&["cache", "ls"]).out.contains("  evicted\n"));
    let pinned = project.done(&["cache", "pin", "images"]);
    assert!(
        pinned.out.starts_with("pinned  ") && pinned.err.contains("p/images was evicted, so there is nothing to keep"),
        "{}",
        pinned.err
    );
    // As the note says: once it is made again it stays.
    project.done(&["run", FILE, "-q", "--force"]);
    project.done(&["cache", "gc", "--max-size", "0"]);
    assert_eq!(project.json(&["cache", "ls"])["work"][0]["evicted"], 0);
    assert_eq!(project.done(&["cache", "pin", "images"]).err, "");
}

#[test]
fn work_of_another_device_is_not_compared() {
    let project = Project::with("[stage.images]\nkind = \"dataset\"\ntrain = 16\ntest = 8\nsize = 8\n");
    project.done(&["run", FILE, "-q"]);
    let store = Store::open(project.path("cache"));
    let (_, mut manifest) = store.manifests().expect("manifests").pop().expect("one");
    assert!(manifest.provenance.device == "cpu" && manifest.provenance.instructions.is_some(), "{manifest:?}");
    let mut verify = |device: &str, instructions: &str| {
        manifest.provenance.device = device.to_owned();
        manifest.provenance.instructions = Some(instructions.to_owned());
        store.commit(&manifest).expect("committed");
        project.done(&["cache", "verify", "--recompute", "100%"]).out
    };
    let here = strata::stage::instructions();
    // A GPU that no machine has; the first is how records of 0.1.0 name it.
    for device in ["Cuda { gpu_id: 999 }", "cuda:999"] {
        let said = verify(device, here);
        assert!(said.contains("skipped  ") && said.contains("made on cuda:999, not compared"), "{said}");
    }
    let said = verify("cpu", "altivec");
    assert!(said.contains("skipped  ") && said.contains("made with the instructions altivec"), "{said}");
    assert!(!verify("cpu", here).contains("skipped"), "it is compared where it was made");
}
