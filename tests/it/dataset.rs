//! Datasets from outside: which images come out, which files are left out, and what is refused.

use std::{collections::BTreeMap, fs, path::Path};

use image::{DynamicImage, Frame, GrayImage, ImageFormat, Rgb, RgbImage, codecs::gif::GifEncoder};

use crate::support::{Project, text};

/// A picture without two equal corners, different for each `seed`.
fn picture(width: u32, height: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let wave = |a: u32, b: u32| ((x * a + y * b + seed * 37) % 256) as u8;
        Rgb([wave(7, 3), wave(2, 11), wave(5, 1 + seed % 5)])
    })
}

fn save(path: &Path, image: impl Into<DynamicImage>, format: ImageFormat) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("folders can be made");
    image.into().save_with_format(path, format).expect("an image can be written");
}

/// Photos of many sizes in class folders, and others of one size with the class as a prefix.
fn write_photos(project: &Project) {
    for (split, counts) in [("train", [31, 12, 7]), ("test", [9, 5, 4])] {
        for (class, count) in ["cat", "dog", "owl"].into_iter().zip(counts) {
            for at in 0..count {
                let seed = at * 3 + class.len() as u32 + u32::from(split == "test") * 100;
                let (width, height) = (9 + at % 13 * 5, 9 + at % 7 * 6);
                let name = format!("data/photos/{split}/{class}/{at}");
                let photo = picture(width, height, seed);
                match at % 4 {
                    0 => save(&project.path(&format!("{name}.jpg")), photo, ImageFormat::Jpeg),
                    1 => save(&project.path(&format!("{name}.png")), photo, ImageFormat::Png),
                    2 => save(&project.path(&format!("{name}.JPEG")), photo, ImageFormat::Jpeg),
                    _ => {
                        let grey: GrayImage = DynamicImage::from(photo).into_luma8();
                        save(&project.path(&format!("{name}.png")), grey, ImageFormat::Png);
                    }
                }
                let name = format!("data/flat/{split}/{class}_{at}.png");
                save(&project.path(&name), picture(12, 10, seed), ImageFormat::Png);
            }
        }
    }
}

/// Five files of 12 training images and one of 9 test images, in the layout of CIFAR-10.
fn write_cifar(project: &Project) {
    project.write("data/cifar/batches.meta.txt", "cat\ndog\nowl\n");
    let names = (1..=5).map(|batch| (format!("data_batch_{batch}"), 12)).chain([("test_batch".to_owned(), 9)]);
    for (file, (name, records)) in names.enumerate() {
        let record = |at: u32| {
            let seed = file as u32 * 20 + at;
            let pixels = (0..3072).map(move |pixel: u32| ((pixel * (3 + seed % 7) + seed * 29) % 256) as u8);
            [(seed * seed % 3) as u8].into_iter().chain(pixels)
        };
        project.write(&format!("data/cifar/{name}.bin"), (0..records).flat_map(record).collect::<Vec<u8>>());
    }
}

/// The bytes of every output, as they were when all images were decoded and the choice was made afterwards.
#[test]
fn what_is_chosen_and_its_bytes_stay_as_they_are() {
    let project = Project::with(
        r#"
[stage.photos]
kind = "dataset"
source = "image_folder"
path = "data/photos"
size = 8
limit_train = 20
limit_test = 7
val_fraction = 0.3
split_seed = 3
[stage.stretched]
kind = "dataset"
source = "image_folder"
path = "data/photos"
size = 17
resize = "stretch"
val_fraction = 0.25
[stage.flat]
kind = "dataset"
source = "image_folder"
path = "data/flat"
limit_train = 11
[stage.cifar]
kind = "dataset"
source = "cifar10"
path = "data/cifar"
[stage.small_cifar]
kind = "dataset"
source = "cifar10"
path = "data/cifar"
size = 16
limit_train = 20
limit_test = 4
val_fraction = 0.2
[stage.shapes]
kind = "dataset"
train = 60
test = 20
size = 16
limit_train = 25
limit_test = 7
val_fraction = 0.2
seed = 5
split_seed = 1
"#,
    );
    write_photos(&project);
    write_cifar(&project);
    let run = project.json(&["run", "pipelines/p.toml"]);
    let mut hashes = BTreeMap::new();
    for stage in run["stages"].as_array().expect("stages") {
        for (port, output) in stage["outputs"].as_object().expect("outputs") {
            let name = format!("{}.{port}", text(&stage["instance"]));
            hashes.insert(name, text(&output["hash"])[..16].to_owned());
        }
    }
    let golden = include_str!("dataset_golden.txt");
    let lines: String = hashes.iter().map(|(name, hash)| format!("{name} {hash}\n")).collect();
    assert_eq!(lines, golden);
}

/// A dataset of files, and something below it.
fn of_files(source: &str) -> Project {
    let dataset = format!("[stage.images]\nkind = \"dataset\"\nsource = \"{source}\"\npath = \"data\"\nsize = 8\n");
    Project::with(&format!("{dataset}[stage.pixels]\nkind = \"encode\"\ninputs = {{ images = \"images.train\" }}\n"))
}

/// A folder of two classes with two images each.
fn folder() -> Project {
    let project = of_files("image_folder");
    for (at, name) in ["train/cat/1", "train/dog/1", "test/cat/2", "test/dog/2"].into_iter().enumerate() {
        save(&project.path(&format!("data/{name}.png")), picture(8, 8, at as u32), ImageFormat::Png);
    }
    project
}

/// Files of CIFAR-10 with two images each.
fn cifar() -> Project {
    let project = of_files("cifar10");
    project.write("data/batches.meta.txt", "cat\ndog\n");
    for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        project.write(&format!("data/{name}.bin"), vec![1; 3073 * 2]);
    }
    project
}

/// A message with the paths in it relative to the project.
fn relative(project: &Project, text: &str) -> String {
    let root = fs::canonicalize(project.path("")).expect("a folder");
    text.replace(&format!("{}/", root.display()), "").replace(&format!("{}/", project.path("").display()), "")
}

/// Expects `check`, `plan` and `run` to refuse the file with the line of `path` and these words.
fn refused(project: &Project, said: &[&str]) {
    for verb in ["check", "plan", "run"] {
        let ran = project.strata(&[verb, "pipelines/p.toml"]);
        assert_eq!(ran.code, Some(2), "{verb}: {}{}", ran.out, ran.err);
        let words = relative(project, &ran.err);
        assert!(words.contains("pipelines/p.toml:4:"), "{verb}: {words}");
        for said in said {
            assert!(words.contains(said), "{said} is not in\n{verb}: {words}");
        }
    }
    let objects = project.cache().into_iter().filter(|(path, _)| path.starts_with("objects")).count();
    assert_eq!(objects, 0, "nothing was run");
}

/// Expects a run to fail with these words in the message of the failed stage, and everything below blocked.
fn fails(project: &Project, said: &[&str]) {
    let objects = |project: &Project| project.cache().iter().filter(|(path, _)| path.starts_with("objects")).count();
    let before = objects(project);
    let ran = project.strata(&["run", "pipelines/p.toml"]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("  failed  images"), "{}", ran.err);
    assert!(ran.err.contains(" blocked  pixels (images failed)"), "{}", ran.err);
    let words = relative(project, &ran.err);
    for said in said {
        assert!(words.contains(said), "{said} is not in\n{words}");
    }
    assert!(ran.out.contains("1 failed, 1 blocked"), "{}", ran.out);
    assert_eq!(objects(project), before, "a failed stage leaves no object");
}

/// The metrics of the dataset after a run.
fn metrics(project: &Project) -> BTreeMap<String, f64> {
    let table = project.json(&["table", "pipelines/p.toml"]);
    let rows = table["rows"].as_array().expect("rows").iter();
    let row = rows.into_iter().find(|row| row["stage"] == "images").expect("the dataset has metrics");
    serde_json::from_value(row["metrics"].clone()).expect("numbers")
}

#[test]
fn data_that_is_not_there_is_a_mistake_in_the_file() {
    let absent = "help: put the data there, or set `path` to its folder, relative to the project root";
    refused(&of_files("cifar10"), &["data: is not there; it should be the folder of CIFAR-10's files", absent]);
    refused(&of_files("image_folder"), &["data: no such folder; images belong into data/train/CLASS/", absent]);
    let other = of_files("cifar10");
    other.write("data/train/cat/1.png", "");
    refused(&other, &["data: this is a folder of images", "help: write `source = \"image_folder\"`"]);
    for source in ["cifar10", "image_folder"] {
        let archive = of_files(source);
        archive.write("data", "x");
        refused(&archive, &["data: a file", "help: unpack it if it is an archive"]);
    }
}

#[test]
fn results_of_data_that_is_gone_are_not_taken_for_others() {
    let project = folder();
    project.done(&["run", "pipelines/p.toml"]);
    fs::rename(project.path("data"), project.path("away")).expect("a folder can be moved");
    let ran = project.strata(&["run", "pipelines/p.toml"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("without the data earlier results cannot be found"), "{}", ran.err);
    project.edit("pipelines/p.toml", "\"data\"", "\"away\"");
    let words = project.words("run", &[]);
    assert!(words.iter().all(|(_, word)| word == "cached"), "the path is not in the key: {words:?}");
}

#[test]
fn another_folder_or_version_is_named() {
    for (file, said) in [
        ("data/cifar-10-batches-bin/data_batch_1.bin", "set `path` to data/cifar-10-batches-bin"),
        ("data/cifar-10-binary.tar.gz", "unpack cifar-10-binary.tar.gz"),
        ("data/cifar-10-python.tar.gz", "unpack cifar-10-python.tar.gz"),
    ] {
        let project = of_files("cifar10");
        project.write(file, "x");
        refused(&project, &["data: holds none of the files", said]);
    }
    let project = of_files("cifar10");
    project.write("data/data_batch_1", "x");
    refused(&project, &["6 files of CIFAR-10's Python version are missing", "help: the Python version of CIFAR-10"]);
    let project = of_files("cifar10");
    project.write("data/fine_label_names.txt", "x");
    refused(&project, &["data: this is the binary version of CIFAR-100", "help: write `source = \"cifar100\"`"]);
    let project = cifar();
    fs::remove_file(project.path("data/batches.meta.txt")).expect("it is there");
    refused(
        &project,
        &["data/batches.meta.txt: no such file", "help: batches.meta.txt names the classes, one on each line"],
    );
    let project = folder();
    fs::rename(project.path("data"), project.path("moved")).expect("moved");
    fs::create_dir(project.path("data")).expect("a folder");
    fs::rename(project.path("moved"), project.path("data/photos")).expect("moved");
    refused(&project, &["data: no folder `train` and no folder `test` in it", "set `path` to data/photos"]);
    fs::rename(project.path("data/photos/train"), project.path("data/train")).expect("moved");
    fs::rename(project.path("data/photos/test"), project.path("data/val")).expect("moved");
    refused(
        &project,
        &["data/test: no such folder", "rename the folder `val` to `test`, or link it: ln -s val data/test"],
    );
}

#[test]
fn files_of_cifar10_that_are_not_whole_are_all_named() {
    let project = cifar();
    project.write("data/test_batch.bin", vec![0; 3073 + 1000]);
    project.write("data/data_batch_3.bin", "");
    fs::remove_file(project.path("data/data_batch_4.bin")).expect("it is there");
    refused(
        &project,
        &[
            "data/data_batch_3.bin: empty",
            "data/test_batch.bin: truncated: 4073 bytes are 1 records of 3073 bytes and 1000 more",
            "help: a whole file of the original dataset has 30730000 bytes",
            "data/data_batch_4.bin: no such file",
        ],
    );
    let project = cifar();
    project.write("data/data_batch_2.bin", vec![7; 3073]);
    fails(&project, &["data/data_batch_2.bin: record 0 has label 7, but batches.meta.txt names 2 classes"]);
}

#[test]
fn a_part_of_cifar10_is_read_and_said_to_be_one() {
    let project = cifar();
    let ran = project.done(&["run", "pipelines/p.toml"]);
    assert!(ran.err.contains("6 of the 6 files of CIFAR-10 hold another number of images than 10,000"), "{}", ran.err);
    let metrics = metrics(&project);
    let wanted = [("classes", 2.0), ("left_out", 0.0), ("images", 12.0), ("test_images", 2.0)];
    assert!(wanted.iter().all(|(name, value)| metrics[*name] == *value), "{metrics:?}");
    assert_eq!(metrics["train_images"], 10.0);
}

#[test]
fn what_lies_beside_the_dataset_is_named() {
    let project = cifar();
    project.write("data/data_batch_6.bin", vec![1; 3073]);
    let ran = project.done(&["check", "pipelines/p.toml"]);
    assert!(ran.err.contains("not read, since it is no file of CIFAR-10: data_batch_6.bin"), "{}", ran.err);
    let project = folder();
    for (name, format) in
        [("9.png", ImageFormat::Png), ("odd.name", ImageFormat::Png), ("val/cat/3.jpg", ImageFormat::Jpeg)]
    {
        save(&project.path(&format!("data/{name}")), picture(8, 8, 9), format);
    }
    project.write("data/README.txt", "words");
    let ran = project.done(&["check", "pipelines/p.toml"]);
    let said = "not read, since it is beside `train` and `test`: 9.png, odd.name, val\n";
    assert!(ran.err.contains(said), "{}", ran.err);
}

#[test]
fn a_class_that_cifar10_names_twice_is_refused() {
    let project = cifar();
    project.write("data/batches.meta.txt", "cat\ndog\ncat\n");
    fails(&project, &["data/batches.meta.txt: names the class `cat` twice"]);
}

/// A GIF of two frames, a PNG, TIFF of two pages and a WebP would be as bad: one image is read, and that is said.
#[test]
fn files_of_several_images_are_named() {
    let project = folder();
    let path = project.path("data/train/cat/moving.gif");
    let mut gif = GifEncoder::new(fs::File::create(path).expect("a file"));
    let frames = (0..2).map(|seed| Frame::new(DynamicImage::from(picture(8, 8, seed)).into_rgba8()));
    gif.encode_frames(frames).expect("an animation can be written");
    drop(gif);
    let one: &[u8] = b"P6 1 1 255\nabc";
    project.write("data/train/dog/two.ppm", [one, one].concat());
    project.write("data/train/dog/one.ppm", one);
    let said = "2 files hold several images, and the first one of each is read: ";
    // Also when the result comes from the cache.
    for arguments in [&["run", "pipelines/p.toml"][..], &["run", "pipelines/p.toml"], &["table", "pipelines/p.toml"]] {
        let words = relative(&project, &project.done(arguments).err);
        assert!(words.contains(&format!("{said}data/train/cat/moving.gif, data/train/dog/two.ppm")), "{words}");
    }
}

#[test]
fn samples_above_their_maximum_are_refused() {
    let project = folder();
    project.write("data/train/dog/dark.pgm", b"P5 2 1 100\n\x64\x65");
    fails(&project, &["data/train/dog/dark.pgm: a sample is 101, above the largest value 100 that the header allows"]);
}

/// Tiny ImageNet's layout, and folders beside images.
#[test]
fn folders_within_class_folders_are_read() {
    let project = folder();
    for (at, name) in ["cat/more/2", "cat/more/even/3", "dog/images/4"].into_iter().enumerate() {
        save(&project.path(&format!("data/train/{name}.JPEG")), picture(9, 8, at as u32), ImageFormat::Jpeg);
    }
    project.done(&["run", "pipelines/p.toml"]);
    assert_eq!(metrics(&project)["train_images"], 5.0);
}

#[test]
fn every_format_is_read_and_the_rest_is_counted() {
    let project = folder();
    for (ending, format) in [
        ("webp", ImageFormat::WebP),
        ("bmp", ImageFormat::Bmp),
        ("tiff", ImageFormat::Tiff),
        ("tif", ImageFormat::Tiff),
        ("ppm", ImageFormat::Pnm),
        ("gif", ImageFormat::Gif),
        ("jfif", ImageFormat::Jpeg),
    ] {
        save(&project.path(&format!("data/train/cat/x.{ending}")), picture(8, 8, 1), format);
    }
    let ran = project.done(&["run", "pipelines/p.toml"]);
    assert!(!ran.err.contains("left out"), "{}", ran.err);
    let read = metrics(&project);
    assert_eq!((read["train_images"], read["left_out"]), (9.0, 0.0));
    for name in ["train/cat/Thumbs.db", "train/dog/.DS_Store"] {
        project.write(&format!("data/{name}"), "x");
    }
    let ran = project.done(&["check", "pipelines/p.toml"]);
    assert!(!ran.err.contains("left out"), "what systems leave is not worth a word: {}", ran.err);
    for name in ["train/cat/labels.csv", "train/dog/deep/notes.txt", "test/cat/notes.TXT"] {
        project.write(&format!("data/{name}"), "x");
    }
    for verb in ["check", "plan", "run"] {
        let ran = project.done(&[verb, "pipelines/p.toml"]);
        let said = "5 files that are not images are left out: 1 .csv, 2 .txt, 2 hidden";
        assert!(ran.err.contains(said), "{verb}: {}", ran.err);
        assert!(ran.err.contains("pipelines/p.toml:4:"), "{verb}: {}", ran.err);
    }
    project.done(&["run", "pipelines/p.toml", "--force"]);
    assert_eq!(metrics(&project)["left_out"], 5.0);
}

#[test]
fn images_that_would_be_lost_are_refused() {
    for (name, said) in [
        ("train/cat/photo.avif", "data/train/cat/photo.avif: an image in a format that cannot be read"),
        ("train/cat/deep/PHOTO.HEIC", "PHOTO.HEIC: an image in a format that cannot be read"),
        ("test/dog/1.svg", "1.svg: an image in a format that cannot be read"),
    ] {
        let project = folder();
        project.write(&format!("data/{name}"), "x");
        refused(&project, &[said, "help: convert it to PNG or JPEG"]);
    }
    let project = folder();
    fs::copy(project.path("data/train/dog/1.png"), project.path("data/train/dog/2")).expect("a copy");
    refused(
        &project,
        &["data/train/dog/2: holds a PNG image, but its name has no ending of an image", "help: rename it"],
    );
}

#[test]
fn what_is_in_the_way_is_refused_with_a_remedy() {
    let project = folder();
    fs::create_dir(project.path("data/train/owl")).expect("a folder");
    fs::create_dir(project.path("data/test/yak")).expect("a folder");
    refused(&project, &["data/train/owl: a class without an image", "data/test/yak: a class without an image"]);
    let project = folder();
    save(&project.path("data/train/cat_1.png"), picture(8, 8, 0), ImageFormat::Png);
    refused(&project, &["data/train/cat_1.png: an image beside the class folder data/train/cat", "not both"]);
    let project = folder();
    save(&project.path("data/test/cow/1.png"), picture(8, 8, 0), ImageFormat::Png);
    refused(&project, &["class `cow` of test is not among those of train: `cat`, `dog`", "help: add images of them"]);
    let project = of_files("image_folder");
    for split in ["train", "test"] {
        save(&project.path(&format!("data/{split}/photo.png")), picture(8, 8, 0), ImageFormat::Png);
    }
    refused(
        &project,
        &["data/train/photo.png: no class in the name", "data/test/photo.png", "help: name them like cat_001.jpg"],
    );
    let project = of_files("image_folder");
    for split in ["train", "test"] {
        fs::create_dir_all(project.path(&format!("data/{split}"))).expect("a folder");
    }
    refused(&project, &["data/train: no image in it", "data/test: no image in it"]);
    for (train, test) in [("caf\u{e9}", "cafe\u{301}"), ("cafe\u{301}", "caf\u{e9}")] {
        let project = folder();
        save(&project.path(&format!("data/train/{train}/1.png")), picture(8, 8, 0), ImageFormat::Png);
        save(&project.path(&format!("data/test/{test}/1.png")), picture(8, 8, 0), ImageFormat::Png);
        refused(&project, &["(cafe\\u{301})", "(caf\\u{e9})", "rename one of the folders"]);
    }
}

#[cfg(unix)]
#[test]
fn odd_names_links_and_pipes_are_refused() {
    use std::{
        ffi::OsStr,
        os::unix::{ffi::OsStrExt, fs::symlink},
    };
    let project = folder();
    for name in [&b"\xb9\xb7"[..], b"\xc4\xf1"] {
        let class = project.path("data/train").join(OsStr::from_bytes(name));
        save(&class.join("1.png"), picture(8, 8, 0), ImageFormat::Png);
    }
    let said = "2 names of classes are not UTF-8: data/train/\\xB9\\xB7, data/train/\\xC4\\xF1";
    refused(&project, &[said, "help: rename them, for example with `convmv"]);
    let project = folder();
    symlink("../../train", project.path("data/train/cat/up")).expect("a link");
    refused(&project, &["data/train/cat/up: a link that leads back to a folder above it", "help: remove the link"]);
    let project = folder();
    symlink("nothing.png", project.path("data/train/cat/gone.png")).expect("a link");
    refused(&project, &["data/train/cat/gone.png: a link that cannot be followed: No such file"]);
    for (project, pipe) in [(folder(), "data/train/cat/pipe.png"), (cifar(), "data/data_batch_1.bin")] {
        let _ = fs::remove_file(project.path(pipe));
        let made = std::process::Command::new("mkfifo").arg(project.path(pipe)).status().expect("mkfifo");
        assert!(made.success());
        refused(&project, &[pipe, "not a file"]);
    }
}

#[test]
fn broken_images_are_all_named_and_only_those_that_are_needed() {
    let project = folder();
    for at in 0..25 {
        project.write(
            &format!("data/train/dog/broken{at:02}.jpg"),
            [0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F'],
        );
    }
    project.write("data/test/cat/page.png", "<html>");
    let cut = "broken00.jpg: not a whole JPEG image: the file ends within the image";
    fails(
        &project,
        &[
            "26 images cannot be read:",
            cut,
            "data/train/dog/broken19.jpg",
            "and 6 more",
            "replace each of them, or remove it",
        ],
    );
    project.edit("pipelines/p.toml", "size = 8\n", "size = 8\nlimit_train = 1\nlimit_test = 1\nsplit_seed = 4\n");
    // The one image of each split is chosen by its label; whichever it is, it is named, or it is good.
    let ran = project.strata(&["run", "pipelines/p.toml"]);
    let named = ran.err.matches(": not ").count();
    assert!(named <= 2, "{}", ran.err);
    for name in (0..25).map(|at| format!("data/train/dog/broken{at:02}.jpg")).chain(["data/test/cat/page.png".into()]) {
        fs::remove_file(project.path(&name)).expect("it is there");
    }
    project.done(&["run", "pipelines/p.toml"]);
}

#[test]
fn a_broken_image_that_is_not_chosen_does_no_harm() {
    let project = of_files("image_folder");
    for at in 0..20 {
        save(&project.path(&format!("data/train/cat/{at:02}.png")), picture(8, 8, at), ImageFormat::Png);
        save(&project.path(&format!("data/test/cat/{at:02}.png")), picture(8, 8, at), ImageFormat::Png);
    }
    project.edit("pipelines/p.toml", "size = 8\n", "size = 8\nlimit_train = 5\n");
    // One image after the other is broken: five of twenty are chosen.
    let whole = fs::read(project.path("data/train/cat/00.png")).expect("an image");
    let mut failed = 0;
    for at in 0..20 {
        let name = format!("data/train/cat/{at:02}.png");
        let bytes = fs::read(project.path(&name)).expect("an image");
        project.write(&name, &whole[..whole.len() / 2]);
        let ran = project.strata(&["run", "pipelines/p.toml", "images"]);
        failed += usize::from(ran.code == Some(1) && ran.err.contains(&name));
        project.write(&name, bytes);
    }
    assert_eq!(failed, 5);
}

#[test]
fn images_of_several_sizes_are_all_named() {
    let project = folder();
    project.edit("pipelines/p.toml", "size = 8\n", "");
    for (at, split) in ["train", "test"].into_iter().enumerate() {
        save(&project.path(&format!("data/{split}/cat/odd.png")), picture(9 + at as u32, 8, 1), ImageFormat::Png);
    }
    fails(
        &project,
        &[
            "2 images have another size than most, which have 8 x 8 pixels:",
            "data/test/cat/odd.png: 10 x 8 pixels",
            "data/train/cat/odd.png: 9 x 8 pixels",
            "set `size` to bring all images to one size",
        ],
    );
}

/// Motion photos and the like, and images as wide as a scan line.
#[test]
fn unusual_images_are_read() {
    let project = folder();
    let path = project.path("data/train/cat/phone.jpg");
    save(&path, picture(20, 10, 3), ImageFormat::Jpeg);
    project.done(&["run", "pipelines/p.toml", "images"]);
    let hash = |project: &Project| {
        let run = project.json(&["run", "pipelines/p.toml"]);
        text(&run["stages"][0]["outputs"]["train"]["hash"])
    };
    let before = hash(&project);
    let whole = fs::read(&path).expect("an image");
    for tail in [&b"MotionPhoto_Data\xff\xda"[..], &whole, b"\xff\xd8\xff\xda\0\xff\xd9\xff", &[0; 5000]] {
        project.write("data/train/cat/phone.jpg", [&whole, tail].concat());
        assert_eq!(hash(&project), before);
    }
    project.write("data/train/cat/phone.jpg", &whole[..whole.len() - 2]);
    fails(&project, &["data/train/cat/phone.jpg: not a whole JPEG image: the file ends within the image"]);
    project.write("data/train/cat/phone.jpg", &whole);
    save(&project.path("data/train/cat/thin.png"), picture(65_535, 1, 0), ImageFormat::Png);
    project.edit("pipelines/p.toml", "size = 8", "size = 224");
    project.done(&["run", "pipelines/p.toml", "images"]);
}

#[test]
fn parameters_without_effect_are_told_and_not_in_the_key() {
    let project = folder();
    project.done(&["run", "pipelines/p.toml"]);
    project.edit("pipelines/p.toml", "size = 8\n", "size = 8\nseed = 3\nsplit_seed = 4\n");
    let ran = project.done(&["check", "pipelines/p.toml"]);
    for name in ["seed", "split_seed"] {
        assert!(ran.err.contains(&format!("`images.{name}` has no effect")), "{}", ran.err);
    }
    let words = project.words("run", &[]);
    assert!(words.iter().all(|(_, word)| word == "cached"), "{words:?}");
    project.edit("pipelines/p.toml", "seed = 3\n", "val_fraction = 0.5\n");
    project.done(&["run", "pipelines/p.toml"]);
    project.edit("pipelines/p.toml", "val_fraction = 0.5", "val_fraction = 0.1");
    let ran = project.strata(&["check", "pipelines/p.toml"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("0.1 of 2 training images leaves `train` or `val` without an image"), "{}", ran.err);
}
