//! Where a pipeline file and its project are.

use std::path::{Path, PathBuf};

/// The path of a file without links, as far as the system says.
pub(super) fn without_links(file: &Path) -> PathBuf {
    file.canonicalize().or_else(|_| std::path::absolute(file)).unwrap_or_else(|_| file.to_owned())
}

/// The project root of a pipeline file: the nearest folder at or above it that holds `pipelines/` or `.git`, else its
/// own folder. A file that a shell hands over (`/dev/stdin`, `<(…)`) lies nowhere, so the current folder counts.
#[must_use]
pub fn project_root(file: &Path) -> PathBuf {
    let handed_over = ["/dev", "/proc"].iter().any(|folder| file.starts_with(folder));
    let file = if handed_over { Path::new("pipeline.toml") } else { file };
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    folder
        .ancestors()
        .find(|folder| folder.join("pipelines").is_dir() || folder.join(".git").exists())
        .unwrap_or(folder)
        .to_owned()
}

/// Returns the root of the project of a pipeline file, without links, and the file relative to it if it is below it. Two
/// paths with equal answers are one file, whether it is there or not.
#[must_use]
pub fn place_of(file: &Path) -> (PathBuf, PathBuf) {
    let root = without_links(&project_root(file));
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let gone = || Some(without_links(folder).join(file.file_name()?));
    let whole = file.canonicalize().ok().or_else(gone).unwrap_or_else(|| file.to_owned());
    let below = whole.strip_prefix(&root).map(Path::to_path_buf).unwrap_or(whole);
    (root, below)
}
