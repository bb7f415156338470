//! A sweep that a program drives: plan it, run it with a listener, then look at the results.
//!
//! ```sh
//! cargo run --example sweep
//! ```

#![expect(clippy::print_stdout, reason = "it shows what it does")]

use strata::{
    experiment::{Experiment, Listener, Request},
    run::{Event, Options},
};

/// Nearest neighbours on the raw pixels of generated images.
const PIPELINE: &str = r#"
[stage.images]
kind = "dataset"
train = 300
test = 200
size = 16

[stage.train]
kind = "encode"
inputs = { images = "images.train" }

[stage.test]
kind = "encode"
inputs = { images = "images.test" }

[stage.knn]
kind = "knn_probe"
inputs = { train = "train.features", test = "test.features" }
"#;

/// Says what finishes.
struct Progress;

impl Listener for Progress {
    fn event(&mut self, event: &Event) {
        if let Event::StageFinished { instance, status, .. } = event {
            println!("{:>8}  {instance}", status.word());
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("neighbours.toml");
    std::fs::write(&file, PIPELINE)?;

    // As `strata run neighbours.toml -S knn.k=1,5,20 -S knn.temperature=0.05,0.5` would.
    let experiment = Experiment::open(&file)?.set("knn.k=1,5,20").set("knn.temperature=0.05,0.5");
    println!("{} instances in the plan", experiment.plan(&[])?.len());
    experiment.run_with(&Request::default(), Options::default(), &mut Progress, |_| ())?;

    let mut best = experiment.results()?;
    best.retain(|row| row.stage == "knn");
    best.sort_by(|a, b| b.metrics["test_accuracy"].total_cmp(&a.metrics["test_accuracy"]));
    for row in &best {
        println!("{:.3}  {}", row.metrics["test_accuracy"], row.instance);
    }
    Ok(())
}
