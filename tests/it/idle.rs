//! Parameters without effect: what a kind calls so changes nothing that it gives or tells, and all others are in its recipe.

use serde_json::{Value, json};
use strata::{stage::AnyStage, stages::registry, store::Artifact};

use crate::training_stages::{Data, Outcome, Ran, data, run, run_stage};

/// Another value for every parameter that is without effect somewhere, by the end of its path.
const OTHER: &str = r#"{
    "optimizer": { "kind": "lars", "lr": 3.0 }, "warmup_optimizer": { "kind": "lars", "lr": 3.0 },
    "schedule": { "kind": "constant", "warmup_epochs": 0.5 }, "augment": { "flip": 1.0, "crop_scale": [0.3, 0.4] },
    "optimizer.momentum": 0.45, "nesterov": true, "beta1": 0.45, "beta2": 0.45, "optimizer.eps": 0.3, "trust": 0.45,
    "exclude_bias_and_norm": false, "schedule.steps": 3, "horizon": 2, "cycle_factor": 1.25, "final_fraction": 0.45,
    "prior": 0.3, "concentration": 2.5, "temperature": 0.3, "views": "apart", "views_per_image": 3, "chunk_size": 3,
    "knn_every": 1, "encoder.n": 2, "encoder.bias": false, "encoder.stem": "7x7", "scope": "batch",
    "crop_ratio": [0.4, 0.5], "jitter": [0.1, 0.2, 0.3, 0.1], "jitter_order": "fixed", "brightness": "additive",
    "contrast": "channel", "saturation": "hsv", "clip": "end", "blur_sigma": [1.0, 1.5], "stratified": false,
    "val_fraction": 0.3, "patience": 7, "batch_norm": "frozen", "epochs": 9, "lr": 0.3, "batch_size": 5,
    "stop_on": "test", "seed": 11, "fold_seed": 11, "c": 0.1, "max_iterations": 2, "tolerance": 0.3, "shuffle_buffer": 4,
    "shuffle": false, "resize": "stretch", "split_seed": 11, "path": "elsewhere",
    "encoder": { "n": 2 }, "encoder.init": "glorot_uniform", "names": "timm", "prefix": "module.", "channels": "last",
    "classes": ["a", "b"], "tensors": { "labels": "y" }, "orientation": "apply", "labels": "none",
    "split": { "test": 0.25 }, "unlabeled": true, "limit_unlabeled": 3, "extra": true, "subset": "letters",
    "image_column": "x", "label_column": "y"
}"#;

/// The other value of a parameter: by its whole path, or else by its name.
fn other(path: &str) -> Value {
    let table: Value = serde_json::from_str(OTHER).expect("JSON");
    let name = path.rsplit('.').next().unwrap_or(path);
    let end = path.rsplit_once("optimizer.").map_or_else(|| path.to_owned(), |(_, name)| format!("optimizer.{name}"));
    let found = [path, &end, name].into_iter().find_map(|key| table.get(key).cloned());
    found.unwrap_or_else(|| panic!("name another value for `{path}` in this test"))
}

fn set(params: &mut Value, path: &str, value: Value) {
    let mut place = params;
    for key in path.split('.') {
        place = &mut place[key];
    }
    *place = value;
}

/// What a stage gives and tells.
fn told(ran: &Ran) -> (Vec<(String, Vec<u8>)>, Vec<String>) {
    let bytes = ran.bytes().into_iter().map(|(port, bytes)| (port.to_owned(), bytes)).collect();
    (bytes, ran.numbers())
}

fn parsed(kind: &str, toml: &str) -> Box<dyn AnyStage> {
    let table: toml::Table = toml.parse().expect("TOML");
    let kind = registry().get(kind).cloned().expect("a kind");
    kind.restore(&serde_json::to_value(table).expect("plain data")).expect("parameters")
}

/// Every leaf of the parameters with its path.
fn leaves(params: &Value, path: &str, found: &mut Vec<String>) {
    match params {
        Value::Object(fields) => {
            for (name, value) in fields {
                leaves(value, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

/// A kind with settings of it, and its inputs.
type Case<'a> = (&'static str, Vec<String>, Vec<(&'a str, &'a Artifact)>);

#[test]
fn what_has_no_effect_changes_nothing_and_is_not_in_the_recipe() -> Outcome {
    let Data { train, test, noisy, batches } = &data();
    let small = "encoder = { n = 1, width = 0.25 }\n";
    let simclr =
        run("simclr", &format!("{small}epochs = 0\nhead = [16, 8]\n"), &[("images", train), ("batches", batches)])?;
    let weights = simclr.output("weights");
    let features = run("encode", "", &[("images", train)])?;
    let features = features.output("features");
    let optimizers = [
        "optimizer = { kind = \"sgd\", lr = 0.01, momentum = 0.0 }",
        "optimizer = { kind = \"sgd\", lr = 0.01, weight_decay = 1e-3 }",
        "optimizer = { kind = \"lars\", lr = 0.1, weight_decay = 1e-3 }",
        "optimizer = { kind = \"adam\" }",
        "optimizer = { kind = \"adamw\", weight_decay = 1e-2 }",
    ];
    let schedules = [
        "schedule = { kind = \"constant\" }",
        "schedule = { kind = \"cosine\", steps = 4 }",
        "schedule = { kind = \"cosine\", horizon = 3, final_fraction = 0.1 }",
        "schedule = { kind = \"cosine_restarts\" }",
        "schedule = { kind = \"cosine_restarts\", steps = 2 }",
        "schedule = { kind = \"cosine_restarts\", final_fraction = 1.0 }",
    ];
    let augments = [
        "augment = { crop_scale = [1.0, 1.0], flip = 0.0, jitter_probability = 0.0, grey = 0.0 }",
        "augment = { jitter = [0.0, 0.0, 0.4, 0.1], blur = 0.5 }",
    ];
    let losses = ["nt_xent", "dcl", "debiased", "hard"].map(|loss| format!("loss = \"{loss}\""));
    let lines = |base: &str, more: &[&str]| more.iter().map(|more| format!("{base}{more}\n")).collect::<Vec<_>>();
    let contrastive = format!("{small}head = [16, 8]\nepochs = 1\n");
    let mut simclr = lines(&contrastive, &losses.each_ref().map(String::as_str));
    simclr.extend(lines(&contrastive, &augments));
    simclr.extend(lines(&contrastive, &schedules));
    simclr.push(format!("{small}epochs = 0\n"));
    simclr.push("encoder = { kind = \"resnet18\", width = 0.05 }\nepochs = 0\nhead = [8, 4]\n".to_owned());
    simclr.push("encoder = { kind = \"resnet50_keras\", width = 0.05 }\nepochs = 0\nhead = [8, 4]\n".to_owned());
    let labelled = vec![("train", train), ("test", test)];
    let mut supervised = lines(&format!("{small}epochs = 2\nbatch_size = 8\n"), &optimizers);
    supervised.extend(lines(small, &["epochs = 0", "steps = 3\nbatch_size = 8", "epochs = 0\nstop_on = \"test\""]));
    let tuned = lines(
        "batch_size = 8\n",
        &[
            "fraction = 0.5\nwarmup_epochs = 1\nepochs = 1\nwarmup_optimizer = { kind = \"sgd\", lr = 0.01 }",
            "fraction = 0.5\nwarmup_epochs = 0\nsteps = 2",
            "fraction = 0.5\nwarmup_epochs = 1\nepochs = 0\nstop_on = \"test\"",
            "warmup_epochs = 0\nepochs = 0\nfraction = 1.0",
        ],
    );
    let dae = "channels = [4, 6]\nbatch_size = 8\n";
    let dae = lines(dae, &["epochs = 1", "epochs = 0", "epochs = 1\nstop_on = \"test\""]);
    let probe = lines(
        "",
        &[
            "",
            "folds = 3",
            "fraction = 0.5",
            "solver = \"adam_early_stop\"\nval_fraction = 0.2",
            "solver = \"adam_early_stop\"\nstop_on = \"test\"\nepochs = 3",
        ],
    );
    let policies = ["random", "stratified", "rank", "balanced"].map(|policy| format!("policy = \"{policy}\""));
    let both = vec![("train", features), ("test", features)];
    let files = tempfile::tempdir()?;
    let file = |name: &str| files.path().join(name).display().to_string();
    std::fs::write(file("weights"), weights.to_bytes()?)?;
    std::fs::write(file("features"), features.to_bytes()?)?;
    std::fs::write(file("images"), train.to_bytes()?)?;
    std::fs::write(file("labels.csv"), "labels\n1\n0\n")?;
    let imported = [("weights", "weights"), ("features", "features"), ("images", "images"), ("labels.csv", "labels")];
    let mut import: Vec<String> =
        imported.iter().map(|(name, form)| format!("path = {:?}\nform = \"{form}\"\n", file(name))).collect();
    import.push(format!("path = {:?}\nform = \"matrix\"\n", file("features")));
    let cases: Vec<Case<'_>> = vec![
        ("simclr", simclr, vec![("images", train), ("batches", batches)]),
        ("supervised", supervised, labelled.clone()),
        ("fine_tune", tuned, [&labelled[..], &[("weights", weights)]].concat()),
        ("dae", dae, vec![("clean", train), ("noisy", noisy), ("test", test)]),
        ("linear_probe", probe, both.clone()),
        ("knn_probe", lines("", &["", "k = 1"]), both),
        (
            "sampler",
            lines("batch_size = 8\nrounds = 2\n", &policies.each_ref().map(String::as_str)),
            vec![("labels", train)],
        ),
        ("noise", lines("", &["", "std = 0.0"]), vec![("images", train)]),
        ("dataset", lines("train = 30\ntest = 20\nsize = 8\n", &["", "limit_train = 9"]), Vec::new()),
        ("encode", lines("", &["", "pool = \"flatten\""]), vec![("images", train), ("weights", weights)]),
        (
            "kmeans",
            lines("clusters = 3\n", &["", "balanced = true", "normalize = \"l2\""]),
            vec![("features", features)],
        ),
        ("import", import, Vec::new()),
        ("tsne", lines("perplexity = 3\niterations = 8\n", &["", "pca = 0"]), vec![("features", features)]),
    ];
    for kind in registry().kinds() {
        assert!(cases.iter().any(|(name, ..)| *name == kind.name), "add the kind `{}` to this test", kind.name);
    }
    for (kind, settings, inputs) in cases {
        for toml in settings {
            let stage = parsed(kind, &toml);
            let (idle, effective) = (stage.idle(), stage.effective());
            let mut all = Vec::new();
            leaves(&stage.params(), "", &mut all);
            for path in all {
                let called_idle = idle.iter().any(|idle| path == *idle || path.starts_with(&format!("{idle}.")));
                let kept = effective.pointer(&format!("/{}", path.replace('.', "/"))).is_some();
                assert_ne!(called_idle, kept, "{kind} with {toml}: {path} is in the recipe, or else has no effect");
            }
            if idle.is_empty() {
                continue;
            }
            let altered = |paths: &[&str]| {
                let mut params = stage.params();
                paths.iter().for_each(|path| set(&mut params, path, other(path)));
                registry().get(kind).cloned().expect("a kind").restore(&params).expect("parameters")
            };
            let usual = told(&run_stage(2, &*stage, &inputs)?);
            let changed = altered(&idle);
            // A parameter of no effect may have been what made another one so: each by itself is what matters.
            if changed.idle() == idle {
                assert_eq!(changed.effective(), effective, "{kind} with {toml}");
            }
            if told(&run_stage(2, &*changed, &inputs)?) != usual {
                let guilty = idle
                    .iter()
                    .filter(|path| run_stage(2, &*altered(&[path]), &inputs).map_or(true, |ran| told(&ran) != usual));
                panic!("{kind} with\n{toml}\nhas other results with another {:?}", guilty.collect::<Vec<_>>());
            }
        }
    }
    assert_eq!(other("knn_probe.temperature"), json!(0.3));
    Ok(())
}
