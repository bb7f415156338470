//! A kind of stage of one's own, in a pipeline beside those that strata brings.
//!
//! ```sh
//! cargo run --example kind
//! ```

#![expect(clippy::print_stdout, reason = "it shows what it does")]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strata::{
    experiment::Experiment,
    run::Options,
    stage::{Context, Form, Inputs, Outputs, Port, Problems, Stage, StageError, StageKind},
    stages,
};

/// Scales features.
///
/// The struct is the table in the pipeline file: its fields are the parameters, their docs the help.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Scale {
    /// The factor, above 0.
    factor: f64,
}

impl Default for Scale {
    fn default() -> Self {
        Self { factor: 2.0 }
    }
}

impl Stage for Scale {
    const KIND: &'static str = "scale";
    // Raised when the same parameters and inputs would give other bytes.
    const VERSION: u32 = 1;
    const INPUTS: &'static [Port] = &[Port::new("features", &[Form::Features], "what to scale")];
    const OUTPUTS: &'static [Port] = &[Port::new("features", &[Form::Features], "the scaled features")];

    fn check(&self, problems: &mut Problems) {
        problems.positive("factor", self.factor);
    }

    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let mut scaled = inputs.at("features").clone();
        for (name, tensor) in inputs.at("features").tensors() {
            if tensor.dtype().is_float() {
                scaled = scaled.with(name, tensor.affine(self.factor, 0.0)?);
            }
        }
        cx.metric("factor", self.factor);
        Ok(Outputs::new().with("features", scaled))
    }
}

/// Nearest neighbours on raw pixels, before and after scaling: by their angles, so nothing changes.
const PIPELINE: &str = r#"
[stage.images]
kind = "dataset"
train = 200
test = 100
size = 16

[stage.train]
kind = "encode"
inputs = { images = "images.train" }

[stage.test]
kind = "encode"
inputs = { images = "images.test" }

[stage.scaled]
kind = "scale"
inputs = { features = "train.features" }

[stage.knn]
kind = "knn_probe"
inputs = { train = "scaled.features", test = "test.features" }

[sweep]
"scaled.factor" = [0.5, 2.0, 8.0]
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("scale.toml");
    std::fs::write(&file, PIPELINE)?;
    let kinds = stages::registry().kinds().cloned().chain([StageKind::of::<Scale>()]).collect();
    let experiment = Experiment::open(&file)?.kinds(kinds);
    experiment.run(&[], Options::default())?;
    for row in experiment.results()?.iter().filter(|row| row.stage == "knn") {
        println!("factor {}: test accuracy {:.3}", row.axes["scaled.factor"], row.metrics["test_accuracy"]);
    }
    Ok(())
}
