//! Where a result is made: the machine, and the commit of the project. Both are found once for each process, since work
//! that starts later still runs the code that was read at the start.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};

/// Returns the name of the machine, its system and its processor: `ant, linux x86_64, AMD EPYC 7B13`.
pub(super) fn machine() -> String {
    static FOUND: OnceLock<String> = OnceLock::new();
    let find = || {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let host = read("/proc/sys/kernel/hostname").trim().to_owned();
        let info = read("/proc/cpuinfo");
        let line = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let processor = line.map(|(_, name)| name.trim().to_owned()).unwrap_or_default();
        let parts = [host, format!("{} {}", env::consts::OS, env::consts::ARCH), processor];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    };
    FOUND.get_or_init(find).clone()
}

/// Returns the commit of the git repository that holds a folder, with ` + changes` if tracked files differ from it.
/// `None` without a repository or without git.
pub(super) fn commit(folder: &Path) -> Option<String> {
    static FOUND: Mutex<BTreeMap<PathBuf, Option<String>>> = Mutex::new(BTreeMap::new());
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    found.entry(folder.to_owned()).or_insert_with(|| described(folder)).clone()
}

fn described(folder: &Path) -> Option<String> {
    // A setting of the repository must not start a program (`core.fsmonitor`), and nothing is written to it.
    let arguments = ["--no-optional-locks", "-c", "core.fsmonitor=false", "describe", "--always", "--exclude=*"];
    let output = Command::new("git")
        .args(arguments)
        .args(["--abbrev=40", "--dirty= + changes"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
