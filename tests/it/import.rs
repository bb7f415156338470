//! `import` in a graph: what is in the key, and mistakes that `check` finds.

use candle_core::{DType, Device, Tensor};
use strata::ml::files::TensorFile;

use crate::support::Project;

fn write_features(project: &Project, name: &str, by: f64) {
    let rows: Tensor =
        Tensor::arange(0f64, 80.0, &Device::Cpu).and_then(|all| (all * by)?.reshape((40, 2))).expect("features");
    let labels =
        Tensor::arange(0i64, 40, &Device::Cpu).and_then(|all| all.to_dtype(DType::U8)?.ge(20u8)).expect("labels");
    Tensor::write_npz(&[("x", rows), ("y", labels)], project.path(name)).expect("written");
}

const PROBE: &str = r#"
[pipeline]
name = "p"

[stage.features]
kind = "import"
path = "features.npz"
form = "features"
tensors = { latent = "x", labels = "y" }
classes = ["small", "large"]

[stage.knn]
kind = "knn_probe"
inputs = { train = "features.data", test = "features.data" }
k = 3
"#;

#[test]
fn the_content_is_in_the_key_and_the_path_is_not() {
    let project = Project::with(PROBE);
    write_features(&project, "features.npz", 1.0);
    let words = |verb: &str| project.words(verb, &[]).into_iter().map(|(_, word)| word).collect::<Vec<_>>();
    assert_eq!(words("run"), ["ran", "ran"]);
    let json = project.json(&["table", "pipelines/p.toml"]);
    assert!(json.to_string().contains("test_accuracy"), "{json}");
    assert_eq!(words("run"), ["cached", "cached"]);
    std::fs::rename(project.path("features.npz"), project.path("other.npz")).expect("renamed");
    project.edit("pipelines/p.toml", "features.npz", "other.npz");
    assert_eq!(words("run"), ["cached", "cached"]);
    write_features(&project, "other.npz", 2.0);
    assert_eq!(words("run"), ["ran", "ran"]);
}

#[test]
fn the_form_of_the_output_decides_what_it_can_be_joined_to() {
    let project = Project::with(PROBE);
    write_features(&project, "features.npz", 1.0);
    project.done(&["check", "pipelines/p.toml"]);
    project.edit("pipelines/p.toml", "form = \"features\"", "form = \"matrix\"");
    let ran = project.strata(&["check", "pipelines/p.toml"]);
    assert_eq!(ran.code, Some(2), "{}{}", ran.out, ran.err);
    let wanted = "error: `train` takes features, but `features.data` is matrix\n  --> pipelines/p.toml:14:";
    assert!(ran.err.contains(wanted), "{}", ran.err);
    assert!(ran.err.contains("set `features.form` to what it holds"), "{}", ran.err);
}

#[test]
fn a_file_that_is_not_there_or_does_not_fit_is_a_mistake_with_its_line() {
    let project = Project::with(PROBE);
    let check = || {
        let ran = project.strata(&["check", "pipelines/p.toml"]);
        assert_eq!(ran.code, Some(2), "{}{}", ran.out, ran.err);
        ran.err
    };
    let missing = check();
    assert!(missing.contains("features.npz: is not there\n --> pipelines/p.toml:7:8"), "{missing}");
    write_features(&project, "features.npz", 1.0);
    project.edit("pipelines/p.toml", "latent = \"x\"", "latent = \"z\"");
    let other = check();
    assert!(other.contains("error: `features.tensors`: ") && other.contains(" --> pipelines/p.toml:9:11"), "{other}");
    assert!(other.contains("there is no tensor `z`; it holds `x` <f8 [40, 2], `y` <u1 [40]"), "{other}");
    project.edit("pipelines/p.toml", "latent = \"z\", ", "");
    assert!(check().contains("a tensor is missing: f32 [N, D]"), "{}", check());
}

#[test]
fn a_level_that_a_file_does_not_have_is_a_mistake_of_the_probe() {
    let project = Project::with(&PROBE.replace("k = 3", "k = 3\nat = \"p3\""));
    write_features(&project, "features.npz", 1.0);
    let ran = project.strata(&["check", "pipelines/p.toml"]);
    assert!(ran.err.contains("there is no level `p3`; there are `latent`"), "{}", ran.err);
}

#[test]
fn a_file_goes_into_the_cache_and_out_again() {
    let any = "[pipeline]\nname = \"p\"\n\n[stage.any]\nkind = \"import\"\npath = \"any.bin\"\nform = \"file\"\n";
    let project = Project::with(any);
    project.write("any.bin", [0u8, 159, 146, 150]);
    project.done(&["run", "pipelines/p.toml"]);
    project.done(&["export", "pipelines/p.toml", "any", "-o", "out"]);
    assert_eq!(std::fs::read(project.path("out/any.data")).expect("a file"), [0, 159, 146, 150]);
    assert!(project.path("any.bin").exists(), "the user's file stays where it is");
    let ran = project.strata(&["export", "pipelines/p.toml", "any", "--names", "timm", "-o", "out"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("`--names` is for weights, and `any` makes none"), "{}", ran.err);
}

/// Whatever type the numbers have, they are the same after a turn through the cache.
#[test]
fn every_type_of_numbers_is_kept() {
    let all = "[pipeline]\nname = \"p\"\n\n[stage.all]\nkind = \"import\"\npath = \"arrays.npz\"\nform = \"matrix\"\n";
    let project = Project::with(all);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/tensor_files/arrays.npz");
    std::fs::copy(file, project.path("arrays.npz")).expect("a copy");
    project.done(&["run", "pipelines/p.toml"]);
    project.done(&["export", "pipelines/p.toml", "all", "-o", "out"]);
    let path = project.path("out/all.data.safetensors");
    let kept = candle_core::safetensors::load(path, &Device::Cpu).expect("tensors of every type");
    let file = TensorFile::open(&project.path("arrays.npz")).expect("the arrays");
    assert_eq!(kept.len(), file.tensors().count());
    for (name, tensor) in &kept {
        let list = |tensor: &Tensor| {
            tensor.to_dtype(DType::F64).and_then(|all| all.flatten_all()?.to_vec1::<f64>()).expect("numbers")
        };
        let read = file.read(name).expect("an array");
        assert_eq!((tensor.dtype(), list(tensor)), (read.dtype(), list(&read)), "{name}");
    }
}

#[test]
fn a_network_that_a_library_does_not_have_is_not_exported() {
    let project = Project::with(
        r#"
[pipeline]
name = "p"

[stage.images]
kind = "dataset"
train = 20
test = 10
size = 8

[stage.scratch]
kind = "supervised"
inputs = { train = "images.train", test = "images.test" }
encoder = { n = 1, width = 0.25 }
epochs = 0
"#,
    );
    project.done(&["run", "pipelines/p.toml"]);
    let ran = project.strata(&["export", "pipelines/p.toml", "scratch", "--names", "torchvision", "-o", "out"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(
        ran.err.contains("scratch cannot be exported: `encoder.kind` must be `resnet18` or `resnet50`"),
        "{}",
        ran.err
    );
    assert!(!project.path("out").exists(), "nothing is written");
}

/// A wrong row would give every image after it the label of its neighbour.
#[test]
fn labels_of_a_csv_file_are_one_for_each_row_below_the_names() {
    let labels = |name: &str, content: &str, more: &str| {
        let project = Project::with(&format!(
            "[stage.labels]\nkind = \"import\"\nform = \"labels\"\npath = \"{name}\"\n{more}\n"
        ));
        project.write(name, content);
        let ran = project.strata(&["run", "pipelines/p.toml", "--output", "json"]);
        (ran.code, ran.out + &ran.err)
    };
    let plain = "tensors = { labels = \"animal\" }";
    for (content, more) in [
        ("animal\ncat\ndog\n", plain),
        ("label\r\ncat\r\ndog\r\n", ""),
        ("label,a\ncat,\"1\n\n2\"\ndog,3\n\n\n", ""),
        ("\u{feff}class\ncat\ndog", ""),
    ] {
        let (code, said) = labels("labels.csv", content, more);
        assert_eq!(code, Some(0), "{content:?}: {said}");
    }
    for (content, more, what) in [
        ("cat\ndog\ncat\n", "", "the first line must name the column, and holds `cat`"),
        ("3\n1\n", "", "holds `3`"),
        ("label\ncat\n\ndog\n", "", "line 3 is blank"),
        ("label\r\ncat\r\n\r\ndog\r\n", "", "line 3 is blank"),
        ("animal\n\ncat\n", plain, "line 2 is blank"),
        ("", "", "it is empty"),
        ("label,a\ncat\n", "", "CSV"),
    ] {
        let (code, said) = labels("labels.csv", content, more);
        assert!(code != Some(0) && said.contains(what), "{content:?}: {said}");
    }
}
