//! The samples of a tar archive: files with one key, one after another.

use std::{
    fs::File,
    io::{self, BufReader},
    ops::ControlFlow,
    os::unix::fs::FileExt,
    path::Path,
};

use tar::Archive;

use super::{REMEDY, io_at};
use crate::ml::{
    Error, Result,
    data::{Fault, encoded::format},
};

/// A file in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub at: u64,
    pub bytes: u32,
}

/// The files that share a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sample {
    pub key: String,
    pub image: Option<Member>,
    pub class: Option<Member>,
    pub json: Option<Member>,
}

/// Bytes of a block of an archive.
const BLOCK: usize = 512;
/// The longest file that is read, in bytes.
const LONGEST: u32 = 1 << 30;

/// Calls `each` with every sample of an archive, until it answers with a break. The headers of the archive are read, and the
/// files in it are skipped. A sample ends where a file with another key comes.
///
/// # Errors
/// If the archive cannot be opened, is damaged or truncated, or a sample has several images. Errors of `each` are passed on.
pub(super) fn visit(path: &Path, each: &mut dyn FnMut(Sample) -> Result<ControlFlow<()>>) -> Result<()> {
    let file = File::open(path).map_err(io_at(path))?;
    let length = file.metadata().map_err(io_at(path))?.len();
    let fault = |why: String| Error::from(Fault::at(path, why, "download or write it anew"));
    let broken = |error: io::Error| fault(format!("no whole tar archive: {error}"));
    if length == 0 {
        return Err(fault("an empty file".to_owned()));
    }
    // An archive ends with blocks of zeros. Without them files may be missing, and nothing else would tell.
    let mut end = [1; BLOCK];
    if let Some(at) = length.checked_sub(BLOCK as u64).filter(|_| length.is_multiple_of(BLOCK as u64)) {
        file.read_exact_at(&mut end, at).map_err(io_at(path))?;
    }
    let has_end = end.iter().all(|&byte| byte == 0);
    let mut archive = Archive::new(BufReader::new(file));
    let mut open: Option<Sample> = None;
    for entry in archive.entries_with_seek().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let (at, bytes) = (entry.raw_file_position(), entry.size());
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if at.checked_add(bytes).is_none_or(|end| end > length) {
            return Err(fault(format!("truncated: `{name}` ends after the end of the file")));
        }
        let (key, kind) = split(&name);
        if key.rsplit('/').next().unwrap_or_default().is_empty() {
            // A hidden file.
            continue;
        }
        if open.as_ref().is_some_and(|sample| sample.key != key)
            && let Some(sample) = open.take()
            && each(sample)?.is_break()
        {
            return Ok(());
        }
        let sample = open.get_or_insert_with(|| Sample { key: key.to_owned(), ..Sample::default() });
        let place = match kind.rsplit('.').next().unwrap_or_default() {
            "cls" => &mut sample.class,
            "json" => &mut sample.json,
            ending if format::READ.contains(&ending) => &mut sample.image,
            _ => continue,
        };
        let bytes = u32::try_from(bytes).ok().filter(|&bytes| bytes <= LONGEST);
        let bytes = bytes.ok_or_else(|| fault(format!("`{name}` has more than a gibibyte")))?;
        if place.replace(Member { at, bytes }).is_some() {
            return Err(
                Fault::at(path, format!("`{key}` has several files of one kind, such as `{name}`"), REMEDY).into()
            );
        }
    }
    if !has_end {
        return Err(fault("truncated: it has no end".to_owned()));
    }
    match open {
        Some(sample) => each(sample).map(drop),
        None => Ok(()),
    }
}

/// The first sample of an archive that has an image.
pub(super) fn first(path: &Path) -> Result<Option<Sample>> {
    let mut found = None;
    visit(path, &mut |sample| {
        found = sample.image.is_some().then_some(sample);
        Ok(if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(found)
}

/// The key of a file, which ends before the first dot of its name, and the rest in lower case.
fn split(name: &str) -> (&str, String) {
    let from = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[from..].find('.') {
        Some(dot) => (&name[..from + dot], name[from + dot + 1..].to_lowercase()),
        None => (name, String::new()),
    }
}
