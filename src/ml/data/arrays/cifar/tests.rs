//! Files in the layout of CIFAR-10, whole and broken.

use super::*;
use crate::ml::data::collection::all;

/// A dataset of `[2, 3, 1, 1, 1]` training images and 3 test images, image i filled with its running number.
fn sample() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(CLASSES), "cat\ndog\n\n").unwrap();
    let mut next = 0_u8;
    for (name, images) in TRAIN.iter().chain([&TEST]).zip([2, 3, 1, 1, 1, 3]) {
        let mut bytes = Vec::new();
        for _ in 0..images {
            bytes.push(next % 2);
            bytes.extend([next; RECORD - 1]);
            next += 1;
        }
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

fn load(dir: &Path) -> Result<(ImageSet, ImageSet)> {
    all(&list(dir)?.open()?, None)
}

fn message(dir: &Path) -> String {
    load(dir).unwrap_err().to_string()
}

#[test]
fn reads_records_in_order() {
    let dir = sample();
    let (train, test) = load(dir.path()).unwrap();
    assert_eq!(train.labels, [0, 1, 0, 1, 0, 1, 0, 1]);
    assert_eq!(test.labels, [0, 1, 0]);
    assert_eq!(train.classes, ["cat", "dog"]);
    assert!((0..8).all(|i| train.image(i).iter().all(|&p| usize::from(p) == i)));
    let listing = list(dir.path()).unwrap();
    assert_eq!((listing.count(Split::Train), listing.count(Split::Test)), (8, 3));
    assert_eq!(listing.unusual().len(), 6);
    assert!(listing.files().len() == 7 && listing.files().iter().all(|f| f.is_file()));
}

#[test]
fn only_what_is_chosen_is_read() {
    let dir = sample();
    let images = list(dir.path()).unwrap().open().unwrap();
    // The pixels of the other files are gone.
    fs::write(dir.path().join(TRAIN[1]), "").unwrap();
    let choice = |split, indices: &[u32]| Choice { split, indices: indices.to_vec() };
    let choices = [choice(Split::Train, &[1, 5, 7]), choice(Split::Test, &[2]), choice(Split::Train, &[])];
    let mut heard = Vec::new();
    let mut watch = |done: usize| {
        heard.push(done);
        Ok(())
    };
    let sets = images.read(&choices, Some((8, resize::Resize::Crop)), &mut watch).unwrap().sets;
    assert_eq!((sets[0].pixels.len(), sets[0].size, sets[0].labels.as_slice()), (3 * 192, [3, 8, 8], &[1, 1, 1][..]));
    assert!([1, 5, 7].iter().enumerate().all(|(at, &value)| sets[0].image(at).iter().all(|&p| p == value)));
    assert!(sets[1].pixels.iter().all(|&p| p == 10) && sets[2].is_empty());
    assert_eq!((heard.first(), heard.last()), (Some(&0), Some(&4)));
    let stop = |_| Err(Error::Cancelled);
    assert!(matches!(images.read(&choices, None, &mut { stop }), Err(Error::Cancelled)));
    assert!(images.read(&[choice(Split::Train, &[3])], None, &mut |_| Ok(())).is_err());
}

#[test]
fn missing_files_are_named_with_what_would_be_right() {
    let dir = sample();
    fs::remove_file(dir.path().join("data_batch_3.bin")).unwrap();
    let text = message(dir.path());
    assert!(text.contains("data_batch_3.bin: no such file; the binary version of CIFAR-10"), "{text}");
    fs::remove_file(dir.path().join("test_batch.bin")).unwrap();
    let text = message(dir.path());
    assert!(text.contains("2 files of CIFAR-10's binary version are missing: "), "{text}");
    assert!(text.contains("data_batch_3.bin") && text.contains("test_batch.bin"), "{text}");

    let dir = sample();
    fs::remove_file(dir.path().join(CLASSES)).unwrap();
    let text = message(dir.path());
    assert!(
        text.contains("batches.meta.txt: no such file; batches.meta.txt names the classes, one on each line"),
        "{text}"
    );
}

#[test]
fn what_the_folder_is_instead_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    assert!(message(&at("absent")).contains("absent: is not there; it should be the folder of CIFAR-10's"));
    assert!(message(dir.path()).contains("holds none of the files of CIFAR-10's binary version"));
    for (files, said) in [
        (&["cifar-10-batches-bin/data_batch_1.bin"][..], "set `path` to "),
        (&["data_batch_1"], "this is the Python version of CIFAR-10; the binary version is needed"),
        (&["train.bin", "test.bin", "fine_label_names.txt"], "this is the binary version of CIFAR-100"),
        (&["train", "test", "meta"], "this is the Python version of CIFAR-100"),
        (&["cifar-10-binary.tar.gz"], "unpack cifar-10-binary.tar.gz"),
    ] {
        for file in files {
            fs::create_dir_all(at(file).parent().unwrap()).unwrap();
            fs::write(at(file), "x").unwrap();
        }
        let text = message(dir.path());
        assert!(text.contains(said), "{text}");
        for file in files {
            fs::remove_file(at(file)).unwrap();
        }
    }
    fs::write(at("archive.tar"), "x").unwrap();
    assert!(message(&at("archive.tar")).contains("archive.tar: a file; it should be the folder"));
}

#[test]
fn broken_files_are_named_all_at_once() {
    let dir = sample();
    let at = |name: &str| dir.path().join(name);
    let bytes = fs::read(at("test_batch.bin")).unwrap();
    fs::write(at("test_batch.bin"), &bytes[..2 * RECORD + 5]).unwrap();
    fs::write(at("data_batch_4.bin"), "").unwrap();
    fs::remove_file(at("data_batch_5.bin")).unwrap();
    fs::create_dir(at("data_batch_5.bin")).unwrap();
    let text = message(dir.path());
    for said in [
        "test_batch.bin: truncated: 6151 bytes are 2 records of 3073 bytes and 5 more; a whole file",
        "data_batch_4.bin: empty; a whole file of the original dataset has 30730000 bytes",
        "data_batch_5.bin: not a file",
    ] {
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn a_label_without_a_class_is_named() {
    let dir = sample();
    let path = dir.path().join("data_batch_1.bin");
    let mut bytes = fs::read(&path).unwrap();
    bytes[RECORD] = 2;
    fs::write(&path, bytes).unwrap();
    let text = message(dir.path());
    assert!(text.contains("data_batch_1.bin: record 1 has label 2, but batches.meta.txt names 2 classes"), "{text}");
}

#[test]
fn classes_are_lines_of_text() {
    let dir = sample();
    fs::write(dir.path().join(CLASSES), "\n").unwrap();
    assert!(message(dir.path()).contains("names no class"));
    fs::write(dir.path().join(CLASSES), b"caf\xe9\n").unwrap();
    assert!(message(dir.path()).contains("not text"));
}
