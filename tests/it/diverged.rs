//! A training that leaves the finite numbers is a failed stage: it keeps nothing, and says what happened and when.

use candle_core::{Device, Tensor};
use serde_json::Value;
use strata::store::{Artifact, Store};

use crate::support::{Project, text};

/// A classifier whose learning rate is to be set, and features of it.
const SUPERVISED: &str = r#"
[stage.images]
kind = "dataset"
train = 64
test = 40
size = 16

[stage.net]
kind = "supervised"
inputs = { train = "images.train", test = "images.test" }
epochs = 1
batch_size = 16
encoder = { n = 1, width = 0.25 }
optimizer = { kind = "sgd", lr = 80.0 }
schedule = { kind = "constant" }

[stage.features]
kind = "encode"
inputs = { images = "images.test", weights = "net.weights" }
"#;

/// The other trainings, each of one step an epoch.
const OTHERS: &str = r#"
[stage.images]
kind = "dataset"
train = 32
test = 20
size = 16

[stage.batches]
kind = "sampler"
inputs = { labels = "images.train" }
policy = "random"
batch_size = 32

[stage.net]
kind = "simclr"
inputs = { images = "images.train", batches = "batches.batches" }
epochs = 1
encoder = { n = 1, width = 0.25 }
head = [16, 8]
optimizer = { kind = "sgd", lr = 0.05, momentum = 0.0 }
schedule = { kind = "constant" }

[stage.noise]
kind = "noise"
inputs = { images = "images.train" }

[stage.dae]
kind = "dae"
inputs = { clean = "images.train", noisy = "noise.images" }
epochs = 1
batch_size = 32
channels = [4, 6]

[stage.tuned]
kind = "fine_tune"
inputs = { weights = "net.weights", train = "images.train", test = "images.test" }
fraction = 1.0
warmup_epochs = 1
epochs = 1
batch_size = 16
schedule = { kind = "constant" }

[stage.features]
kind = "encode"
inputs = { images = "images.train", weights = "net.weights" }

[stage.clusters]
kind = "kmeans"
inputs = { features = "features.features" }
at = "p3"
clusters = 4
runs = 2

[stage.map]
kind = "tsne"
inputs = { features = "features.features" }
at = "p3"
iterations = 20

[stage.neighbours]
kind = "knn_probe"
inputs = { train = "features.features", test = "features.features" }
at = "p3"
k = 3
"#;

/// Runs `target` with settings, and expects it to fail; what is printed.
fn fails(project: &Project, target: &str, sets: &[&str]) -> String {
    let sets = sets.iter().flat_map(|set| ["-S", set]);
    let args: Vec<&str> = ["run", "pipelines/p.toml", target].into_iter().chain(sets).collect();
    let first = project.strata(&args);
    assert_eq!(first.code, Some(1), "{args:?}\n{}{}", first.out, first.err);
    let again = project.strata(&args);
    assert_eq!(again.code, Some(1), "nothing was kept: {args:?}\n{}{}", again.out, again.err);
    assert!(!again.out.contains("accuracy"), "no number stands for it\n{}", again.out);
    first.err
}

fn says(printed: &str, parts: &[&str]) {
    let whole = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(whole.contains(part), "{part:?} is missing in:\n{printed}");
    }
}

#[test]
fn a_classifier_that_diverges_fails_at_the_epoch_that_shows_it() {
    let project = Project::with(SUPERVISED);
    for (sets, parts) in [
        (&[][..], &["failed net", "at epoch 1", "a lower learning rate or a warm-up may help"][..]),
        (&["net.val_fraction=0.25", "net.optimizer.lr=1e6"], &["at epoch 1", "a lower learning rate"]),
        (&["net.epochs=3", "net.val_fraction=0.25", "net.patience=2", "net.optimizer.lr=1e6"], &["at epoch 1"]),
        (&["net.optimizer.lr=1e18"], &["at epoch 1", "a lower learning rate"]),
        (&["net.optimizer={ kind = \"adam\", lr = 1e30 }"], &["at epoch 1", "a lower learning rate"]),
        (
            &["net.optimizer={ kind = \"sgd\", lr = 0.1, weight_decay = 1e38 }"],
            &["at epoch 1", "a lower weight decay may help"],
        ),
    ] {
        let printed = fails(&project, "net", sets);
        says(&printed, parts);
        assert!(printed.contains("became NaN") || printed.contains("became infinite"), "{sets:?}\n{printed}");
    }
}

#[test]
fn the_other_trainings_fail_too() {
    let project = Project::with(OTHERS);
    for (target, sets, parts) in [
        ("net", &["net.optimizer.lr=1e30"][..], &["failed net", "at epoch 1", "a lower learning rate"][..]),
        ("net", &["net.temperature=1e-30"], &["at epoch 1", "a higher temperature may help"]),
        ("dae", &["dae.optimizer.lr=1e20"], &["failed dae", "at epoch 1", "a lower learning rate"]),
        ("dae", &["dae.optimizer.lr=1e30", "dae.val_fraction=0.0"], &["at epoch 1"]),
        ("tuned", &["tuned.optimizer.lr=1e20"], &["failed tuned", "at epoch 2", "a lower learning rate"]),
        ("tuned", &["tuned.warmup_optimizer.lr=1e39"], &["at epoch 1", "a lower learning rate"]),
    ] {
        let printed = fails(&project, target, sets);
        says(&printed, parts);
        if parts.iter().any(|part| part.contains("temperature")) {
            assert!(!printed.contains("learning rate"), "{printed}");
        }
    }
}

/// The features of a network on the brink are finite, but their squared distances are not in single precision.
#[test]
fn large_finite_features_are_clustered_mapped_and_compared() {
    let project = Project::with(OTHERS);
    let sets = ["-S", "net.optimizer.lr=1e3"];
    let args = |verb| [&[verb, "pipelines/p.toml", "clusters", "map", "neighbours"][..], &sets].concat();
    project.done(&args("run"));
    let export = [&["export", "pipelines/p.toml", "features", "-o", "out"][..], &sets].concat();
    project.done(&export);
    let features = std::fs::read(project.path("out/features.features.safetensors")).expect("the features");
    let features = safetensors::SafeTensors::deserialize(&features).expect("they can be read");
    let values =
        features.tensor("p3").expect("a level").data().as_chunks::<4>().0.iter().copied().map(f32::from_le_bytes);
    let largest = values.fold(0.0_f32, |largest, value| largest.max(value.abs()));
    assert!(largest.is_finite() && largest > 1e10, "the case is no longer one: {largest}");
}

#[test]
fn in_a_sweep_the_others_have_their_right_values() {
    let project = Project::with(&format!("{SUPERVISED}\n[sweep]\n\"net.optimizer.lr\" = [0.03, 80.0, 0.01]\n"));
    let stopped = project.strata(&["run", "pipelines/p.toml"]);
    assert_eq!(stopped.code, Some(1), "{}{}", stopped.out, stopped.err);
    let whole = project.strata(&["run", "pipelines/p.toml", "-k", "--output", "json"]);
    assert_eq!(whole.code, Some(1), "{}{}", whole.out, whole.err);
    let document: Value = serde_json::from_str(&whole.out).expect("JSON");
    let status = |wanted: &str| {
        let stages = document["stages"].as_array().expect("stages");
        let found = stages.iter().find(|stage| text(&stage["instance"]) == wanted).expect(wanted);
        text(&found["status"])
    };
    assert_eq!(status("net@net.optimizer.lr=80.0"), "failed");
    assert_eq!(status("features@net.optimizer.lr=80.0"), "blocked");
    let csv = |project: &Project, set: Option<&str>| {
        let mut args = vec!["table", "pipelines/p.toml", "--output", "csv"];
        args.extend(set.iter().flat_map(|set| ["-S", *set]));
        let ran = project.strata(&args);
        let mut lines = ran.out.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<String>>());
        let head = lines.next().expect("a header");
        let column = |name: &str| head.iter().position(|cell| cell == name);
        let (lr, accuracy) = (column("net.optimizer.lr"), column("test_accuracy").expect("a metric"));
        let stage = column("stage").expect("the stage");
        let rows = lines.filter(|row| row[stage] == "net");
        rows.map(|row| (lr.map(|lr| row[lr].clone()), row[accuracy].clone())).collect::<Vec<_>>()
    };
    let rows = csv(&project, None);
    for lr in ["0.03", "0.01"] {
        let alone = Project::with(SUPERVISED);
        alone.done(&["run", "pipelines/p.toml", "-S", &format!("net.optimizer.lr={lr}")]);
        let expected = csv(&alone, Some(&format!("net.optimizer.lr={lr}")));
        let found = rows.iter().find(|(at, _)| at.as_deref() == Some(lr)).expect("a row");
        assert_eq!(found.1, expected[0].1, "lr = {lr}");
    }
    assert!(rows.iter().all(|(lr, value)| lr.as_deref() != Some("80.0") || value.is_empty()), "a gap: {rows:?}");
}

#[test]
fn a_result_to_be_read_with_care_says_so_whenever_it_is_shown() {
    let project = Project::with(SUPERVISED);
    let run = ["run", "pipelines/p.toml", "net", "-S", "net.optimizer.lr=0.01"];
    let parts =
        ["warning net: training ended far from done: after 4 steps", "train for longer, by `epochs` or `steps`"];
    says(&project.done(&run).err, &parts);
    says(&project.done(&run).err, &parts);
    let events = project.path("events.jsonl");
    project.done(&[&run[..], &["--events", events.to_str().expect("a path")]].concat());
    let lines = std::fs::read_to_string(events).expect("events");
    assert!(
        lines.lines().any(|line| line.contains("\"event\":\"warning\"") && line.contains("far from done")),
        "{lines}"
    );
}

#[test]
fn a_warm_up_that_outlasts_its_training_is_a_warning() {
    let project = Project::with(OTHERS);
    let checked = project.done(&["check", "pipelines/p.toml"]);
    assert!(!checked.err.contains("warms up"), "{}", checked.err);
    let checked = project.done(&["check", "pipelines/p.toml", "-S", "net.schedule={ warmup_epochs = 1.0 }"]);
    says(&checked.err, &["net.schedule.warmup_epochs", "warms up for 1 epochs of a training of 1"]);
}

/// Versions before 0.2 saved such states. Nothing can come of them, and a training that begins anew does not say that it
/// goes on.
#[test]
fn a_saved_state_with_a_number_that_is_not_finite_is_no_state() {
    let project = Project::with(SUPERVISED);
    let run = ["run", "pipelines/p.toml", "net", "-S", "net.optimizer.lr=0.01"];
    project.done(&run);
    let store = Store::open(project.path("cache"));
    let states = store.saved_states().expect("the cache can be read");
    let [saved] = states.as_slice() else { panic!("{states:?}") };
    let sound = Artifact::from_bytes(&std::fs::read(project.path("cache").join(&saved.name)).expect("a state"))
        .expect("a state");
    let nan = Tensor::new(&[1.0, f64::NAN], &Device::Cpu).expect("a tensor");
    let checkpoints = store.checkpoints(&saved.trajectory);
    checkpoints.clear().expect("the state can be deleted");
    checkpoints.save(saved.at, &sound.with("points/loss", nan), |_| false).expect("saved");
    let ran = project.json(&[&run[..], &["-S", "net.epochs=2"]].concat());
    let net = ran["stages"].as_array().expect("stages").iter().find(|stage| stage["instance"] == "net");
    assert_eq!(net.expect("it was run")["status"], "ran");
}
