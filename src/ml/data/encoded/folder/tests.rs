//! Folders of images in all the layouts that users have.

use std::fs;

use image::{DynamicImage, ImageFormat, RgbImage};

use super::{layout, *};
use crate::ml::{
    Error,
    data::{Choice, ImageSet, collection::all, resize::Resize},
};

const USUAL: Manner = Manner { naming: Naming::FolderOrPrefix, whole: false, orientation: Orientation::Ignore };

/// The folder by the usual manner.
fn list(root: &Path) -> Result<Folder> {
    let Manner { naming, whole, orientation } = USUAL;
    let listing = remembered::listing(root, (naming, whole), || Listing::new(root, naming, whole))?;
    Ok(Folder { listing, orientation })
}

fn open(root: &Path, manner: Manner) -> Result<Box<dyn Collection>> {
    super::list(root, manner)?.open()
}

impl Folder {
    fn count(&self, split: Split) -> usize {
        self.listing.entries(split).len()
    }
}

/// Writes a plain image, and makes its folder if it does not exist.
fn write(path: &Path, image: DynamicImage, format: ImageFormat) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save_with_format(path, format).unwrap();
}

fn rgb(width: u32, height: u32, pixel: [u8; 3]) -> DynamicImage {
    RgbImage::from_pixel(width, height, image::Rgb(pixel)).into()
}

/// Class folders `cat` and `dog`; `test` has no `dog`.
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

fn load(root: &Path, size: Option<usize>) -> Result<(ImageSet, ImageSet)> {
    all(open(root, USUAL)?.as_ref(), size.map(|edge| (edge, Resize::Crop)))
}

fn message(root: &Path) -> String {
    load(root, Some(8)).unwrap_err().to_string()
}

#[test]
fn class_folders_are_read_in_order() {
    let dir = sample();
    let (train, test) = load(dir.path(), None).unwrap();
    assert_eq!(train.classes, ["cat", "dog"]);
    assert_eq!((train.labels.as_slice(), test.labels.as_slice()), ([0, 1, 1].as_slice(), [0].as_slice()));
    assert_eq!(train.size, [3, 8, 8]);
    assert!(train.image(0).iter().all(|&p| p.abs_diff(90) < 3));
    assert!(train.image(1).iter().all(|&p| p.abs_diff(200) < 3));
    assert_eq!([0, 64, 128].map(|i| train.image(2)[i]), [10, 20, 30]);
    let listing = list(dir.path()).unwrap();
    assert_eq!((listing.count(Split::Train), listing.count(Split::Test)), (3, 1));
    assert_eq!((listing.left_out(), listing.listing.skipped_words().as_deref()), (3, Some("1 .txt, 2 hidden")));
    let name = |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let names: Vec<String> = listing.files().iter().map(name).collect();
    assert_eq!(names, ["z.JPG", "a.jpeg", "b.PNG", "1.png"]);
}

#[test]
fn classes_may_be_prefixes() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["train/sea_lion_01.png", "train/cat.7.png", "train/dog-003.png", "test/cat_1.png"] {
        write(&dir.path().join(name), rgb(4, 4, [0; 3]), ImageFormat::Png);
    }
    let (train, test) = load(dir.path(), None).unwrap();
    assert_eq!(train.classes, ["cat", "dog", "sea_lion"]);
    assert_eq!((train.labels.as_slice(), test.labels.as_slice()), ([0, 1, 2].as_slice(), [0].as_slice()));
    write(&dir.path().join("train/photo.png"), rgb(4, 4, [0; 3]), ImageFormat::Png);
    assert!(message(dir.path()).contains("photo.png: no class in the name"));
    for (stem, class) in [("_1", None), ("cat_", None), ("cat1", None), ("cat_x", None), ("a.b-2", Some("a.b"))] {
        assert_eq!(layout::prefix(stem), class, "{stem}");
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
    let (train, _) = load(dir.path(), Some(4)).unwrap();
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
    let error = load(dir.path(), None).unwrap_err().to_string();
    assert!(error.contains("c.png: 20 x 10 pixels, but most images have 8 x 8; set `size`"), "{error}");
    write(&dir.path().join("test/cat/2.png"), rgb(20, 11, [0; 3]), ImageFormat::Png);
    let error = load(dir.path(), None).unwrap_err().to_string();
    assert!(error.contains("2 images have another size than most, which have 8 x 8 pixels:\n"), "{error}");
    assert!(error.contains("c.png: 20 x 10 pixels\n") && error.contains("2.png: 20 x 11 pixels\n"), "{error}");
    assert_eq!(load(dir.path(), Some(6)).unwrap().0.size, [3, 6, 6]);
}

#[test]
fn broken_files_are_named_all_at_once() {
    let dir = sample();
    let at = |name: &str| dir.path().join(name);
    let bytes = fs::read(at("train/dog/a.jpeg")).unwrap();
    // Cut in the header, and just before the end marker.
    for length in [bytes.len() / 3, bytes.len() - 2] {
        fs::write(at("train/dog/a.jpeg"), &bytes[..length]).unwrap();
        let text = message(dir.path());
        assert!(text.contains("a.jpeg: not a whole JPEG image: the file ends within the image"), "{length}: {text}");
    }
    fs::write(at("train/cat/page.jpg"), "<html>").unwrap();
    fs::write(at("train/cat/phone.jpg"), b"\0\0\0\x18ftypheic\0\0\0\0").unwrap();
    fs::write(at("test/cat/1.png"), "").unwrap();
    let text = message(dir.path());
    for said in [
        "4 images cannot be read:\n",
        "page.jpg: not an image in a format that can be read\n",
        "phone.jpg: a HEIC image, a format that cannot be read\n",
        "1.png: an empty file\n",
        "a.jpeg: not a whole JPEG image",
        "\nreplace each of them, or remove it",
    ] {
        assert!(text.contains(said), "{text}");
    }
    // Images that are not chosen are not opened.
    let listing = open(dir.path(), USUAL).unwrap();
    let choices = [Choice { split: Split::Train, indices: vec![2, 4] }];
    let sets = listing.read(&choices, None, &mut |_| Ok(())).unwrap().sets;
    assert_eq!((sets[0].labels.as_slice(), sets[0].size), (&[0, 1][..], [3, 8, 8]));
    assert!(matches!(listing.read(&choices, None, &mut |_| Err(Error::Cancelled)), Err(Error::Cancelled)));
}

#[test]
fn what_is_missing_is_named() {
    let dir = sample();
    fs::create_dir_all(dir.path().join("train/empty")).unwrap();
    assert!(message(dir.path()).contains("empty: a class without an image"));
    fs::remove_dir(dir.path().join("train/empty")).unwrap();

    for class in ["cow", "yak"] {
        write(&dir.path().join("test").join(class).join("1.png"), rgb(8, 8, [0; 3]), ImageFormat::Png);
    }
    let text = message(dir.path());
    assert!(text.contains("classes `cow`, `yak` of test are not among those of train: `cat`, `dog`"), "{text}");
    for class in ["cow", "yak"] {
        fs::remove_dir_all(dir.path().join("test").join(class)).unwrap();
    }

    write(&dir.path().join("test/cat_1.png"), rgb(8, 8, [0; 3]), ImageFormat::Png);
    let text = message(dir.path());
    assert!(text.contains("cat_1.png: an image beside the class folder ") && text.contains("test/cat;"), "{text}");

    fs::remove_dir_all(dir.path().join("test")).unwrap();
    assert!(message(dir.path()).contains("test: no such folder; images belong into"));
    fs::create_dir(dir.path().join("val")).unwrap();
    assert!(message(dir.path()).contains("rename the folder `val` to `test`, or link it: ln -s val "));
    fs::create_dir(dir.path().join("test")).unwrap();
    assert!(message(dir.path()).contains("test: no image in it"));
    assert!(message(&dir.path().join("absent")).contains("absent: no such folder; images belong into"));
    let outer = tempfile::tempdir().unwrap();
    fs::rename(dir.path(), outer.path().join("photos")).unwrap();
    let text = message(outer.path());
    assert!(
        text.contains("the dataset seems to be in a folder inside; set `path` to ") && text.ends_with("/photos"),
        "{text}"
    );
}

#[test]
fn folders_within_class_folders_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    for (shade, name) in ["a/1.png", "a/more/2.png", "a/more/even/0.png", "a/z.png", "b/images/b_0.png", "a-b/x.png"]
        .into_iter()
        .enumerate()
    {
        write(&at("train").join(name), rgb(4, 4, [shade as u8; 3]), ImageFormat::Png);
    }
    write(&at("test/a/.hidden/x.png"), rgb(4, 4, [0; 3]), ImageFormat::Png);
    write(&at("test/a/images/x.png"), rgb(4, 4, [0; 3]), ImageFormat::Png);
    fs::create_dir_all(at("train/a/nothing")).unwrap();
    let (train, test) = load(dir.path(), None).unwrap();
    assert_eq!(train.classes, ["a", "a-b", "b"]);
    assert_eq!(train.labels, [0, 0, 0, 0, 1, 2]);
    let shades: Vec<u8> = (0..train.len()).map(|i| train.image(i)[0]).collect();
    assert_eq!(shades, [0, 1, 2, 3, 5, 4], "by path, name by name");
    assert_eq!(test.len(), 1);
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    use std::os::unix::fs::symlink;
    let dir = sample();
    let at = |path: &str| dir.path().join(path);
    write(&at("elsewhere/deep/1.png"), rgb(8, 8, [7; 3]), ImageFormat::Png);
    symlink(at("elsewhere"), at("train/owl")).unwrap();
    symlink(at("train/cat"), at("train/dog/twin")).unwrap();
    symlink(at("elsewhere/deep/1.png"), at("train/cat/link.png")).unwrap();
    let (train, _) = load(dir.path(), None).unwrap();
    assert_eq!((train.classes.len(), train.labels.as_slice()), (3, &[0, 0, 1, 1, 1, 1, 2][..]));
    for (target, link) in [("train", "train/cat/up"), ("train/dog", "train/dog/self"), (".", "test/cat/root")] {
        symlink(at(target), at(link)).unwrap();
        let text = message(dir.path());
        assert!(text.contains(link) && text.contains("a folder above") && text.contains("remove the link"), "{text}");
        fs::remove_file(at(link)).unwrap();
    }
    for (target, link) in [("gone", "train/cat/gone.png"), ("train/cat/me", "train/cat/me"), ("gone", "train/gone")] {
        symlink(at(target), at(link)).unwrap();
        let text = message(dir.path());
        assert!(text.contains(&format!("{link}: a link that cannot be followed: ")), "{text}");
        fs::remove_file(at(link)).unwrap();
    }
    symlink(at("gone"), at("train/cat/more.txt")).unwrap();
    load(dir.path(), None).unwrap();
}

#[cfg(unix)]
#[test]
fn names_that_are_not_text_are_told_apart_or_refused() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let dir = sample();
    let odd = |bytes: &[u8]| Path::new(OsStr::from_bytes(bytes)).to_owned();
    // The name of an image may be any bytes.
    write(&dir.path().join("train/cat").join(odd(b"\xb9\xb7.png")), rgb(8, 8, [0; 3]), ImageFormat::Png);
    assert_eq!(load(dir.path(), None).unwrap().0.len(), 4);
    for name in [b"caf\xe9", b"caf\xe8"] {
        write(&dir.path().join("train").join(odd(name)).join("1.png"), rgb(8, 8, [0; 3]), ImageFormat::Png);
    }
    let text = message(dir.path());
    assert!(text.contains("2 names of classes are not UTF-8: ") && text.contains("convmv"), "{text}");
    assert!(text.contains("caf\\xE8, ") && text.contains("caf\\xE9;"), "{text}");
}

#[test]
fn spellings_that_look_alike_are_told() {
    let dir = sample();
    for (split, class) in [("train", "caf\u{e9}"), ("test", "cafe\u{301}"), ("train", "Cat")] {
        write(&dir.path().join(split).join(class).join("1.png"), rgb(8, 8, [0; 3]), ImageFormat::Png);
    }
    let text = message(dir.path());
    assert!(text.contains("in test (cafe\\u{301}) than in train (caf\\u{e9}); rename one"), "{text}");
    fs::remove_dir_all(dir.path().join("test/cafe\u{301}")).unwrap();
    assert_eq!(load(dir.path(), None).unwrap().0.classes, ["Cat", "caf\u{e9}", "cat", "dog"]);
}

#[test]
fn images_that_would_be_lost_are_refused() {
    let dir = sample();
    let at = |path: &str| dir.path().join(path);
    for name in ["photo.avif", "photo.HEIC", "deep/raw.cr2", "drawing.svg"] {
        fs::create_dir_all(at("train/cat/deep")).unwrap();
        fs::write(at("train/cat").join(name), "x").unwrap();
    }
    let text = message(dir.path());
    assert!(
        text.contains("4 images are in formats that cannot be read: ") && text.contains("convert it to PNG"),
        "{text}"
    );
    fs::remove_dir_all(at("train/cat/deep")).unwrap();
    for name in ["photo.avif", "photo.HEIC", "drawing.svg"] {
        fs::remove_file(at("train/cat").join(name)).unwrap();
    }
    fs::copy(at("train/dog/b.PNG"), at("train/cat/42")).unwrap();
    fs::copy(at("train/dog/a.jpeg"), at("train/cat/7.jpg_large")).unwrap();
    let text = message(dir.path());
    assert!(text.contains("2 files hold images, but their names have no ending of an image:\n"), "{text}");
    assert!(text.contains("42: holds a PNG image\n") && text.contains("7.jpg_large: holds a JPEG image\n"), "{text}");
    fs::remove_file(at("train/cat/42")).unwrap();
    fs::remove_file(at("train/cat/7.jpg_large")).unwrap();
    fs::write(at("train/cat/odd.xyz"), "text").unwrap();
    fs::write(at("train/cat/README"), "text").unwrap();
    fs::write(at("train/cat/Thumbs.db"), "x").unwrap();
    let words = list(dir.path()).unwrap().listing.skipped_words();
    assert_eq!(words.as_deref(), Some("1 .txt, 1 .xyz, 3 hidden, 1 no ending"));
}

#[cfg(unix)]
#[test]
fn a_pipe_does_not_hang() {
    let dir = sample();
    for name in ["train/cat/pipe.png", "train/cat/pipe.txt"] {
        assert!(std::process::Command::new("mkfifo").arg(dir.path().join(name)).status().unwrap().success());
    }
    let text = message(dir.path());
    assert!(text.contains("pipe.png: not a file but a pipe, a socket or a device"), "{text}");
}

#[test]
fn a_listing_is_made_anew_when_a_folder_changes() {
    let dir = sample();
    let list = || super::tests::list(dir.path());
    let first = list().unwrap().listing;
    assert!(!Arc::ptr_eq(&first, &list().unwrap().listing), "the folder changed a moment ago");
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let second = list().unwrap();
    assert!(Arc::ptr_eq(&second.listing, &list().unwrap().listing));
    write(&dir.path().join("train/cat/new.png"), rgb(8, 8, [0; 3]), ImageFormat::Png);
    assert_eq!(list().unwrap().count(Split::Train), second.count(Split::Train) + 1);
    fs::remove_dir_all(dir.path().join("test")).unwrap();
    assert!(list().is_err());
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
        pool.install(|| load(dir.path(), None).unwrap())
    };
    assert_eq!(with(1), with(3));
}

/// Images in class folders without `train` and `test`.
#[test]
fn a_folder_may_be_one_part() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    for name in ["cat/a.png", "cat/deep/b.png", "dog/a.png"] {
        write(&at(name), rgb(4, 4, [0; 3]), ImageFormat::Png);
    }
    assert!(message(dir.path()).contains("write `split = { test = 0.2 }` to hold out test images"));
    let whole = Manner { whole: true, ..USUAL };
    let images = open(dir.path(), whole).unwrap();
    assert_eq!((images.labels(Split::Train), images.labels(Split::Test).len()), (&[0, 0, 1][..], 0));
    // With `train` alone, images come from there.
    fs::create_dir(at("train")).unwrap();
    fs::rename(at("dog"), at("train/dog")).unwrap();
    assert_eq!(open(dir.path(), whole).unwrap().labels(Split::Train), [0]);
    fs::create_dir(at("test")).unwrap();
    let text = open(dir.path(), whole).err().unwrap().to_string();
    assert!(text.contains("has images to train on and to test on") && text.contains("leave `split` out"), "{text}");
}

#[test]
fn labels_stand_where_the_parameter_says() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["train/deep/cat_1.png", "train/dog_2.png", "test/x/y/dog_3.png"] {
        write(&dir.path().join(name), rgb(4, 4, [0; 3]), ImageFormat::Png);
    }
    let of = |naming| open(dir.path(), Manner { naming, ..USUAL });
    let prefixes = of(Naming::Prefix).unwrap();
    assert_eq!((prefixes.labels(Split::Train), prefixes.labels(Split::Test)), (&[0, 1][..], &[1][..]));
    let none = super::list(dir.path(), Manner { naming: Naming::None, ..USUAL }).unwrap();
    assert!(none.parts().iter().all(|part| !part.labelled && part.images.is_some()));
    let (train, test) = all(none.open().unwrap().as_ref(), None).unwrap();
    assert_eq!((train.len(), test.len(), train.classes.len(), train.known_labels()), (2, 1, 0, None));
    let text = of(Naming::Folder).err().unwrap().to_string();
    assert!(text.contains("dog_2.png: an image beside the class folder"), "{text}");
    fs::remove_dir_all(dir.path().join("train/deep")).unwrap();
    let text = of(Naming::Folder).err().unwrap().to_string();
    assert!(text.contains("train: images without a class folder"), "{text}");
}

#[test]
fn tiny_imagenet_is_read_by_its_annotations() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    for name in ["train/n02/images/n02_0.JPEG", "train/n01/images/n01_0.JPEG", "val/images/val_0.JPEG"] {
        write(&at(name), rgb(4, 4, [0; 3]), ImageFormat::Jpeg);
    }
    write(&at("test/images/test_0.JPEG"), rgb(4, 4, [0; 3]), ImageFormat::Jpeg);
    write(&at("val/images/val_1.JPEG"), rgb(4, 4, [0; 3]), ImageFormat::Jpeg);
    fs::write(at("train/n01/n01_boxes.txt"), "n01_0.JPEG\t0\t0\t3\t3\n").unwrap();
    fs::write(at("val/val_annotations.txt"), "val_0.JPEG\tn02\t0\t0\t3\t3\nval_1.JPEG\tn01\t0\t0\t3\t3\n").unwrap();
    let listing = list(dir.path()).unwrap();
    assert!(listing.files().ends_with(&[at("val/val_annotations.txt")]));
    assert_eq!(listing.left_out(), 2, "the boxes, and the image without a label");
    let said: Vec<String> = listing.remarks().into_iter().map(|remark| remark.message).collect();
    assert!(said[1].contains("1 images of `test` are left out, since they have no labels"), "{said:?}");
    let (train, test) = load(dir.path(), None).unwrap();
    assert_eq!((train.labels, test.labels, train.classes), (vec![0, 1], vec![0, 1], vec!["n01".into(), "n02".into()]));
    fs::write(at("val/val_annotations.txt"), "val_0.JPEG\tn03\n").unwrap();
    let text = message(dir.path());
    assert!(text.contains("class `n03` of val is not among those of train"), "{text}");
    assert!(text.contains("val_1.JPEG: ") && text.contains("val_annotations.txt gives it no class"), "{text}");
    fs::write(at("val/val_annotations.txt"), "val_0.JPEG n03\n").unwrap();
    assert!(message(dir.path()).contains("val_annotations.txt: line 1 names no class"));
}

/// A JPEG image whose EXIF data says that it is to be turned by a quarter.
#[test]
fn an_orientation_is_applied_where_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    for part in ["train", "test"] {
        let path = dir.path().join(part).join("a/1.jpg");
        write(&path, rgb(16, 8, [9; 3]), ImageFormat::Jpeg);
        let bytes = fs::read(&path).unwrap();
        // A little-endian TIFF header, and one entry: orientation (0x0112), a short, 6.
        let tiff = *b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let length = (2 + 6 + tiff.len() as u16).to_be_bytes();
        let exif = [&[0xff, 0xe1], &length[..], b"Exif\0\0", &tiff].concat();
        fs::write(&path, [&bytes[..2], &exif, &bytes[2..]].concat()).unwrap();
    }
    let size =
        |orientation| all(open(dir.path(), Manner { orientation, ..USUAL }).unwrap().as_ref(), None).unwrap().0.size;
    assert_eq!(size(Orientation::Ignore), [3, 8, 16]);
    assert_eq!(size(Orientation::Apply), [3, 16, 8]);
}
