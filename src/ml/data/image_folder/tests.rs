use image::{DynamicImage, ImageFormat};

use super::*;

/// Writes a plain image; its directory is made when it is missing.
fn write(path: &Path, image: DynamicImage, format: ImageFormat) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save_with_format(path, format).unwrap();
}

fn rgb(width: u32, height: u32, pixel: [u8; 3]) -> DynamicImage {
    RgbImage::from_pixel(width, height, image::Rgb(pixel)).into()
}

/// Class folders `cat` and `dog`; test lacks the latter.
fn sample() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    write(&at("train/dog/b.PNG"), rgb(8, 8, [10, 20, 30]), ImageFormat::Png);
    write(&at("train/dog/a.jpeg"), rgb(8, 8, [200, 200, 200]), ImageFormat::Jpeg);
    write(&at("train/cat/z.JPG"), rgb(8, 8, [90, 90, 90]), ImageFormat::Jpeg);
    write(&at("test/cat/1.png"), rgb(8, 8, [1, 2, 3]), ImageFormat::Png);
    fs::write(at("train/.hidden"), "x").unwrap();
    fs::write(at("train/cat/.DS_Store.png"), "x").unwrap();
    fs::write(at("train/cat/notes.txt"), "x").unwrap();
    dir
}

fn message(root: &Path) -> String {
    load(root, Some(8), Resize::Crop).unwrap_err().to_string()
}

#[test]
fn class_folders_are_read_in_order() {
    let dir = sample();
    let (train, test) = load(dir.path(), None, Resize::Crop).unwrap();
    assert_eq!(train.classes, ["cat", "dog"]);
    assert_eq!((train.labels.as_slice(), test.labels.as_slice()), ([0, 1, 1].as_slice(), [0].as_slice()));
    assert_eq!(train.size, [3, 8, 8]);
    assert!(train.image(0).iter().all(|&p| p.abs_diff(90) < 3));
    assert!(train.image(1).iter().all(|&p| p.abs_diff(200) < 3));
    assert_eq!([0, 64, 128].map(|i| train.image(2)[i]), [10, 20, 30]);
    assert_eq!(count(dir.path()), Some((3, 1)));
    let names: Vec<String> = files(dir.path()).unwrap().iter().map(|p| name(p)).collect();
    assert_eq!(names, ["z.JPG", "a.jpeg", "b.PNG", "1.png"]);
}

#[test]
fn classes_may_be_prefixes() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["train/sea_lion_01.png", "train/cat.7.png", "train/dog-003.png", "test/cat_1.png"] {
        write(&dir.path().join(name), rgb(4, 4, [0; 3]), ImageFormat::Png);
    }
    let (train, test) = load(dir.path(), None, Resize::Crop).unwrap();
    assert_eq!(train.classes, ["cat", "dog", "sea_lion"]);
    assert_eq!((train.labels.as_slice(), test.labels.as_slice()), ([0, 1, 2].as_slice(), [0].as_slice()));
    write(&dir.path().join("train/photo.png"), rgb(4, 4, [0; 3]), ImageFormat::Png);
    assert!(message(dir.path()).contains("photo.png: no class in the name"));
    for (stem, class) in [("_1", None), ("cat_", None), ("cat1", None), ("cat_x", None), ("a.b-2", Some("a.b"))] {
        assert_eq!(prefix(stem), class, "{stem}");
    }
}

#[test]
fn all_kinds_of_pixels_become_rgb() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join("train/x").join(name);
    write(&at("a.png"), image::GrayImage::from_pixel(4, 4, image::Luma([9])).into(), ImageFormat::Png);
    write(&at("b.png"), image::RgbaImage::from_pixel(4, 4, image::Rgba([1, 2, 3, 0])).into(), ImageFormat::Png);
    let deep = image::ImageBuffer::<image::Rgb<u16>, _>::from_pixel(4, 4, image::Rgb([257 * 5; 3]));
    write(&at("c.png"), deep.into(), ImageFormat::Png);
    write(&at("d.jpg"), image::GrayImage::from_pixel(4, 4, image::Luma([100])).into(), ImageFormat::Jpeg);
    fs::write(at("e.jpg"), include_bytes!("cmyk.jpg")).unwrap();
    write(&dir.path().join("test/x/a.png"), rgb(4, 4, [0; 3]), ImageFormat::Png);
    let (train, _) = load(dir.path(), Some(4), Resize::Crop).unwrap();
    let pixel = |i: usize| [0, 16, 32].map(|k| train.image(i)[k]);
    assert_eq!((pixel(0), pixel(1), pixel(2)), ([9; 3], [1, 2, 3], [5; 3]));
    assert!(pixel(3).iter().all(|&p| p.abs_diff(100) < 3));
    let close = pixel(4).iter().zip([200, 100, 50]).all(|(&p, want)| p.abs_diff(want) < 8);
    assert!(close, "{:?}", pixel(4));
}

#[test]
fn sizes_are_brought_to_one_only_when_asked() {
    let dir = sample();
    write(&dir.path().join("train/dog/c.png"), rgb(20, 10, [0; 3]), ImageFormat::Png);
    let error = load(dir.path(), None, Resize::Crop).unwrap_err().to_string();
    assert!(error.contains("c.png: 20 x 10 pixels, but the first image has 8 x 8; give a `size`"), "{error}");
    assert_eq!(load(dir.path(), Some(6), Resize::Crop).unwrap().0.size, [3, 6, 6]);
}

#[test]
fn a_broken_file_is_named() {
    let dir = sample();
    let path = dir.path().join("train/dog/a.jpeg");
    let bytes = fs::read(&path).unwrap();
    // Cut in the header, and just before the end marker.
    for length in [bytes.len() / 3, bytes.len() - 2] {
        fs::write(&path, &bytes[..length]).unwrap();
        let text = message(dir.path());
        assert!(text.contains("a.jpeg: not a whole JPEG or PNG image"), "{length} bytes: {text}");
    }
    fs::write(&path, "not an image").unwrap();
    assert!(message(dir.path()).contains("a.jpeg: not a whole JPEG or PNG image"));
}

#[test]
fn what_is_missing_is_named() {
    let dir = sample();
    fs::create_dir_all(dir.path().join("train/empty")).unwrap();
    assert!(message(dir.path()).contains("empty: a class without an image"));
    fs::remove_dir(dir.path().join("train/empty")).unwrap();

    write(&dir.path().join("test/cow/1.png"), rgb(8, 8, [0; 3]), ImageFormat::Png);
    assert!(message(dir.path()).contains("class `cow` is not among those of train: cat, dog"));
    fs::remove_dir_all(dir.path().join("test/cow")).unwrap();

    write(&dir.path().join("test/cat_1.png"), rgb(8, 8, [0; 3]), ImageFormat::Png);
    assert!(message(dir.path()).contains("cat_1.png: an image beside the class folder cat"));

    fs::remove_dir_all(dir.path().join("test")).unwrap();
    assert!(message(dir.path()).contains("test: no such folder; images belong into"));
    assert_eq!(count(dir.path()), None);
    fs::create_dir(dir.path().join("test")).unwrap();
    assert!(message(dir.path()).contains("test: no JPEG or PNG image in it"));
}

#[test]
fn order_does_not_depend_on_threads() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..20_u8 {
        write(&dir.path().join(format!("train/a/{i}.png")), rgb(4, 4, [i; 3]), ImageFormat::Png);
    }
    write(&dir.path().join("test/a/0.png"), rgb(4, 4, [0; 3]), ImageFormat::Png);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| load(dir.path(), None, Resize::Crop).unwrap())
    };
    assert_eq!(with(1), with(3));
}
