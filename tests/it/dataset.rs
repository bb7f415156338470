//! Datasets from outside: which images come out, which files are left out, and what is refused.

use std::{collections::BTreeMap, fs, path::Path};

use image::{DynamicImage, GrayImage, ImageFormat, Rgb, RgbImage};

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
