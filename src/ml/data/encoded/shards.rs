//! Files of one kind that hold a dataset together: `train-00000-of-00002.parquet`, `train/000000.tar`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::format;
use crate::ml::{
    Error, Result,
    data::{Fault, Remark, Split, fault::ABSENT, names, shown},
};

/// The files of each part, sorted, and the number of other files.
#[derive(Debug, Default)]
pub(super) struct Shards {
    pub parts: BTreeMap<Split, Vec<PathBuf>>,
    pub left_out: BTreeMap<String, usize>,
}

/// How deep folders are searched.
const DEPTH: usize = 4;
/// The words by which the names of files and folders tell their part.
const WORDS: [(Split, &[&str]); 4] = [
    (Split::Train, &["train", "training", "trn"]),
    (Split::Test, &["test", "testing"]),
    (Split::Val, &["val", "valid", "validation", "dev"]),
    (Split::Unlabelled, &["unlabeled", "unlabelled", "unsupervised"]),
];

/// The part that a name tells by one of its words.
fn part(name: &str) -> Option<Split> {
    let name = name.to_lowercase();
    name.split(|c: char| !c.is_ascii_alphabetic())
        .find_map(|word| WORDS.iter().find(|(_, words)| words.contains(&word)).map(|(split, _)| *split))
}

/// Finds the files that end in `ending` at `path`: a folder, or one file.
///
/// # Errors
/// If there is none, if some names tell a part and others do not, or if a part is in several folders.
pub(super) fn find(path: &Path, ending: &str) -> Result<Shards> {
    let what = format!("a folder of .{ending} files");
    if path.is_file() {
        return Ok(Shards { parts: [(Split::Train, vec![path.to_owned()])].into(), ..Shards::default() });
    }
    if !path.is_dir() {
        return Err(Fault::at(path, format!("is not there; it should be {what}"), ABSENT).into());
    }
    let (mut files, mut left_out) = (Vec::new(), BTreeMap::new());
    search(path, ending, DEPTH, &mut files, &mut left_out)?;
    if files.is_empty() {
        let remedy = format!("set `path` to the folder that holds the .{ending} files");
        return Err(Fault::at(path, format!("no .{ending} file in it"), remedy).into());
    }
    files.sort_unstable();
    let told = |file: &Path| {
        let mut below: Vec<_> = file.strip_prefix(path).unwrap_or(file).iter().collect();
        below.reverse();
        below.into_iter().find_map(|name| part(&name.to_string_lossy()))
    };
    let (known, unknown): (Vec<_>, Vec<_>) =
        files.into_iter().map(|file| (told(&file), file)).partition(|(part, _)| part.is_some());
    let mut parts: BTreeMap<Split, Vec<PathBuf>> = BTreeMap::new();
    for (part, file) in known {
        parts.entry(part.unwrap_or(Split::Train)).or_default().push(file);
    }
    let unknown: Vec<PathBuf> = unknown.into_iter().map(|(_, file)| file).collect();
    if !parts.is_empty() && !unknown.is_empty() {
        let unknown: Vec<String> = unknown.iter().map(|file| shown(file)).collect();
        let message = format!("the names of some files tell no part of the dataset: {}", names(&unknown));
        let remedy = "put `train`, `test` or `validation` into the names, or move the files out of the folder";
        return Err(Fault::at(path, message, remedy).into());
    }
    if !unknown.is_empty() {
        parts.insert(Split::Train, unknown);
    }
    for (split, files) in &parts {
        let mut folders: Vec<String> = files.iter().filter_map(|file| file.parent()).map(shown).collect();
        folders.dedup();
        if folders.len() > 1 {
            let word = WORDS.iter().find(|(of, _)| of == split).map_or("train", |(_, words)| words[0]);
            let message = format!("files of `{word}` are in several folders: {}", names(&folders));
            return Err(Fault::at(path, message, "set `path` to one of them").into());
        }
    }
    Ok(Shards { parts, left_out })
}

/// Collects the files below a folder. Hidden ones are neither read nor counted.
fn search(
    folder: &Path,
    ending: &str,
    depth: usize,
    files: &mut Vec<PathBuf>,
    left_out: &mut BTreeMap<String, usize>,
) -> Result<()> {
    let io = |source| Error::Io { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if format::is_litter(&path) {
            continue;
        }
        if path.is_dir() {
            if depth > 0 {
                search(&path, ending, depth - 1, files, left_out)?;
            }
        } else if format::ending(&path) == ending {
            files.push(path);
        } else {
            let ending = format::ending(&path);
            let word = if ending.is_empty() { "no ending".to_owned() } else { format!(".{ending}") };
            *left_out.entry(word).or_default() += 1;
        }
    }
    Ok(())
}

impl Shards {
    /// The files of the parts that are read, in their order.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.parts.values().flatten().cloned().collect()
    }

    /// A remark about other files.
    pub(super) fn remarks(&self) -> Vec<Remark> {
        if self.left_out.is_empty() {
            return Vec::new();
        }
        let words: Vec<String> = self.left_out.iter().map(|(ending, count)| format!("{count} {ending}")).collect();
        let message = format!("{} other files are left out: {}", self.left_out.values().sum::<usize>(), names(&words));
        vec![Remark { message, help: "move them out of the folder to be rid of this message".to_owned() }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_parts() {
        for (name, split) in [
            ("train-00000-of-00002.parquet", Some(Split::Train)),
            ("imagenet-val-000001.tar", Some(Split::Val)),
            ("0000.parquet", None),
            ("latest-0.tar", None),
        ] {
            assert_eq!(part(name), split, "{name}");
        }
    }

    #[test]
    fn files_of_a_part_are_in_one_folder() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        };
        let message = || find(dir.path(), "tar").unwrap_err().to_string();
        assert!(message().contains("no .tar file in it"));
        write("000001.tar");
        write("000000.tar");
        write("README.md");
        let found = find(dir.path(), "tar").unwrap();
        assert_eq!((found.parts[&Split::Train].len(), found.left_out[".md"]), (2, 1));
        write("test/0.tar");
        assert!(message().contains("names of some files tell no part"));
        write("a/train-0.tar");
        write("b/train-0.tar");
        fs::remove_file(dir.path().join("000000.tar")).unwrap();
        fs::remove_file(dir.path().join("000001.tar")).unwrap();
        assert!(message().contains("files of `train` are in several folders"), "{}", message());
    }
}
