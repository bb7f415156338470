//! The pipelines and the schema that come with the project.

use std::{fs, path::Path};

use crate::support::Project;

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
            assert!(stages.contains(&control), "{name}: {control}");
        }
    }
}

/// A small version of the shipped CIFAR-10 pipeline on real images, where they are at hand.
#[test]
fn real_images_run_through() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/cifar10-jpeg.tar.xz");
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/tools/unpack_data.py");
    if !data.exists() || !tool.exists() {
        println!("SKIPPED: there are no real images beside the project");
        return;
    }
    let project = Project::new();
    let unpack = std::process::Command::new("python3")
        .args([tool.as_os_str(), project.path("data").as_os_str()])
        .args(["--limit", "12"])
        .output();
    if !unpack.is_ok_and(|unpack| unpack.status.success()) {
        println!("SKIPPED: the real images could not be unpacked (Python with Pillow and NumPy is needed)");
        return;
    }
    let small = [
        "clusters.clusters=5",
        "batches.batch_size=20",
        "dae.epochs=1",
        "dae.channels=[4,8]",
        "simclr.epochs=1",
        "simclr.encoder.n=1",
        "simclr.encoder.width=0.25",
        "random_encoder.encoder.n=1",
        "random_encoder.encoder.width=0.25",
        "scratch.encoder.n=1",
        "scratch.encoder.width=0.25",
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
