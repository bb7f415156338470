//! Datasets in the layouts in which people have them: each is read by the binary, or refused with the source that reads it.
//!
//! `tests/reference/layouts` has those that other tools write; the others are written here.

use std::{collections::BTreeMap, fs, path::Path};

use image::{ImageFormat, Rgb, RgbImage};

use crate::support::{Project, text};

const PIXELS: usize = 3072;

fn save(project: &Project, name: &str, value: u8) {
    let path = project.path(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("folders can be made");
    RgbImage::from_pixel(12, 10, Rgb([value; 3])).save_with_format(path, ImageFormat::Png).expect("an image");
}

/// Copies a file that `tests/reference/layouts.py` wrote.
fn copy(project: &Project, name: &str, to: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/layouts").join(name);
    project.write(to, fs::read(from).expect("a reference file"));
}

fn idx(dims: &[u32], body: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|dim| dim.to_be_bytes()).collect();
    [&[0, 0, 8, (dims.len() / 4) as u8], dims.as_slice(), body].concat()
}

fn write_mnist(project: &Project, folder: &str) {
    for (start, labels) in [("train", &[0, 1, 2, 1][..]), ("t10k", &[1, 0])] {
        let count = labels.len() as u32;
        project
            .write(&format!("{folder}/{start}-images-idx3-ubyte"), idx(&[count, 28, 28], &vec![9; labels.len() * 784]));
        project.write(&format!("{folder}/{start}-labels-idx1-ubyte"), idx(&[count], labels));
    }
}

fn write_cifar100(project: &Project, folder: &str) {
    project.write(&format!("{folder}/fine_label_names.txt"), "ant\nbee\ncat\n");
    project.write(&format!("{folder}/coarse_label_names.txt"), "insects\nothers\n");
    let record = |coarse: u8, fine: u8| [vec![coarse, fine], vec![fine; PIXELS]].concat();
    project.write(&format!("{folder}/train.bin"), [record(0, 0), record(0, 1), record(1, 2)].concat());
    project.write(&format!("{folder}/test.bin"), record(1, 2));
}

fn write_stl10(project: &Project, folder: &str) {
    let images = |count: usize| vec![5_u8; count * 3 * 96 * 96];
    for (part, labels) in [("train", &[1_u8, 2, 1][..]), ("test", &[2])] {
        project.write(&format!("{folder}/{part}_X.bin"), images(labels.len()));
        project.write(&format!("{folder}/{part}_y.bin"), labels);
    }
    project.write(&format!("{folder}/unlabeled_X.bin"), images(4));
    project.write(&format!("{folder}/class_names.txt"), "airplane\nbird\n");
}

fn write_shards(project: &Project, folder: &str) {
    for (shard, labels) in
        [("train-000000", &["owl", "cat"][..]), ("train-000001", &["cat"]), ("test-000000", &["owl"])]
    {
        let path = project.path(&format!("{folder}/{shard}.tar"));
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders can be made");
        let mut archive = tar::Builder::new(fs::File::create(path).expect("a file"));
        for (at, label) in labels.iter().enumerate() {
            let mut png = std::io::Cursor::new(Vec::new());
            RgbImage::from_pixel(8, 8, Rgb([at as u8; 3])).write_to(&mut png, ImageFormat::Png).expect("an image");
            for (ending, content) in [("png", png.get_ref().as_slice()), ("cls", label.as_bytes())] {
                let mut header = tar::Header::new_gnu();
                header.set_size(content.len() as u64);
                archive.append_data(&mut header, format!("{at}.{ending}"), content).expect("an entry");
            }
        }
        archive.finish().expect("an archive");
    }
}

/// A stage for each dataset, by name: source, path, further parameters.
fn pipeline(datasets: &[(&str, &str, &str, &str)]) -> String {
    let stage = |(name, source, path, more): &(&str, &str, &str, &str)| {
        format!("[stage.{name}]\nkind = \"dataset\"\nsource = \"{source}\"\npath = \"{path}\"\n{more}\n")
    };
    datasets.iter().map(stage).collect()
}

/// The metrics of every stage after a run.
fn metrics(project: &Project) -> BTreeMap<String, BTreeMap<String, f64>> {
    let table = project.json(&["table", "pipelines/p.toml"]);
    let rows = table["rows"].as_array().expect("rows").iter();
    let of = |row: &serde_json::Value| {
        (text(&row["stage"]), serde_json::from_value(row["metrics"].clone()).expect("numbers"))
    };
    rows.map(of).collect()
}

#[test]
fn every_layout_is_read() {
    let project = Project::with(&pipeline(&[
        ("cifar100", "cifar100", "data/cifar100", ""),
        ("coarse", "cifar100", "data/cifar100", "labels = \"coarse\""),
        ("mnist", "mnist", "data/mnist", ""),
        ("stl10", "stl10", "data/stl10", "unlabeled = true\nlimit_unlabeled = 3"),
        ("svhn", "svhn", "data/svhn", ""),
        ("more_svhn", "svhn", "data/svhn", "extra = true"),
        ("medmnist", "npz", "data/med.npz", ""),
        ("parquet", "parquet", "data/hf", ""),
        ("webdataset", "webdataset", "data/shards", ""),
        ("whole", "image_folder", "data/whole", "split = { test = 0.25, val = 0.25 }"),
        ("prefixes", "image_folder", "data/prefixes", "labels = \"prefix\"\nsplit = { test = 0.5 }"),
        ("unlabelled", "image_folder", "data/whole", "labels = \"none\"\nsplit = { test = 0 }"),
    ]));
    write_cifar100(&project, "data/cifar100");
    write_mnist(&project, "data/mnist");
    write_stl10(&project, "data/stl10");
    write_shards(&project, "data/shards");
    for part in ["train", "test", "extra"] {
        copy(&project, &format!("{part}_32x32.mat"), &format!("data/svhn/{part}_32x32.mat"));
    }
    copy(&project, "med.npz", "data/med.npz");
    for file in ["train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"] {
        copy(&project, &format!("{file}.parquet"), &format!("data/hf/data/{file}.parquet"));
    }
    project.write("data/hf/README.md", "words");
    for at in 0..4 {
        for class in ["cat", "dog"] {
            save(&project, &format!("data/whole/{class}/deep/{at}.png"), at);
            save(&project, &format!("data/prefixes/{at}/{class}_{at}.png"), at);
        }
    }
    project.done(&["run", "pipelines/p.toml"]);
    let found = metrics(&project);
    // Stage, images in all outputs, classes (0: none), height, width, files left out.
    let wanted = [
        ("cifar100", 4, 3, 32, 32, 0),
        ("coarse", 4, 2, 32, 32, 0),
        ("mnist", 6, 3, 28, 28, 0),
        ("stl10", 7, 2, 96, 96, 0),
        ("svhn", 6, 10, 32, 32, 0),
        ("more_svhn", 7, 10, 32, 32, 0),
        ("medmnist", 10, 3, 6, 6, 0),
        ("parquet", 7, 3, 8, 8, 1),
        ("webdataset", 4, 2, 8, 8, 0),
        ("whole", 8, 2, 10, 12, 0),
        ("prefixes", 8, 2, 10, 12, 0),
        ("unlabelled", 8, 0, 10, 12, 0),
    ];
    for (stage, images, classes, height, width, left_out) in wanted {
        let metrics = &found[stage];
        let value = |name: &str| metrics.get(name).copied().unwrap_or_default();
        assert_eq!(
            ["images", "classes", "height", "width", "left_out"].map(value),
            [images, classes, height, width, left_out].map(f64::from),
            "{stage}: {metrics:?}"
        );
    }
    let parts = |stage: &str| {
        ["train_images", "test_images", "val_images", "unlabeled_images"].map(|name| found[stage].get(name).copied())
    };
    assert_eq!(parts("stl10"), [Some(3.0), Some(1.0), None, Some(3.0)]);
    assert_eq!(parts("medmnist"), [Some(5.0), Some(3.0), Some(2.0), None]);
    assert_eq!(parts("whole"), [Some(4.0), Some(2.0), Some(2.0), None]);
    assert_eq!(parts("unlabelled"), [Some(8.0), None, None, None]);
    assert!(!found["unlabelled"].contains_key("classes"), "there is nothing to tell");
}

/// Images without labels train, cluster and are drawn; what judges by classes is refused before anything runs.
#[test]
fn images_without_labels_do_everything_but_judge() {
    let dataset =
        pipeline(&[("images", "image_folder", "data/photos", "labels = \"none\"\nsize = 8\nsplit = { test = 0.25 }")]);
    let rest = r#"
[stage.noise]
kind = "noise"
inputs = { images = "images.train" }
[stage.dae]
kind = "dae"
inputs = { clean = "images.train", noisy = "noise.images" }
channels = [4]
epochs = 1
batch_size = 4
val_fraction = 0
[stage.latent]
kind = "encode"
inputs = { weights = "dae.weights", images = "images.train" }
[stage.clusters]
kind = "kmeans"
inputs = { features = "latent.features" }
clusters = 3
[stage.random]
kind = "sampler"
inputs = { labels = "images.train" }
policy = "random"
batch_size = 4
rounds = 2
[stage.batches]
kind = "sampler"
inputs = { labels = "clusters.labels" }
batch_size = 3
rounds = 2
[stage.simclr]
kind = "simclr"
inputs = { images = "images.train", batches = "random.batches" }
encoder = { n = 1, width = 0.25 }
head = [8, 4]
epochs = 1
[stage.features]
kind = "encode"
inputs = { weights = "simclr.weights", images = "images.train" }
[stage.test_features]
kind = "encode"
inputs = { weights = "simclr.weights", images = "images.test" }
[stage.map]
kind = "tsne"
inputs = { features = "latent.features" }
iterations = 20
"#;
    let project = Project::with(&format!("{dataset}{rest}"));
    for at in 0..16 {
        save(&project, &format!("data/photos/{}/{at}.png", at % 3), (at * 16) as u8);
    }
    project.done(&["run", "pipelines/p.toml"]);
    let found = metrics(&project);
    assert!(found["clusters"].contains_key("inertia") && !found["clusters"].contains_key("purity"));
    assert!(found.get("random").is_none_or(|random| !random.contains_key("false_negative_rate")));
    assert!(!found["simclr"].contains_key("false_negative_rate") && found["simclr"].contains_key("loss"));
    project.done(&["report", "pipelines/p.toml", "-o", "report.html"]);

    let judges = [
        (
            "kind = \"linear_probe\"\ninputs = { train = \"features.features\", test = \"test_features.features\" }\nat = \"p3\"",
            "input `train` have no labels",
        ),
        (
            "kind = \"knn_probe\"\ninputs = { train = \"features.features\", test = \"test_features.features\" }\nat = \"p3\"",
            "input `test` have no labels",
        ),
        (
            "kind = \"supervised\"\ninputs = { train = \"images.train\", test = \"images.test\" }",
            "input `train` have no labels",
        ),
        (
            "kind = \"fine_tune\"\ninputs = { weights = \"simclr.weights\", train = \"images.train\", test = \"images.test\" }",
            "input `train` have no labels",
        ),
        (
            "kind = \"sampler\"\ninputs = { labels = \"images.train\" }\nbatch_size = 4",
            "have no labels, which this policy needs",
        ),
    ];
    for (stage, said) in judges {
        project.write("pipelines/judge.toml", format!("{dataset}{rest}[stage.judge]\n{stage}\n"));
        let ran = project.strata(&["check", "pipelines/judge.toml"]);
        assert_eq!(ran.code, Some(2), "{}{}", ran.out, ran.err);
        assert!(ran.err.contains("`judge.") && ran.err.contains(said), "{}", ran.err);
    }
}

#[test]
fn a_wrong_source_is_answered_with_the_right_one() {
    let project = Project::with("");
    write_cifar100(&project, "data/cifar100");
    write_mnist(&project, "data/FashionMNIST/MNIST/raw");
    write_shards(&project, "data/shards");
    copy(&project, "med.npz", "data/med.npz");
    copy(&project, "test-00000-of-00001.parquet", "data/hf/data/test-0.parquet");
    save(&project, "data/photos/cat/1.png", 0);
    for name in ["meta", "train", "test"] {
        project.write(&format!("data/cifar-100-python/{name}"), "x");
    }
    for (source, path, said, remedy) in [
        ("cifar10", "data/cifar100", "this is the binary version of CIFAR-100", "write `source = \"cifar100\"`"),
        (
            "cifar10",
            "data/cifar-100-python",
            "this is the Python version of CIFAR-100",
            "write `source = \"cifar100\"`",
        ),
        (
            "image_folder",
            "data/FashionMNIST",
            "it holds MNIST or a dataset in its format, in ",
            "`source = \"mnist\"` and set `path` to ",
        ),
        ("parquet", "data/shards", "this is tar archives of WebDataset", "`source = \"webdataset\"`"),
        ("image_folder", "data/med.npz", "this is a NumPy archive", "`source = \"npz\"`"),
        ("stl10", "data/hf", "it holds Parquet files", "`source = \"parquet\"` and set `path` to "),
        ("svhn", "data/photos", "this is a folder of images", "`source = \"image_folder\"`"),
        ("image_folder", "data/photos", "no folder `train` and no folder `test` in it", "`split = { test = 0.2 }`"),
        ("parquet", "data/hf", "there are no images to train on", "files are called `train`"),
    ] {
        project.write("pipelines/p.toml", pipeline(&[("images", source, path, "")]));
        let ran = project.strata(&["check", "pipelines/p.toml"]);
        assert_eq!(ran.code, Some(2), "{source} {path}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(said) && ran.err.contains(remedy), "{source} {path}: {}", ran.err);
    }
}

/// Parameters that have no effect leave keys as they are, and are reported.
#[test]
fn parameters_without_effect_are_not_in_the_key() {
    let project = Project::with("[stage.images]\nkind = \"dataset\"\ntrain = 20\ntest = 10\nsize = 8\n");
    project.done(&["run", "pipelines/p.toml"]);
    project.write(
        "pipelines/p.toml",
        "[stage.images]\nkind = \"dataset\"\ntrain = 20\ntest = 10\nsize = 8\norientation = \"apply\"\nextra = true\n",
    );
    let ran = project.done(&["check", "pipelines/p.toml"]);
    assert!(ran.err.contains("images.orientation") && ran.err.contains("images.extra"), "{}", ran.err);
    assert!(project.words("run", &[]).iter().all(|(_, word)| word == "cached"));
}

#[test]
fn parameters_that_contradict_the_data_are_refused() {
    let project = Project::with("");
    write_mnist(&project, "data/mnist");
    write_shards(&project, "data/shards");
    copy(&project, "med.npz", "data/med.npz");
    fs::create_dir_all(project.path("data/one")).expect("a folder");
    fs::copy(project.path("data/shards/train-000000.tar"), project.path("data/one/0.tar")).expect("a copy");
    for (source, path, more, said) in [
        ("mnist", "data/mnist", "split = { test = 0.2 }", "the source \"mnist\" has test images of its own"),
        ("mnist", "data/mnist", "labels = \"none\"", "\"none\" is no place of labels in the source \"mnist\""),
        ("mnist", "data/mnist", "subset = \"letters\"", "holds no split `letters` of EMNIST"),
        ("webdataset", "data/shards", "split = { test = 0.2 }", "the dataset has test images of its own"),
        ("webdataset", "data/one", "", "the dataset has no test images of its own"),
        ("webdataset", "data/one", "split = { test = 0.6, val = 0.5 }", "0.6 and 0.5 leave no image to train on"),
        ("npz", "data/med.npz", "val_fraction = 0.2", "the dataset has validation images of its own"),
        ("image_folder", "data/one", "labels = \"fine\"", "leave it out, or use \"folder\" or \"prefix\" or \"none\""),
    ] {
        project.write("pipelines/p.toml", pipeline(&[("images", source, path, more)]));
        let ran = project.strata(&["check", "pipelines/p.toml"]);
        assert_eq!(ran.code, Some(2), "{source} {more}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(said), "{source} {more}: {}", ran.err);
    }
}
