//! Archives, whole and broken.

use std::fs;

use image::{ImageFormat, RgbImage};
use tar::{Builder, Header};

use super::*;
use crate::ml::data::collection::{all, part};

const USUAL: Manner = Manner { labelled: true, unlabelled: false, field: None, orientation: Orientation::Ignore };

fn png(value: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    RgbImage::from_pixel(4, 4, image::Rgb([value; 3])).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn write(path: &Path, files: &[(&str, &[u8])]) {
    let mut archive = Builder::new(File::create(path).unwrap());
    for (name, content) in files {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *content).unwrap();
    }
    archive.finish().unwrap();
}

fn open(path: &Path, manner: Manner) -> Result<Box<dyn Collection>> {
    list(path, manner)?.open()
}

fn message(path: &Path) -> String {
    let read = open(path, USUAL).and_then(|images| all(images.as_ref(), None));
    read.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn shards_are_read_in_order_with_their_labels() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let [a, b, c] = [1, 2, 3].map(png);
    write(&at("train-000000.tar"), &[("x/0.png", &a), ("x/0.cls", b"2\n"), ("x/1.cls", b"0"), ("x/1.png", &b)]);
    write(
        &at("train-000001.tar"),
        &[("README", b"no image"), ("2.input.PNG", &c), ("2.cls", b"1"), ("2.txt", b"words")],
    );
    write(&at("test-000000.tar"), &[("0.png", &b), ("0.cls", b"1")]);
    let listed = list(dir.path(), USUAL).unwrap();
    assert_eq!(listed.files().len(), 3);
    assert!(listed.parts().iter().all(|part| part.labelled));
    let images = listed.open().unwrap();
    assert_eq!(images.left_out(), 1);
    let (train, test) = all(images.as_ref(), None).unwrap();
    assert_eq!((train.labels.as_slice(), test.labels.as_slice(), train.classes.len()), (&[2, 0, 1][..], &[1][..], 3));
    assert!((0..3).all(|at| train.image(at).iter().all(|&pixel| usize::from(pixel) == at + 1)));
    let none = open(dir.path(), Manner { labelled: false, ..USUAL }).unwrap();
    assert_eq!(part(none.as_ref(), Split::Train).known_labels(), None);
}

#[test]
fn labels_may_be_in_json() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.tar");
    let a = png(1);
    write(
        &path,
        &[
            ("0.png", &a),
            ("0.json", br#"{"kind": "owl", "label": 1}"#),
            ("1.png", &a),
            ("1.json", br#"{"label": 0, "kind": "cat"}"#),
        ],
    );
    let labels = |field: Option<&str>| {
        let images = open(&path, Manner { field: field.map(String::from), ..USUAL })?;
        let set = part(images.as_ref(), Split::Train);
        Ok::<_, Error>((set.labels, set.classes))
    };
    assert_eq!(labels(None).unwrap().0, [1, 0]);
    assert_eq!(labels(Some("kind")).unwrap(), (vec![1, 0], vec!["cat".to_owned(), "owl".to_owned()]));
    assert!(labels(Some("x")).unwrap_err().to_string().contains("`0`: its .json has no entry `x`"));
}

#[test]
fn what_is_wrong_is_said_with_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train-0.tar");
    let a = png(1);
    type Case<'a> = (&'a [(&'a str, &'a [u8])], &'a str);
    let cases: [Case<'_>; 6] = [
        (
            &[("0.png", &a), ("0.cls", b"1"), ("1.png", &a)],
            "train-0.tar: the image `1` has no label, and others have one",
        ),
        (&[("0.png", &a), ("0.cls", b"1"), ("1.png", &a), ("1.cls", b"cat")], "the image `1` has a name as its label"),
        (&[("0.png", &a), ("0.jpg", &a)], "`0` has several files of one kind"),
        (&[("0.txt", b"words")], "train-0.tar: no image in this archive"),
        (&[("0.png", &a), ("0.json", b"{")], "`0`: its .json: "),
        (&[("0.png", b"x"), ("0.cls", b"1")], "`0` in "),
    ];
    for (files, said) in cases {
        write(&path, files);
        let text = message(&path);
        assert!(text.contains(said), "{text}");
    }
    write(&path, &[("0.png", &a), ("0.cls", b"1")]);
    let bytes = fs::read(&path).unwrap();
    for length in [0, 100, 512, 520, 1000] {
        fs::write(&path, &bytes[..length]).unwrap();
        let text = message(&path);
        assert!(text.contains("train-0.tar: "), "{length}: {text}");
    }
    fs::write(&path, b"no archive".repeat(100)).unwrap();
    assert!(message(&path).contains("no whole tar archive"), "{}", message(&path));
    for at in 0..600 {
        let mut changed = bytes.clone();
        changed[at] ^= 0xff;
        fs::write(&path, changed).unwrap();
        drop(message(&path));
    }
}
