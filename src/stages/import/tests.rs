use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use candle_core::{DType, Device, Tensor};

use super::*;
use crate::{
    ml::nn::{Architecture, EncoderKind, Stem},
    stages::shared::{network, start::Known},
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), bytes).expect("written");
    }

    fn npy(&self, name: &str, tensor: &Tensor) {
        tensor.write_npy(self.0.path().join(name)).expect("written");
    }

    fn save(&self, name: &str, tensors: &[(&str, Tensor)]) {
        let named = tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.clone())).collect();
        candle_core::safetensors::save(&named, self.0.path().join(name)).expect("written");
    }

    /// What is foreseen, or the problems: parameter, message and remedy.
    fn foresee(&self, import: &Import, inputs: &Foresight) -> Result<Foreseen, Vec<(String, String, String)>> {
        let mut problems = Problems::default();
        import.check(&mut problems);
        let mut foreseen = import.foresee(inputs, self.0.path(), &mut problems);
        let problems = problems.into_vec();
        match problems.is_empty() {
            true => Ok(foreseen.remove("data").expect("the output")),
            false => Err(problems.into_iter().map(|p| (p.path, p.message, p.help.unwrap_or_default())).collect()),
        }
    }

    /// The only problem, in one text.
    fn problem(&self, import: &Import) -> String {
        let problems = self.foresee(import, &Foresight::new()).expect_err("a problem");
        let [(path, message, help)] = &problems[..] else { panic!("{problems:?}") };
        format!("{path}: {message}; {help}")
    }

    fn run(&self, import: &Import, labels: Option<&Artifact>) -> Result<Outputs, StageError> {
        let inputs: Inputs = labels.iter().map(|&labels| ("labels".to_owned(), Arc::new(labels.clone()))).collect();
        let cancel = AtomicBool::new(false);
        import.run(&inputs, &mut Context::new(Device::Cpu, 1, self.0.path(), &cancel, &mut |_| {}))
    }

    fn read(&self, import: &Import, labels: Option<&Artifact>) -> Result<Artifact, StageError> {
        Ok(self.run(import, labels)?.ports()["data"].clone())
    }
}

fn import(path: &str, form: Form) -> Import {
    Import { path: path.to_owned(), form: Some(form), ..Import::default() }
}

fn tensors(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(ours, theirs)| (ours.to_owned(), theirs.to_owned())).collect()
}

fn numbers(count: i64, dims: &[usize], dtype: DType) -> Tensor {
    Tensor::arange(0, count, &Device::Cpu).and_then(|all| all.reshape(dims)?.to_dtype(dtype)).expect("numbers")
}

#[test]
fn images_come_in_with_labels_from_words() -> Outcome {
    let folder = Folder::new();
    folder.npy("images.npy", &numbers(24, &[2, 2, 2, 3], DType::U8));
    folder.write("labels.csv", "file,class\na.png,dog\nb.png,cat\n");
    let labels = Import { tensors: tensors(&[("labels", "class")]), ..import("labels.csv", Form::Labels) };
    assert_eq!(folder.foresee(&labels, &Foresight::new()).expect("fits").form, Some((Form::Labels, "form")));
    let labels = folder.read(&labels, None)?;
    assert_eq!(labels.tensor("labels")?.to_vec1::<u32>()?, [1, 0]);

    let images = import("images.npy", Form::Images);
    let found = folder.foresee(&images, &Foresight::from([("labels", Foreseen::rows(2))])).expect("fits");
    assert_eq!((found.rows, found.size), (Some(2), Some([3, 2, 2])));
    let read = folder.read(&images, Some(&labels))?;
    assert_eq!(read.tensor("images")?.dims(), [2, 3, 2, 2]);
    assert_eq!(read.tensor("images")?.get(0)?.get(1)?.flatten_all()?.to_vec1::<u8>()?, [1, 4, 7, 10]);
    assert_eq!(read.get::<Vec<String>>("classes")?, ["cat", "dog"]);

    assert_eq!(found.labelled, Some(true));
    let without = folder.foresee(&images, &Foresight::new()).expect("images need no labels");
    assert_eq!((without.rows, without.labelled), (Some(2), Some(false)));
    let read = folder.read(&images, None)?;
    assert!(!read.tensors().contains_key("labels") && !read.attributes().contains_key("classes"));
    let problems =
        folder.foresee(&images, &Foresight::from([("labels", Foreseen::rows(3))])).expect_err("one label more");
    assert!(problems[0].1.contains("`labels` has 3 for N") || problems[0].1.contains("has 2 for N"), "{problems:?}");
    Ok(())
}

#[test]
fn the_place_of_channels_is_seen_or_asked_for() -> Outcome {
    let folder = Folder::new();
    let labelled =
        |images: Tensor| folder.save("x.safetensors", &[("images", images), ("labels", numbers(2, &[2], DType::I64))]);
    let size = |import: &Import| folder.foresee(import, &Foresight::new()).map(|found| found.size);
    let auto = import("x.safetensors", Form::Images);
    labelled(numbers(54, &[2, 3, 3, 3], DType::U8));
    assert!(folder.problem(&auto).contains("channels: `images` of "), "{}", folder.problem(&auto));
    assert_eq!(size(&Import { channels: Channels::Last, ..auto.clone() }), Ok(Some([3, 3, 3])));
    labelled(numbers(72, &[2, 3, 3, 4], DType::U8));
    assert_eq!(size(&auto), Ok(Some([3, 3, 4])));
    labelled(numbers(18, &[2, 3, 3], DType::U8));
    assert_eq!(size(&auto), Ok(Some([1, 3, 3])), "grey images without a dimension for channels");
    assert_eq!(folder.read(&auto, None)?.get::<Vec<String>>("classes")?, ["0", "1"]);
    labelled(numbers(72, &[2, 3, 3, 4], DType::F32));
    let floats = folder.problem(&auto);
    assert!(floats.contains("the tensor `images` must be u8 [N, C, H, W]") && floats.contains("is f32"), "{floats}");
    Ok(())
}

#[test]
fn features_and_labels_get_the_types_that_kinds_need() -> Outcome {
    let folder = Folder::new();
    let labels = numbers(3, &[3, 1], DType::I64);
    folder.save(
        "x.safetensors",
        &[("embeddings", numbers(6, &[3, 2], DType::F64)), ("y", labels), ("id", numbers(3, &[3], DType::I64))],
    );
    let import = Import {
        tensors: tensors(&[("p3", "embeddings"), ("labels", "y")]),
        ..import("x.safetensors", Form::Features)
    };
    let found = folder.foresee(&import, &Foresight::new()).expect("fits");
    assert_eq!((found.rows, found.levels), (Some(3), vec!["p3".to_owned()]));
    let read = folder.read(&import, None)?;
    assert_eq!(read.tensor("p3")?.dtype(), DType::F32);
    assert_eq!(read.tensor("labels")?.to_vec1::<u32>()?, [0, 1, 2]);
    assert_eq!(read.tensors().len(), 2, "what is not named stays out");

    let other = Import { tensors: tensors(&[("p3", "x")]), ..import.clone() };
    let message = folder.problem(&other);
    assert!(
        message.contains("there is no tensor `x`; it holds `embeddings` f64 [3, 2], `id` i64 [3], `y` i64 [3, 1]"),
        "{message}"
    );
    let few = Import { classes: vec!["a".to_owned(), "b".to_owned()], ..import.clone() };
    let message = folder.read(&few, None).expect_err("a class more").to_string();
    assert!(message.contains("there is a label 2, and 2 classes"), "{message}");
    folder.save(
        "x.safetensors",
        &[("embeddings", numbers(6, &[3, 2], DType::F64)), ("y", (numbers(3, &[3], DType::I64) - 1.0)?)],
    );
    let message = folder.read(&import, None).expect_err("a label below 0").to_string();
    assert!(message.contains("x.safetensors: `y` holds -1; `labels` are whole numbers from 0"), "{message}");
    let broken = Tensor::new(&[[1.0f64, 2.0], [3.0, f64::NAN], [5.0, 6.0]], &Device::Cpu)?;
    folder.save("x.safetensors", &[("embeddings", broken), ("y", numbers(3, &[3], DType::I64))]);
    let message = folder.read(&import, None).expect_err("not finite").to_string();
    assert!(message.contains("x.safetensors: `p3` holds NaN in row 1"), "{message}");
    Ok(())
}

#[test]
fn a_file_that_says_less_than_it_should_is_a_mistake() {
    let folder = Folder::new();
    folder.write("labels.csv", "a,b\n1,2\n");
    folder.write("text", "no tensors");
    assert!(folder.problem(&Import::default()).starts_with("form: must say what the file holds; write `form = "));
    assert!(folder.problem(&import("", Form::Matrix)).starts_with("path: must name a file"));
    assert!(folder.problem(&import("none.npy", Form::Matrix)).contains("none.npy: is not there"));
    assert!(folder.problem(&import("none", Form::File)).contains("No such file"));
    assert!(folder.problem(&import("text", Form::Matrix)).contains("not a file of tensors"));
    assert!(folder.problem(&import("labels.csv", Form::Images)).starts_with("form: "));
    let columns = folder.problem(&import("labels.csv", Form::Labels));
    assert!(columns.contains("there are `a`, `b`; write `tensors = { labels = \"COLUMN\" }`"), "{columns}");
    let missing = Import { tensors: tensors(&[("labels", "c")]), ..import("labels.csv", Form::Labels) };
    assert!(folder.problem(&missing).contains("there is no column `c`; there are `a`, `b`"));
    let problems = folder.foresee(&import("text", Form::Classifier), &Foresight::new()).expect_err("no such port");
    assert_eq!(problems[0].1, "no kind takes a classifier in");
}

#[test]
fn rows_of_a_csv_file_are_named_by_their_line() {
    let folder = Folder::new();
    let labels = import("labels.csv", Form::Labels);
    let message = |text: &str, import: &Import| {
        folder.write("labels.csv", text);
        folder.read(import, None).expect_err("a mistake").to_string()
    };
    assert!(message("label\n1\n\"\"\n", &labels).contains("labels.csv: line 3: there is no label"));
    assert!(message("label,x\n1\n", &labels).contains("no CSV file"), "a field is missing");
    assert!(message("label\n", &labels).contains("it has no rows"));
    let classes = Import { classes: vec!["a".to_owned(), "b".to_owned()], ..labels.clone() };
    assert!(message("label\na\nc\n", &classes).contains("line 3: `c` is not one of the classes"));
    assert!(message("label\n1\n2\n", &classes).contains("line 3: there is a label 2, and 2 classes"));
    let both = Import { tensors: tensors(&[("labels", "label"), ("confidence", "sure")]), ..labels };
    assert!(message("label,sure\n1,0.5\n1,2\n", &both).contains("line 3: `2` is no confidence"));
}

#[test]
fn a_file_is_kept_as_it_is() -> Outcome {
    let folder = Folder::new();
    folder.write("any.bin", [0, 255, 7]);
    let outputs = folder.run(&import("any.bin", Form::File), None)?;
    let file: PathBuf = outputs.files()["data"].clone();
    assert_eq!(fs::read(&file)?, [0, 255, 7]);
    assert!(folder.0.path().join("any.bin").exists(), "the user's file stays");
    drop(outputs);
    assert!(!file.exists(), "the copy does not outlive its use");
    Ok(())
}

fn small() -> Encoder {
    Encoder { n: 1, width: 0.25, stem: Stem::Small, ..Encoder::default() }
}

#[test]
fn what_strata_exported_comes_back() -> Outcome {
    let folder = Folder::new();
    let architecture = Architecture::Contrastive { colours: 3, encoder: small().resolved([8, 8]), head: vec![8, 4] };
    let made = network::save(&architecture, &architecture.build(1, &Device::Cpu)?.1)?;
    folder.write("w.safetensors", made.to_bytes()?);
    let weights = import("w.safetensors", Form::Weights);
    let found = folder.foresee(&weights, &Foresight::new()).expect("fits");
    assert_eq!(found.levels, ["p3", "p2"]);
    assert_eq!(found.network, Known::of(&architecture).tell(Foreseen::default()).network);
    assert_eq!(folder.read(&weights, None)?.to_bytes()?, made.to_bytes()?);
    let other = Import { encoder: Encoder { n: 2, ..small() }, ..weights.clone() };
    let message = folder.problem(&other);
    assert!(
        message.starts_with("encoder: ") && message.contains("an encoder with `n` 1, not 2; leave `encoder` out"),
        "{message}"
    );
    let torch = Import { names: Names::Torchvision, encoder: torchvision(EncoderKind::Resnet18), ..weights };
    assert!(folder.problem(&torch).starts_with("names: "), "{}", folder.problem(&torch));

    // The same tensors, without what strata says of them.
    let bare: Vec<(&str, Tensor)> =
        made.tensors().iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
    folder.save("bare.safetensors", &bare);
    let bare = Import { encoder: small(), ..import("bare.safetensors", Form::Weights) };
    assert_eq!(folder.read(&bare, None)?.to_bytes()?, made.to_bytes()?);
    let wide = Import { encoder: Encoder { width: 0.5, ..small() }, ..bare };
    let message = folder.problem(&wide);
    assert!(
        message.contains("not the weights of this `resnet`") && message.contains("a network of three groups"),
        "{message}"
    );
    Ok(())
}

fn torchvision(kind: EncoderKind) -> Encoder {
    Encoder { kind, bn_eps: 1e-5, mean: vec![0.5; 3], std: vec![0.25; 3], ..Encoder::default() }
}

/// Tensors by torchvision's names, of one zero each.
fn state(kind: EncoderKind, before: &str) -> Vec<(String, Tensor)> {
    let encoder = Encoder { stem: Stem::Large, ..torchvision(kind) };
    let architecture = Architecture::Classifier { colours: 3, encoder, classes: 5 };
    let names = architecture.shapes().expect("it can be built").into_iter().map(|(name, dims)| {
        let zeros = Tensor::zeros(dims, DType::F16, &Device::Cpu).expect("zeros");
        (format!("{before}{}", Names::Torchvision.theirs(&name).expect("a name")), zeros)
    });
    names.collect()
}

#[test]
fn another_network_is_named_with_the_remedy() {
    let folder = Folder::new();
    let save = |name: &str, tensors: &[(String, Tensor)]| {
        folder.save(name, &tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect::<Vec<_>>());
    };
    let (small, large) = (torchvision(EncoderKind::Resnet18), torchvision(EncoderKind::Resnet50));
    let mut tensors = state(EncoderKind::Resnet18, "");
    save("w.safetensors", &tensors);
    let weights =
        Import { names: Names::Torchvision, encoder: small.clone(), ..import("w.safetensors", Form::Weights) };
    assert_eq!(folder.foresee(&weights, &Foresight::new()).expect("fits").levels, ["p3"]);
    let message = folder.problem(&Import { encoder: large, ..weights.clone() });
    assert!(
        message.starts_with("encoder: ") && message.contains("w.safetensors: not the weights of this `resnet50`"),
        "{message}"
    );
    assert!(
        message.contains("it has no `layer1.0.bn3.bias`") && message.contains("write `kind = \"resnet18\"`"),
        "{message}"
    );
    let message =
        folder.problem(&Import { encoder: Encoder { stem: Stem::Small, ..small.clone() }, ..weights.clone() });
    assert!(message.contains("`conv1.weight` is [64, 3, 7, 7], not [64, 3, 3, 3]"), "{message}");
    let message = folder
        .problem(&Import { encoder: Encoder { mean: vec![0.5], std: vec![0.5], ..small.clone() }, ..weights.clone() });
    assert!(message.contains("of 1 channels, and the images have 3"), "{message}");
    let strata = Import { names: Names::Strata, ..weights.clone() };
    assert!(folder.problem(&strata).ends_with("write `names = \"torchvision\"`"), "{}", folder.problem(&strata));

    save("p.safetensors", &state(EncoderKind::Resnet18, "module.encoder_q."));
    let before = Import { path: "p.safetensors".to_owned(), ..weights.clone() };
    assert!(folder.problem(&before).ends_with("write `prefix = \"module.encoder_q.\"`"), "{}", folder.problem(&before));
    assert!(folder.foresee(&Import { prefix: "module.encoder_q.".to_owned(), ..before }, &Foresight::new()).is_ok());

    tensors.push(("layer1.2.conv1.weight".to_owned(), Tensor::zeros(1, DType::F32, &Device::Cpu).expect("a zero")));
    save("w.safetensors", &tensors);
    let message = folder.problem(&weights);
    assert!(message.contains("it has `layer1.2.conv1.weight`, which the network does not have"), "{message}");
}

#[test]
fn parameters_that_give_other_features_than_torch_are_warned_of() {
    let weights = Import {
        names: Names::Timm,
        encoder: Encoder { kind: EncoderKind::Resnet18, ..Encoder::default() },
        ..import("w", Form::Weights)
    };
    let mut problems = Problems::default();
    weights.check(&mut problems);
    let paths: Vec<String> = problems.into_vec().into_iter().map(|problem| problem.path).collect();
    assert_eq!(paths, ["encoder.bn_eps", "encoder.mean"]);
    let mut problems = Problems::default();
    Import { encoder: Encoder::default(), ..weights }.check(&mut problems);
    assert_eq!(problems.into_vec()[0].path, "encoder.kind");
}

/// What a file says of its network may ask for any amount of memory.
#[test]
fn a_false_description_takes_no_memory() -> Outcome {
    let folder = Folder::new();
    let huge = usize::MAX / 4;
    let encoder = Encoder { n: 1000, width: 16.0, ..Encoder::default() };
    for architecture in [
        Architecture::Autoencoder { colours: 3, channels: vec![huge, huge], kernel: huge, bn_momentum: 0.1 },
        Architecture::Contrastive { colours: huge, encoder: encoder.clone(), head: vec![huge] },
        Architecture::Classifier { colours: 3, encoder: Encoder { width: 1e300, ..encoder }, classes: huge },
    ] {
        let artifact = Artifact::new().attribute("architecture", serde_json::to_value(&architecture)?);
        folder.write("w.safetensors", artifact.to_bytes()?);
        let message = folder.problem(&import("w.safetensors", Form::Weights));
        assert!(message.contains("w.safetensors: "), "{message}");
    }
    Ok(())
}
