use std::{fs, sync::atomic::AtomicBool};

use candle_core::Device;

use super::*;
use crate::{ml::data::ImageSet, stage::Note, stages::shared::images::Images};

fn run(stage: &Dataset, root: &Path) -> Result<Outputs, StageError> {
    let (cancel, mut listener) = (AtomicBool::new(false), |_| ());
    stage.run(&Inputs::default(), &mut Context::new(Device::Cpu, 1, root, &cancel, &mut listener))
}

fn set(outputs: &Outputs, port: &str) -> ImageSet {
    Images::bytes(&outputs.ports()[port]).unwrap()
}

fn problems(stage: &Dataset) -> Vec<String> {
    let mut problems = Problems::default();
    stage.check(&mut problems);
    problems.into_vec().into_iter().map(|p| format!("{}: {}", p.path, p.message)).collect()
}

/// A folder in the layout of CIFAR-10, 2 classes, 50 training and 10 test images.
fn cifar() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cifar");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("batches.meta.txt"), "cat\ndog\n").unwrap();
    let records = |from: u8| (from..from + 10).flat_map(|i| [vec![i % 2], vec![i; 3072]].concat()).collect::<Vec<u8>>();
    for i in 0..5 {
        fs::write(path.join(format!("data_batch_{}.bin", i + 1)), records(10 * i)).unwrap();
    }
    fs::write(path.join("test_batch.bin"), records(100)).unwrap();
    dir
}

#[test]
fn shapes_are_generated_in_the_numbers_that_rows_foretells() {
    let stage = Dataset {
        train: 60,
        test: 20,
        size: Some(16),
        limit_train: Some(50),
        limit_test: Some(100),
        val_fraction: 0.2,
        ..Dataset::default()
    };
    assert_eq!(problems(&stage), [""; 0]);
    let root = Path::new(".");
    let outputs = run(&stage, root).unwrap();
    let foreseen = stage.foresee(&Foresight::new(), root, &mut Problems::default());
    for (port, n) in [("train", 40), ("val", 10), ("test", 20)] {
        assert_eq!((foreseen[port].rows, foreseen[port].size), (Some(n), Some([3, 16, 16])), "{port}");
        let set = set(&outputs, port);
        assert_eq!((set.len(), set.size, set.classes.len()), (n, [3, 16, 16], 10), "{port}");
    }
    let val = set(&outputs, "val");
    assert!((0..10).all(|class| val.labels.iter().filter(|&&l| l == class).count() == 1));
    assert!(stage.sources(root).unwrap().is_empty());
    let whole = Dataset { val_fraction: 0.0, ..stage };
    let foreseen = whole.foresee(&Foresight::new(), root, &mut Problems::default());
    assert_eq!(foreseen["val"].left_out_by, Some("val_fraction"));
    assert!(!run(&whole, root).unwrap().ports().contains_key("val"));
}

#[test]
fn cifar10_is_read_limited_and_resized() {
    let dir = cifar();
    let stage = Dataset { source: Origin::Cifar10, path: Some("cifar".into()), ..Dataset::default() };
    assert_eq!(problems(&stage), [""; 0]);
    let whole = run(&stage, dir.path()).unwrap();
    let train = set(&whole, "train");
    assert_eq!((train.len(), set(&whole, "test").len()), (50, 10));
    let foreseen = stage.foresee(&Foresight::new(), dir.path(), &mut Problems::default());
    assert_eq!((foreseen["train"].rows, foreseen["train"].size), (Some(50), Some([3, 32, 32])));
    let sources = stage.sources(dir.path()).unwrap();
    assert_eq!((sources[0].param, sources[0].files.len()), ("path", 7));

    let stage = Dataset { limit_train: Some(8), size: Some(16), ..stage };
    let few = set(&run(&stage, dir.path()).unwrap(), "train");
    assert_eq!((few.len(), few.size), (8, [3, 16, 16]));
    assert_eq!(few.labels.iter().sum::<u32>(), 4);
    assert!((1..8).all(|i| few.image(i)[0] > few.image(i - 1)[0]), "the order of the dataset is kept");
    let other = set(&run(&Dataset { split_seed: 1, ..stage.clone() }, dir.path()).unwrap(), "train");
    assert_ne!(other.pixels, few.pixels);
    let same = set(&run(&Dataset { seed: 1, ..stage }, dir.path()).unwrap(), "train");
    assert_eq!(same.pixels, few.pixels, "a sweep over seeds leaves the choice alone");
}

#[test]
fn an_image_folder_is_read() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["train/cat/a.png", "train/dog/a.png", "test/dog/a.png"] {
        let path = dir.path().join("photos").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::new(20, 12).save(path).unwrap();
    }
    let stage =
        Dataset { source: Origin::ImageFolder, path: Some("photos".into()), size: Some(8), ..Dataset::default() };
    let outputs = run(&stage, dir.path()).unwrap();
    assert_eq!(set(&outputs, "train").classes, ["cat", "dog"]);
    assert_eq!(set(&outputs, "test").labels, [1]);
    assert_eq!(stage.sources(dir.path()).unwrap()[0].files.len(), 3);

    fs::remove_dir_all(dir.path().join("photos/test")).unwrap();
    assert!(stage.sources(dir.path()).unwrap_err().to_string().contains("test: no such folder"));
    let foreseen = stage.foresee(&Foresight::new(), dir.path(), &mut Problems::default());
    assert_eq!((foreseen["train"].rows, foreseen["train"].size), (None, Some([3, 8, 8])));
    assert!(run(&stage, dir.path()).unwrap_err().to_string().contains("test: no such folder"));
}

#[test]
fn mistakes_are_found_before_work() {
    assert_eq!(problems(&Dataset::default()), [""; 0]);
    let found = problems(&Dataset {
        source: Origin::Cifar10,
        train: 10,
        size: Some(2),
        limit_test: Some(0),
        val_fraction: 1.0,
        ..Dataset::default()
    });
    assert_eq!(
        found,
        [
            "path: this source needs the folder of the data",
            "train: only \"shapes\" can be generated in any number",
            "size: must be at least 8, got 2",
            "limit_test: must be at least 1, got 0",
            "val_fraction: must be at least 0 and below 1, got 1",
        ]
    );
    let found = problems(&Dataset { path: Some("x".into()), ..Dataset::default() });
    assert_eq!(found, ["path: generated images have no path"]);
}

#[test]
fn a_part_without_images_is_an_error() {
    let stage = Dataset { train: 10, test: 10, size: Some(8), val_fraction: 0.01, ..Dataset::default() };
    let error = run(&stage, Path::new(".")).unwrap_err().to_string();
    let said = "0.01 of 10 training images leaves `train` or `val` without an image";
    assert_eq!(error, said);
    let mut problems = Problems::default();
    stage.foresee(&Foresight::new(), Path::new("."), &mut problems);
    let found = problems.into_vec();
    assert_eq!((found[0].path.as_str(), found[0].message.as_str()), ("val_fraction", said));
    let help = found[0].help.as_deref().unwrap_or_default();
    assert_eq!(help, "use a value from 0.100000 to 0.900000");
    for fraction in [0.1, 0.9] {
        run(&Dataset { val_fraction: fraction, ..stage.clone() }, Path::new(".")).unwrap();
    }
}

#[test]
fn a_dataset_tells_how_far_it_is_and_stops_when_it_is_asked_to() {
    let dir = cifar();
    for class in ["train/cat", "test/cat"] {
        let class = dir.path().join("photos").join(class);
        fs::create_dir_all(&class).unwrap();
        (0..40).for_each(|at| image::RgbImage::new(4, 4).save(class.join(format!("{at}.png"))).unwrap());
    }
    let of = |source, path: &str| Dataset { source, path: Some(path.into()), ..Dataset::default() };
    let shapes = Dataset { train: 50, test: 10, size: Some(8), ..Dataset::default() };
    for (stage, total) in [(shapes, 60), (of(Origin::Cifar10, "cifar"), 60), (of(Origin::ImageFolder, "photos"), 80)] {
        let (cancel, mut notes) = (AtomicBool::new(false), Vec::new());
        let mut listener = |note| notes.push(note);
        let mut cx = Context::new(Device::Cpu, 1, dir.path(), &cancel, &mut listener);
        stage.run(&Inputs::default(), &mut cx).unwrap();
        let progress = |note: &Note| matches!(note, Note::Progress(p) if p.done == total && p.total == total);
        assert!(notes.iter().any(progress), "{notes:?}");
        let metric = |wanted: &str| {
            notes.iter().find_map(|note| match note {
                Note::Metric { name, value } if name == wanted => Some(*value),
                _ => None,
            })
        };
        match stage.source {
            Origin::Shapes => assert_eq!(metric("images"), None),
            _ => assert_eq!(metric("images"), Some(total as f64)),
        }
        let (cancel, mut listener) = (AtomicBool::new(true), |_| ());
        let mut cx = Context::new(Device::Cpu, 1, dir.path(), &cancel, &mut listener);
        let stopped = stage.run(&Inputs::default(), &mut cx);
        assert!(matches!(stopped, Err(StageError::Cancelled)), "{:?}", stage.source);
    }
}
