//! The pipelines and the schema that come with the project.

use std::{fs, path::Path};

use crate::support::{Project, offered, python_with};

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_schema_is_that_of_the_kinds() {
    let schema = Project::new().done(&["schema"]).out;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/pipeline.schema.json");
    if std::env::var_os("STRATA_BLESS").is_some() {
        fs::write(&path, &schema).expect("the schema can be written");
    }
    assert!(
        schema == shipped("pipeline.schema.json"),
        "run STRATA_BLESS=1 cargo test the_schema, and read what changed"
    );
}

#[test]
fn every_pipeline_has_both_arms_and_all_controls() {
    for name in ["quickstart.toml", "cifar10.toml", "imagenet5.toml"] {
        let project = Project::new();
        project.write_hollow_data();
        project.write(&format!("pipelines/{name}"), shipped(name));
        let graph = project.json(&["plan", &format!("pipelines/{name}")]);
        let stages: Vec<&str> =
            graph["stages"].as_array().expect("stages").iter().filter_map(|stage| stage["instance"].as_str()).collect();
        for policy in ["random", "stratified"] {
            for at in ["p1", "p2", "p3"] {
                let probe = format!("probe@batches.policy={policy},probe.at={at}");
                assert!(stages.contains(&probe.as_str()), "{name}: {probe} in {stages:?}");
            }
        }
        for control in ["pixels_probe", "random_probe", "scratch"] {
            let is_it = |stage: &&str| stage.split('@').next() == Some(control);
            assert!(stages.iter().any(is_it), "{name}: {control}");
        }
    }
}

/// The names of all files of pipelines.
fn all_shipped() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    let names = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| name.ends_with(".toml"));
    names.sort();
    names
}

#[test]
fn every_pipeline_checks_and_plans() {
    let names = all_shipped();
    assert!(names.len() >= 11, "{names:?}");
    let project = Project::new();
    project.write_hollow_data();
    for name in names {
        let file = format!("pipelines/{name}");
        project.write(&file, shipped(&name));
        project.done(&["check", &file]);
        let plan = project.json(&["plan", &file]);
        assert!(plan["stages"].as_array().is_some_and(|stages| stages.len() > 2), "{name}");
        let text = shipped(&name);
        for control in ["random_probe", "pixels_probe"] {
            let small = ["loop.toml", "own_stage.toml", "pytorch.toml", "search.toml", "variants.toml", "zip.toml"];
            let small = small.contains(&name.as_str());
            assert!(small || text.contains(&format!("[stage.{control}]")), "{name} lacks {control}");
        }
    }
}

#[test]
fn both_arms_of_the_paper_and_its_deviations_are_there() {
    let table = |name: &str| shipped(name).parse::<toml::Table>().expect("TOML");
    let paper = table("cifar10_paper.toml");
    let deviations = table("cifar10_deviations.toml");
    // The base of the deviations is the paper's preset, on fewer images with a small encoder.
    let stages = |file: &toml::Table| file["stage"].as_table().expect("stages").clone();
    let (of_paper, mut of_deviations) = (stages(&paper), stages(&deviations));
    let set = |table: &mut toml::Table, path: &[&str], value: Option<toml::Value>| {
        let (last, above) = path.split_last().expect("a path");
        let inner = above.iter().fold(table, |table, key| table[*key].as_table_mut().expect("a table"));
        match value {
            Some(value) => inner.insert((*last).to_owned(), value),
            None => inner.remove(*last),
        }
    };
    let images = set(&mut of_deviations, &["images", "limit_train"], None);
    assert_eq!(images, Some(toml::Value::Integer(10_000)));
    for (path, value) in [
        (vec!["simclr", "epochs"], Some(toml::Value::Integer(15))),
        (vec!["simclr", "encoder", "n"], Some(toml::Value::Integer(4))),
        (vec!["simclr", "encoder", "width"], None),
        (vec!["converged", "at"], Some("= probe.at".into())),
        (vec!["random_probe", "at"], Some("= probe.at".into())),
    ] {
        set(&mut of_deviations, &path, value);
    }
    for (name, stage) in &of_deviations {
        assert_eq!(Some(stage), of_paper.get(name), "{name}");
    }
    // Each row changes a value, and a stage that is there.
    for (name, variant) in deviations["variant"].as_table().expect("variants") {
        for (path, value) in variant["set"].as_table().expect("what it sets") {
            let base = path.split('.').try_fold(&deviations["stage"], |at, key| at.get(key));
            assert_ne!(base, Some(value), "{name}: {path}");
        }
    }
    let project = Project::new();
    project.write_hollow_data();
    project.write("pipelines/cifar10_deviations.toml", shipped("cifar10_deviations.toml"));
    let some = ["check", "pipelines/cifar10_deviations.toml", "--variant", "base,image_scope,crop"];
    project.done(&some);
}

/// A small version of the shipped CIFAR-10 pipeline on real images, where they are at hand.
#[test]
fn real_images_run_through() {
    let tool = "tools/unpack_data.py";
    let Some(shared) = offered(&["data/cifar10-jpeg.tar.xz", tool]) else { return };
    let Some(python) = python_with("PIL, numpy") else { return };
    let project = Project::new();
    let unpack = std::process::Command::new(python)
        .args([shared.join(tool).as_os_str(), project.path("data").as_os_str()])
        .args(["--limit", "12"])
        .output()
        .expect("Python can be started");
    assert!(unpack.status.success(), "{}", String::from_utf8_lossy(&unpack.stderr));
    let small = [
        "clusters.clusters=5",
        "batches.batch_size=20",
        "dae.epochs=1",
        "dae.channels=[4,8]",
        "simclr.epochs=1",
        "simclr.encoder.n=1",
        "simclr.encoder.width=0.25",
        "few_labels.fraction=0.5",
        "scratch.epochs=1",
        "fine_tune.epochs=1",
        "any_batches.batch_size=20",
        "images.limit_train=60",
        "images.limit_test=30",
    ];
    for (name, path) in [("cifar10.toml", "data/cifar-10-batches-bin"), ("imagenet5.toml", "data/imagenet5")] {
        project.write(&format!("pipelines/{name}"), shipped(name));
        let file = format!("pipelines/{name}");
        let mut args = vec!["run".to_owned(), file, "-S".to_owned(), format!("images.path={path}")];
        args.extend(small.iter().flat_map(|set| ["-S".to_owned(), (*set).to_owned()]));
        args.extend(["-S".to_owned(), "images.size=16".to_owned()]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ran = project.done(&args);
        assert!(ran.out.contains("pixels_probe") && ran.out.contains("fine_tune"), "{}", ran.out);
    }
}
