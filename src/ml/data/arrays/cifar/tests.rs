//! Files in the layout of CIFAR-10, whole and broken.

use std::fs;

use super::{files::PIXELS, *};
use crate::ml::{
    Error,
    data::{Choice, ImageSet, collection::all, resize::Resize},
};

const CLASSES: &str = "batches.meta.txt";
const TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
const TEST: &str = "test_batch.bin";
const RECORD: usize = 1 + PIXELS;

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
    all(list(dir, Which::Ten)?.open()?.as_ref(), None)
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
    let listing = list(dir.path(), Which::Ten).unwrap();
    let counts: Vec<_> = listing.parts().into_iter().map(|part| (part.split, part.images)).collect();
    assert_eq!(counts, [(Split::Train, Some(8)), (Split::Test, Some(3))]);
    assert!(listing.remarks()[0].message.starts_with("6 of the 6 files of CIFAR-10 hold another number of images"));
    assert!(listing.files().len() == 7 && listing.files().iter().all(|f| f.is_file()));
}

#[test]
fn only_what_is_chosen_is_read() {
    let dir = sample();
    let images = list(dir.path(), Which::Ten).unwrap().open().unwrap();
    // The pixels of the other files are gone.
    fs::write(dir.path().join(TRAIN[1]), "").unwrap();
    let choice = |split, indices: &[u32]| Choice { split, indices: indices.to_vec() };
    let choices = [choice(Split::Train, &[1, 5, 7]), choice(Split::Test, &[2]), choice(Split::Train, &[])];
    let mut heard = Vec::new();
    let mut watch = |done: usize| {
        heard.push(done);
        Ok(())
    };
    let sets = images.read(&choices, Some((8, Resize::Crop)), &mut watch).unwrap().sets;
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
    assert!(message(&at("absent")).contains("absent: is not there; it should be the folder of CIFAR-10's files"));
    assert!(message(dir.path()).contains("holds none of the files of CIFAR-10, neither"));
    for (files, said) in [
        (&["cifar-10-batches-bin/data_batch_1.bin"][..], "set `path` to "),
        (&["data_batch_1"], "files of CIFAR-10's Python version are missing"),
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

/// CIFAR-100 in its binary version: coarse label, fine label, image.
#[test]
fn a_record_of_cifar100_has_two_labels() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| fs::write(dir.path().join(name), content).unwrap();
    write("fine_label_names.txt", b"ant\nbee\ncat\n");
    write("coarse_label_names.txt", b"insects\nothers\n");
    let record = |coarse: u8, fine: u8| [vec![coarse, fine], vec![fine; PIXELS]].concat();
    write("train.bin", &[record(1, 2), record(0, 1)].concat());
    write("test.bin", &record(0, 0));
    let read = |level| all(list(dir.path(), Which::Hundred(level)).unwrap().open().unwrap().as_ref(), None).unwrap();
    let (fine, test) = read(Level::Fine);
    assert_eq!((fine.labels.as_slice(), test.labels.as_slice(), fine.classes.len()), (&[2, 1][..], &[0][..], 3));
    assert!(fine.image(0).iter().all(|&pixel| pixel == 2));
    let (coarse, _) = read(Level::Coarse);
    assert_eq!(
        (coarse.labels.as_slice(), coarse.classes.as_slice()),
        (&[1, 0][..], &["insects".into(), "others".into()][..])
    );
    write("test.bin", &[0; 100]);
    let text = list(dir.path(), Which::Hundred(Level::Fine)).err().unwrap().to_string();
    assert!(text.contains("test.bin: truncated: 100 bytes are 0 records of 3074 bytes and 100 more"), "{text}");
}

/// A dictionary as Python 2 pickled it, with the instructions that remember values.
fn pickled(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"\x80\x02}q\x01(".to_vec();
    for (key, value) in pairs {
        bytes.extend([b"U", &[key.len() as u8][..], key.as_bytes(), b"q\x02", value].concat());
    }
    bytes.extend(b"u.");
    bytes
}

fn numbers(values: &[u8]) -> Vec<u8> {
    let items = values.iter().flat_map(|&value| [b'K', value]).collect::<Vec<_>>();
    [b"]q\x03(", items.as_slice(), b"e"].concat()
}

fn texts(values: &[&str]) -> Vec<u8> {
    let items = values.iter().flat_map(|text| [b"U", &[text.len() as u8][..], text.as_bytes()].concat());
    [b"](", items.collect::<Vec<u8>>().as_slice(), b"e"].concat()
}

/// An array u1 [images, 3072] of numpy.
fn array(images: &[u8]) -> Vec<u8> {
    let content: Vec<u8> = images.iter().flat_map(|&value| vec![value; PIXELS]).collect();
    let size = (content.len() as u32).to_le_bytes();
    [
        &b"cnumpy.core.multiarray\n_reconstruct\nq\x04cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K"[..],
        &[images.len() as u8],
        b"M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T",
        &size,
        &content,
        b"tb",
    ]
    .concat()
}

#[test]
fn the_python_version_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, pairs: &[(&str, Vec<u8>)]| fs::write(dir.path().join(name), pickled(pairs)).unwrap();
    write("batches.meta", &[("num_vis", b"M\x00\x0c".to_vec()), ("label_names", texts(&["cat", "dog"]))]);
    for (at, name) in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]
        .into_iter()
        .enumerate()
    {
        let at = at as u8;
        let labels = numbers(&[at % 2, 1]);
        write(name, &[("batch_label", texts(&["x"])), ("labels", labels), ("data", array(&[at, 100 + at]))]);
    }
    let (train, test) = load(dir.path()).unwrap();
    assert_eq!((train.labels.as_slice(), test.labels.as_slice()), (&[0, 1, 1, 1, 0, 1, 1, 1, 0, 1][..], &[1, 1][..]));
    assert_eq!(train.classes, ["cat", "dog"]);
    assert!((0..5_u8).all(|at| train.image(2 * at as usize + 1).iter().all(|&pixel| pixel == 100 + at)));

    write("data_batch_2", &[("labels", numbers(&[0, 2])), ("data", array(&[0, 0]))]);
    assert!(message(dir.path()).contains("data_batch_2: image 1 has label 2, but batches.meta names 2 classes"));
    write("data_batch_2", &[("labels", numbers(&[0])), ("data", array(&[0, 0]))]);
    assert!(
        message(dir.path()).contains("data_batch_2: `data` is [2, 3072], and [N, 3072] was expected, for 1 labels")
    );
    write("data_batch_2", &[("fine_labels", numbers(&[0]))]);
    assert!(message(dir.path()).contains("the entry `labels` was expected, and it has fine_labels"));
    let bytes = fs::read(dir.path().join("data_batch_1")).unwrap();
    for length in [0, 1, 40, bytes.len() / 2, bytes.len() - 1] {
        fs::write(dir.path().join("data_batch_1"), &bytes[..length]).unwrap();
        let text = message(dir.path());
        assert!(text.contains("data_batch_1: truncated: the file ends before"), "{length}: {text}");
    }
}

#[test]
fn both_kinds_of_labels_of_cifar100_are_in_its_pickles() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, pairs: &[(&str, Vec<u8>)]| fs::write(dir.path().join(name), pickled(pairs)).unwrap();
    write("meta", &[("fine_label_names", texts(&["a", "b", "c"])), ("coarse_label_names", texts(&["x", "y"]))]);
    for name in ["train", "test"] {
        write(
            name,
            &[("fine_labels", numbers(&[2, 0])), ("coarse_labels", numbers(&[1, 0])), ("data", array(&[5, 6]))],
        );
    }
    for (level, labels, classes) in [(Level::Fine, [2, 0], 3), (Level::Coarse, [1, 0], 2)] {
        let images = list(dir.path(), Which::Hundred(level)).unwrap().open().unwrap();
        let (train, _) = all(images.as_ref(), None).unwrap();
        assert_eq!((train.labels.as_slice(), train.classes.len()), (&labels[..], classes));
    }
}
