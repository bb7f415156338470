//! The price in a plan.

use serde_json::Value;

use crate::support::Project;

const FILE: &str = r#"
[stage.images]
kind = "dataset"
train = 200
test = 50

[stage.noise]
kind = "noise"
inputs = { images = "images.train" }

[stage.dae]
kind = "dae"
inputs = { clean = "images.train", noisy = "noise.images" }
epochs = 2
channels = [4]
schedule = { kind = "cosine" }

[sweep]
"noise.std" = [0.1, 0.2]
"#;

fn seconds(document: &Value, instance: &str) -> Option<f64> {
    let stages = document["stages"].as_array().expect("stages");
    stages.iter().find(|line| line["instance"] == instance).expect("the instance")["seconds"].as_f64()
}

#[test]
fn an_edit_is_priced_before_it_is_made() {
    let project = Project::with(FILE);
    let fresh = project.json(&["plan", "pipelines/p.toml"]);
    assert_eq!(fresh["price"]["unknown"], 5);
    assert_eq!(fresh["price"]["seconds"], 0.0);
    let ran = project.json(&["run", "pipelines/p.toml", "-q"]);
    let took = seconds(&ran, "dae@noise.std=0.1").expect("it ran");

    // Five times the epochs: five times the seconds of the same instance.
    let longer = project.json(&["plan", "pipelines/p.toml", "-S", "dae.epochs=10"]);
    let priced = seconds(&longer, "dae@noise.std=0.1").expect("its like ran");
    assert!((priced / took - 5.0).abs() < 1e-6, "{priced} for {took}");
    assert_eq!((&longer["price"]["unknown"], &longer["price"]["instances"]), (&0.into(), &5.into()));
    assert!(longer["price"]["bytes"].as_f64() > Some(0.0));

    // Three times the images: three times the seconds, of the whole way down.
    let larger = project.json(&["plan", "pipelines/p.toml", "-S", "images.train=600"]);
    let priced = seconds(&larger, "dae@noise.std=0.1").expect("its like ran");
    assert!((priced / took - 3.0).abs() < 1e-6, "{priced} for {took}");

    // A new value of an axis: its stage has run with others.
    let more = project.json(&["plan", "pipelines/p.toml", "-S", "noise.std=0.1,0.2,0.3"]);
    let axes: Vec<&Value> = more["axes"].as_array().expect("axes").iter().collect();
    assert_eq!(axes.len(), 1, "what is cached costs nothing");
    assert_eq!((&axes[0]["axis"], &axes[0]["value"], &axes[0]["run"]), (&"noise.std".into(), &0.3.into(), &2.into()));
    let text = project.done(&["plan", "pipelines/p.toml", "-S", "noise.std=0.1,0.2,0.3"]).out;
    assert!(text.contains("5 cached, 1 run, 1 waiting; expected to take"), "{text}");
}
