//! Tables that `datasets` wrote, whole and broken.

use std::fs;

use super::*;
use crate::ml::data::{
    Choice,
    collection::{all, fixture, fixtures},
};

const USUAL: Manner = Manner {
    labelled: true,
    unlabelled: false,
    image_column: None,
    label_column: None,
    orientation: Orientation::Ignore,
};

fn sample() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "test-00000-of-00001.parquet"] {
        fixture(name, &dir.path().join("data").join(name));
    }
    dir
}

fn message(path: &Path, manner: Manner) -> String {
    let read = list(path, manner).and_then(|listed| all(listed.open()?.as_ref(), None));
    read.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn columns_are_found_by_the_metadata_and_shards_are_read_in_order() {
    let dir = sample();
    let listed = list(dir.path(), USUAL).unwrap();
    let parts: Vec<_> = listed.parts().into_iter().map(|part| (part.split, part.images, part.labelled)).collect();
    assert_eq!(parts, [(Split::Train, Some(5), true), (Split::Test, Some(2), true)]);
    let images = listed.open().unwrap();
    let (train, test) = all(images.as_ref(), None).unwrap();
    assert_eq!((train.labels.as_slice(), test.labels.as_slice()), (&[0, 1, 2, 2, 1][..], &[1, 0][..]));
    assert_eq!(train.classes, ["ant", "bee", "cat"]);
    let values: Vec<u8> = (0..5).map(|at| train.image(at)[0]).collect();
    assert_eq!(values, [0, 10, 20, 0, 10]);
    let choices = [Choice { split: Split::Train, indices: vec![1, 3, 4] }];
    let some = images.read(&choices, None, &mut |_| Ok(())).unwrap().sets.remove(0);
    assert_eq!((some.labels.as_slice(), some.image(2)[0]), (&[1, 2, 1][..], 10));
    let none = list(dir.path(), Manner { labelled: false, ..USUAL }).unwrap();
    assert!(none.parts().iter().all(|part| !part.labelled));
}

#[test]
fn columns_that_do_not_tell_themselves_are_named() {
    let path = fixtures().join("two_labels.parquet");
    assert!(
        message(&path, USUAL).contains("several columns of labels: `coarse`, `fine`; choose one by `label_column`")
    );
    let coarse = Manner { label_column: Some("coarse".into()), ..USUAL };
    assert_eq!(list(&path, coarse).unwrap().open().unwrap().labels(Split::Train), [0, 1]);
    let absent = Manner { label_column: Some("x".into()), ..USUAL };
    assert!(message(&path, absent).contains("no column `x`; set `label_column` to one of `coarse`, `fine`, `img`"));
    let other = Manner { image_column: Some("fine".into()), ..USUAL };
    assert!(message(&path, other).contains("the column `fine` holds no encoded images"));
    let dir = sample();
    fixture("two_labels.parquet", &dir.path().join("data/train-9.parquet"));
    let manner = Manner { labelled: false, ..USUAL };
    drop(list(dir.path(), manner));
    assert!(message(dir.path(), USUAL).contains("several columns of labels"), "{}", message(dir.path(), USUAL));
}

#[test]
fn a_file_that_is_cut_or_changed_anywhere_is_refused_or_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train-0.parquet");
    let bytes = fs::read(fixtures().join("train-00000-of-00002.parquet")).unwrap();
    for length in (0..bytes.len()).step_by(11) {
        fs::write(&path, &bytes[..length]).unwrap();
        assert!(message(&path, USUAL).contains("train-0.parquet: no whole Parquet file"), "{length}");
    }
    for at in 0..bytes.len() {
        for value in [0xff, 0x00, bytes[at] ^ 1] {
            let mut changed = bytes.clone();
            changed[at] = value;
            fs::write(&path, changed).unwrap();
            drop(message(&path, USUAL));
        }
    }
}
