//! Faults in the files of a dataset, each with a remedy for the user.

use std::{fmt, fs, path::Path};

/// The largest number of files that one message names.
const NAMED: usize = 20;

/// The remedy for a path that does not exist.
pub(super) const ABSENT: &str = "put the data there, or set `path` to its folder, relative to the project root; without the \
                                 data earlier results cannot be found, since their keys contain the content of its files";

/// One fault in the files of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The files and their fault.
    pub message: String,
    /// What the user should do.
    pub remedy: String,
}

/// All faults in the files of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Fault {
    /// A fault of one file or folder.
    pub fn at(path: &Path, message: impl fmt::Display, remedy: impl Into<String>) -> Self {
        Self { message: format!("{}: {message}", shown(path)), remedy: remedy.into() }
    }
}

impl Faults {
    /// Adds a fault that all `files` share, or none if there are no files. `one` and `many` word it for one file and
    /// for several.
    pub fn shared(&mut self, files: &[String], one: &str, many: &str, remedy: &str) {
        let message = match files {
            [] => return,
            [file] => format!("{file}: {one}"),
            files => format!("{} {many}: {}", files.len(), names(files)),
        };
        self.0.push(Fault { message, remedy: remedy.to_owned() });
    }

    /// Adds a fault that all `files` share, each with a reason of its own on a line of its own.
    pub fn each(&mut self, files: &[(String, String)], many: &str, remedy: &str) {
        let message = match files {
            [] => return,
            [(file, why)] => format!("{file}: {why}"),
            files => {
                let lines = files.iter().take(NAMED).map(|(file, why)| format!("\n  {file}: {why}"));
                let rest = files.len().saturating_sub(NAMED);
                let rest = if rest > 0 { format!("\n  and {rest} more") } else { String::new() };
                format!("{} {many}:{}{rest}\n", files.len(), lines.collect::<String>())
            }
        };
        self.0.push(Fault { message, remedy: remedy.to_owned() });
    }

    /// Fails if there are faults.
    ///
    /// # Errors
    /// All faults.
    pub fn none(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Fault { message, remedy }) in self.0.iter().enumerate() {
            let before = if at == 0 { "" } else { "\n" };
            let between = if message.ends_with('\n') { "" } else { "; " };
            write!(f, "{before}{message}{between}{remedy}")?;
        }
        Ok(())
    }
}

/// Fails if `dir` is not a folder. `what` is what it should be.
pub(super) fn folder(dir: &Path, what: &str) -> Result<(), Faults> {
    let fault = if dir.is_file() {
        let remedy = "unpack it if it is an archive, and set `path` to the folder of the unpacked files";
        Fault::at(dir, format!("a file; it should be {what}"), remedy)
    } else if dir.is_dir() {
        return Ok(());
    } else {
        Fault::at(dir, format!("is not there; it should be {what}"), ABSENT)
    };
    Err(Faults(vec![fault]))
}

/// Fails if one of these files is not in the folder; `many` words it for several.
pub(super) fn require_files(dir: &Path, files: &[&str], many: &str, remedy: &str) -> Result<(), Faults> {
    let absent = files.iter().map(|name| dir.join(name)).filter(|path| !path.is_file());
    let absent: Vec<String> = absent.map(|path| shown(&path)).collect();
    let mut faults = Faults::default();
    faults.shared(&absent, "no such file", many, remedy);
    faults.none()
}

/// A folder directly inside `dir` that has one of these files.
pub(super) fn inside(dir: &Path, files: &[&str]) -> Option<String> {
    let mut folders: Vec<_> = fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path()).collect();
    folders.retain(|folder| files.iter().any(|name| folder.join(name).is_file()));
    folders.sort_unstable();
    folders.first().map(|folder| shown(folder))
}

/// The first names of a list, and the number of the others.
#[must_use]
pub fn names(names: &[String]) -> String {
    let rest = names.len().saturating_sub(NAMED);
    let first = names[..names.len() - rest].join(", ");
    if rest > 0 { format!("{first} and {rest} more") } else { first }
}

/// A path as text. Bytes that are not UTF-8 are written as `\xE9`, so that two such names do not look alike.
#[must_use]
pub fn shown(path: &Path) -> String {
    let chunks = path.as_os_str().as_encoded_bytes().utf8_chunks();
    chunks
        .flat_map(|chunk| {
            let bad = chunk.invalid().iter().map(|byte| format!("\\x{byte:02X}"));
            [chunk.valid().to_owned()].into_iter().chain(bad)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_files_are_named_up_to_a_number() {
        let files: Vec<String> = (0..23).map(|at| format!("f{at}")).collect();
        let mut faults = Faults::default();
        faults.shared(&[], "x", "y", "z");
        faults.shared(&files[..1], "is odd", "files are odd", "even it out");
        faults.shared(&files, "is odd", "files are odd", "even them out");
        let text = faults.to_string();
        assert!(text.starts_with("f0: is odd; even it out\n23 files are odd: f0, f1, "), "{text}");
        assert!(text.ends_with("f18, f19 and 3 more; even them out"), "{text}");
        let mut faults = Faults::default();
        let why: Vec<(String, String)> = files.into_iter().map(|file| (file, "cut".to_owned())).collect();
        faults.each(&why, "files are broken", "mend them");
        let text = faults.to_string();
        assert!(text.starts_with("23 files are broken:\n  f0: cut\n"), "{text}");
        assert!(text.ends_with("  f19: cut\n  and 3 more\nmend them"), "{text}");
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_text_are_escaped() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
        assert_eq!(shown(Path::new(OsStr::from_bytes(b"a/caf\xe9\xff/\xc3\xa9"))), "a/caf\\xE9\\xFF/é");
    }
}
