//! Weights of torchvision's and timm's ResNets, in and out (`tests/reference/torch_weights.py`).
//!
//! Everywhere: the weights and images of a formula that both programs know, and the features that torch gave. Where there is a
//! Python with torch, torchvision, timm and safetensors (`STRATA_TORCH_PYTHON`), also files of 45 and 98 MB that torch writes,
//! and a network that strata trains, exports, and torch loads.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    process::Command,
};

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;

use crate::support::{Project, python_with_torch};

/// What torch says of a network.
#[derive(Deserialize)]
struct Facts {
    shapes: BTreeMap<String, Vec<usize>>,
    features: Vec<Vec<f64>>,
}

const NETWORKS: [&str; 2] = ["resnet18", "resnet50"];
/// The largest difference to torch, relative to the largest feature.
const TOLERANCE: f64 = 1e-4;

const COMMON: &str = r#"
[stage.labels]
kind = "import"
path = "labels.csv"
form = "labels"
tensors = { labels = "class" }

[stage.images]
kind = "import"
path = "images.npy"
form = "images"
inputs = { labels = "labels.data" }
"#;

/// Stages that import a network and encode the images with it.
fn stages(name: &str, kind: &str, file: &str, names: &str) -> String {
    format!(
        r#"
[stage.{name}]
kind = "import"
path = "{file}"
form = "weights"
names = "{names}"
encoder = {{ kind = "{kind}", bn_eps = 1e-5, mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] }}

[stage.{name}_features]
kind = "encode"
inputs = {{ weights = "{name}.data", images = "images.data" }}
"#
    )
}

fn facts() -> BTreeMap<String, Facts> {
    let text = include_str!("../reference/torch_weights.json");
    let mut all: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).expect("JSON");
    let fact = |name: &str, all: &mut serde_json::Map<String, serde_json::Value>| {
        serde_json::from_value(all.remove(name).expect("a network")).expect("facts")
    };
    NETWORKS.iter().map(|name| ((*name).to_owned(), fact(name, &mut all))).collect()
}

/// The program's `noise`: numbers in [0, 1) fixed by name and position.
fn noise(name: &str, count: usize) -> impl Iterator<Item = f64> {
    let seed = name.bytes().zip(1..).map(|(byte, i)| usize::from(byte) * i).sum::<usize>() % 1000;
    (0..count).map(move |k| ((k as f64 * 12.9898 + seed as f64 * 78.233).sin() * 43758.5453).rem_euclid(1.0))
}

/// The program's `value`: a parameter or running statistic.
fn value(name: &str, shape: &[usize]) -> Tensor {
    if name.ends_with("num_batches_tracked") {
        return Tensor::new(0i64, &Device::Cpu).expect("a number");
    }
    let bound = (6.0 / shape.iter().skip(1).product::<usize>() as f64).sqrt();
    let scaled = |u: f64| match shape.len() {
        2.. => (u - 0.5) * 2.0 * bound,
        _ if name.ends_with("weight") || name.ends_with("running_var") => 0.5 + u,
        _ => (u - 0.5) * 0.4,
    };
    let values: Vec<f32> = noise(name, shape.iter().product()).map(|u| scaled(u) as f32).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor")
}

/// Exports the features of a stage, and reads them.
fn features(project: &Project, stage: &str) -> Vec<Vec<f64>> {
    project.done(&["export", "pipelines/p.toml", &format!("{stage}.features"), "-o", "features"]);
    let path = project.path(&format!("features/{stage}.features.safetensors"));
    let tensors = candle_core::safetensors::load(path, &Device::Cpu).expect("the features");
    tensors["p3"].to_dtype(DType::F64).and_then(|p3| p3.to_vec2()).expect("numbers")
}

/// The largest difference, relative to the largest feature of torch.
fn difference(got: &[Vec<f64>], want: &[Vec<f64>]) -> f64 {
    assert_eq!((got.len(), got[0].len()), (want.len(), want[0].len()));
    let scale = want.iter().flatten().fold(0.0f64, |most, value| most.max(value.abs()));
    let differences = got.iter().flatten().zip(want.iter().flatten()).map(|(got, want)| (got - want).abs());
    differences.fold(0.0, f64::max) / scale
}

#[track_caller]
fn assert_close(what: &str, got: &[Vec<f64>], want: &[Vec<f64>]) {
    let difference = difference(got, want);
    println!("{what}: {difference:.1e} of the largest feature");
    assert!(difference <= TOLERANCE, "{what}: {difference:.1e} of the largest feature from torch");
}

#[test]
fn features_are_those_of_torchvision() {
    let images = Tensor::from_vec(
        noise("images", 2 * 64 * 64 * 3).map(|u| (u * 256.0) as u8).collect::<Vec<_>>(),
        (2, 64, 64, 3),
        &Device::Cpu,
    );
    let project = Project::with(&format!(
        "[pipeline]\nname = \"p\"\n{COMMON}{}{}",
        stages("resnet18", "resnet18", "resnet18.safetensors", "torchvision"),
        stages("resnet50", "resnet50", "resnet50.safetensors", "timm"),
    ));
    images.and_then(|images| images.write_npy(project.path("images.npy"))).expect("written");
    project.write("labels.csv", "class\ncat\ndog\n");
    let facts = facts();
    for (name, facts) in &facts {
        let state: HashMap<String, Tensor> =
            facts.shapes.iter().map(|(name, shape)| (name.clone(), value(name, shape))).collect();
        candle_core::safetensors::save(&state, project.path(&format!("{name}.safetensors"))).expect("written");
    }
    project.done(&["run", "pipelines/p.toml"]);
    for (name, facts) in &facts {
        assert_close(name, &features(&project, &format!("{name}_features")), &facts.features);
    }
    // Out again: the same names, shapes and numbers, for both libraries.
    for (name, facts) in &facts {
        for library in ["torchvision", "timm"] {
            let args = ["export", "pipelines/p.toml", name, "--names", library, "-o", library];
            let told = project.done(&args).err;
            assert!(told.contains("num_classes=1000") && told.contains("strict=True"), "{told}");
            let path = project.path(&format!("{library}/{name}.data.safetensors"));
            let state = candle_core::safetensors::load(path, &Device::Cpu).expect("a state dict");
            assert_eq!(state.len(), facts.shapes.len(), "{name}");
            for (tensor, shape) in &facts.shapes {
                assert_eq!(state[tensor].dims(), shape, "{tensor}");
                let list = |tensor: &Tensor| {
                    tensor.to_dtype(DType::F64).and_then(|all| all.flatten_all()?.to_vec1::<f64>()).expect("numbers")
                };
                assert!(list(&state[tensor]) == list(&value(tensor, shape)), "{tensor} has other numbers");
            }
        }
    }
}

/// Runs the program beside the facts.
fn program(python: &str, args: &[&str], folder: &Path) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/torch_weights.py");
    let ran = Command::new(python).arg(script).args(args).current_dir(folder).output().expect("Python runs");
    assert!(ran.status.success(), "torch_weights.py {args:?}\n{}", String::from_utf8_lossy(&ran.stderr));
}

/// The features that torch wrote.
fn of_torch(project: &Project, name: &str) -> Vec<Vec<f64>> {
    let array = Tensor::read_npy(project.path(&format!("{name}.features.npy"))).expect("features of torch");
    array.to_vec2().expect("a matrix")
}

#[test]
fn files_of_torch_come_in_and_trained_networks_go_out() {
    let Some(python) = python_with_torch() else { return };
    let trained = r#"
[stage.trained]
kind = "supervised"
inputs = { train = "images.data", test = "images.data" }
encoder = { kind = "resnet18" }
epochs = 2
batch_size = 4

[stage.trained_features]
kind = "encode"
inputs = { weights = "trained.weights", images = "images.data" }

[stage.tuned]
kind = "fine_tune"
inputs = { weights = "small_pth.data", train = "images.data", test = "images.data" }
fraction = 1.0
warmup_epochs = 1
epochs = 1
batch_size = 4

[stage.tuned_features]
kind = "encode"
inputs = { weights = "tuned.weights", images = "images.data" }
"#;
    let files = [
        ("small_pth", "resnet18", "resnet18.pth", "torchvision"),
        ("small", "resnet18", "resnet18.safetensors", "timm"),
        ("large_pth", "resnet50", "resnet50.pth", "torchvision"),
        ("large", "resnet50", "resnet50.safetensors", "timm"),
    ];
    let imports: String = files.iter().map(|(name, kind, file, names)| stages(name, kind, file, names)).collect();
    let project = Project::with(&format!("[pipeline]\nname = \"p\"\n{COMMON}{imports}{trained}"));
    program(&python, &["make", "."], &project.path(""));
    project.done(&["run", "pipelines/p.toml"]);
    for (name, kind, ..) in files {
        assert_close(name, &features(&project, &format!("{name}_features")), &of_torch(&project, kind));
    }
    for (stage, library) in
        [("trained", "torchvision"), ("trained", "timm"), ("tuned", "torchvision"), ("tuned", "timm")]
    {
        let told = project.done(&["export", "pipelines/p.toml", stage, "--names", library, "-o", library]).err;
        let lines: String =
            told.lines().filter_map(|line| line.strip_prefix("  ")).map(|line| format!("{line}\n")).collect();
        let name = format!("{stage}-{library}");
        project.write(&format!("{name}.py"), lines);
        program(&python, &["features", ".", &name, &format!("{name}.py")], &project.path(""));
        assert_close(&name, &features(&project, &format!("{stage}_features")), &of_torch(&project, &name));
    }
}
