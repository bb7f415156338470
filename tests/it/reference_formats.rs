//! Pixels of images in every format, as Pillow reads them (`tests/reference/formats.py`).

use std::{collections::BTreeMap, fs, path::Path};

use strata::ml::data::{
    Choice, Split,
    encoded::{
        Orientation,
        folder::{self, Manner, Naming},
    },
};

#[test]
fn pixels_are_those_that_pillow_reads() {
    let wanted: BTreeMap<String, Vec<u8>> =
        serde_json::from_str(include_str!("../reference/formats.json")).expect("a table of pixels");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/formats");
    for split in ["train", "test"] {
        fs::create_dir_all(folder.path().join(split).join("class")).expect("a folder");
    }
    for name in wanted.keys() {
        let to = |split: &str| folder.path().join(split).join("class").join(name);
        fs::copy(files.join(name), to("train")).expect("a copy");
        // Endings do not matter.
        fs::copy(files.join(name), to("test").with_file_name(format!("{name}.png"))).expect("a copy");
    }
    let manner = Manner { naming: Naming::FolderOrPrefix, whole: false, orientation: Orientation::Ignore };
    let images = folder::list(folder.path(), manner).and_then(|listed| listed.open()).expect("a dataset");
    for split in [Split::Train, Split::Test] {
        let indices: Vec<u32> = (0..wanted.len() as u32).collect();
        let sets = images.read(&[Choice { split, indices }], None, &mut |_| Ok(())).expect("images").sets;
        assert_eq!(sets[0].size, [3, 12, 16]);
        let mut names: Vec<&String> = wanted.keys().collect();
        if split == Split::Test {
            names.sort_by_key(|name| format!("{name}.png"));
        }
        for (at, name) in names.into_iter().enumerate() {
            let differences = sets[0].image(at).iter().zip(&wanted[name]).map(|(&is, &should)| is.abs_diff(should));
            let worst = differences.max().expect("pixels");
            // Decoders of lossy formats may round in their own way, and turn CMYK into RGB in theirs.
            let most = match name.as_str() {
                "cmyk.jpeg" | "lossy.webp" => 4,
                name if name.contains(".j") => 3,
                _ => 0,
            };
            assert!(worst <= most, "{name}: {worst} levels from Pillow");
        }
    }
}
