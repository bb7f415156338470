//! GUARANTEES.md names the test that holds each promise: they must be there, and each promise must have one.

use std::{fs, path::Path};

fn source(folder: &Path, file: &str) -> Option<String> {
    let named = [folder.join(format!("{file}.rs")), folder.join(file).join("mod.rs")];
    if let Some(named) = named.iter().find(|named| named.is_file()) {
        return fs::read_to_string(named).ok();
    }
    let below = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir());
    below.into_iter().find_map(|folder| source(&folder, file))
}

#[test]
fn every_promise_has_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("GUARANTEES.md")).expect("GUARANTEES.md");
    let mut promises = 0;
    for promise in text.split("\n## ").flat_map(numbered) {
        promises += 1;
        let tests: Vec<&str> = promise.split('`').skip(1).step_by(2).filter(|word| word.contains("::")).collect();
        assert!(!tests.is_empty(), "no test holds: {promise}");
        for test in tests {
            let (file, name) = test.split_once("::").expect("file::test");
            let found = source(&root.join("tests/it"), file).or_else(|| source(&root.join("src"), file));
            let found = found.unwrap_or_else(|| panic!("there is no file {file}.rs"));
            assert!(found.contains(&format!("fn {name}(")), "there is no test {test}");
        }
    }
    assert!(promises >= 15, "{promises} promises");
}

/// The items of a numbered list.
fn numbered(part: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    for line in part.lines() {
        let is_new = line.split_once(". ").is_some_and(|(number, _)| number.parse::<u32>().is_ok());
        match items.last_mut() {
            _ if is_new => items.push(line.to_owned()),
            Some(item) => item.push_str(line),
            None => {}
        }
    }
    items
}
