//! Tells the kind of a file by the ending of its name and by its first bytes.

use std::{fs::File, io::Read, path::Path};

/// The kind of a file by the ending of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An image in a format that can be read.
    Image,
    /// An image in a format that cannot be read.
    Unreadable,
    /// Another file of a kind that people and systems put beside images.
    Other,
    /// Any file.
    Unknown,
}

/// Endings of images that are read. The content then tells the format.
pub(super) const READ: [&str; 18] = [
    "jpg", "jpeg", "jpe", "jfif", "jif", "png", "apng", "webp", "bmp", "dib", "tif", "tiff", "ppm", "pgm", "pbm",
    "pnm", "pam", "gif",
];
/// Endings of images that are not read. The content of camera raw files looks like TIFF, but it is only a preview.
const NOT_READ: [&str; 49] = [
    "avif", "heic", "heif", "hif", "jp2", "j2k", "jpf", "jpx", "jpc", "jxl", "jxr", "wdp", "svg", "svgz", "psd", "xcf",
    "tga", "ico", "cur", "icns", "exr", "hdr", "pfm", "dds", "qoi", "pcx", "wmf", "emf", "dcm", "fits", "mng", "raw",
    "cr2", "cr3", "crw", "nef", "nrw", "arw", "srf", "sr2", "dng", "orf", "rw2", "raf", "pef", "srw", "x3f", "3fr",
    "iiq",
];
/// Endings of files that are not images. Files with any other ending are opened, so that an image with an odd name is
/// not lost.
const OTHER: [&str; 53] = [
    "txt", "csv", "tsv", "json", "jsonl", "xml", "yaml", "yml", "toml", "cfg", "conf", "md", "rst", "html", "htm",
    "css", "js", "db", "ini", "log", "py", "ipynb", "sh", "bat", "m", "r", "zip", "tar", "gz", "tgz", "bz2", "xz",
    "7z", "rar", "npy", "npz", "mat", "pkl", "pickle", "h5", "hdf5", "parquet", "arrow", "pdf", "doc", "docx", "xls",
    "xlsx", "mp4", "mov", "avi", "mkv", "wav",
];
/// Names of files that operating systems leave in folders, in lower case. Hidden files are treated alike.
const LITTER: [&str; 3] = ["thumbs.db", "desktop.ini", "ehthumbs.db"];

impl Kind {
    pub(super) fn of(ending: &str) -> Self {
        if READ.contains(&ending) {
            Self::Image
        } else if NOT_READ.contains(&ending) {
            Self::Unreadable
        } else if OTHER.contains(&ending) {
            Self::Other
        } else {
            Self::Unknown
        }
    }
}

/// The ending of a file's name in lower case, without the dot, or an empty string.
pub(super) fn ending(path: &Path) -> String {
    path.extension().map(|ending| crate::ml::data::shown(Path::new(ending)).to_lowercase()).unwrap_or_default()
}

/// True for hidden files and for files that operating systems leave in folders.
pub(super) fn is_litter(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.starts_with('.') || LITTER.contains(&name.as_str())
}

/// The image format of a file whose name has no ending of an image, if it holds an image. `None` for a file that cannot
/// be read.
pub(super) fn sniff(path: &Path) -> Option<&'static str> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(32).read_to_end(&mut bytes).ok()?;
    named(&bytes)
}

/// The common name of the image format that the first bytes of a file show.
pub(super) fn named(bytes: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, magic: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    let brand = |brands: &[&[u8]]| at(4, b"ftyp") && brands.iter().any(|brand| at(8, brand));
    // The length of the next header distinguishes a BMP from a text that starts with these letters.
    let bmp = at(0, b"BM") && bytes.get(14).is_some_and(|length| [12, 16, 40, 52, 56, 64, 108, 124].contains(length));
    let found = [
        (at(0, b"\xff\xd8\xff"), "JPEG"),
        (at(0, b"\x89PNG\r\n\x1a\n"), "PNG"),
        (at(0, b"GIF87a") || at(0, b"GIF89a"), "GIF"),
        (at(0, b"RIFF") && at(8, b"WEBP"), "WebP"),
        (at(0, b"II*\0") || at(0, b"MM\0*"), "TIFF"),
        (bmp && at(15, &[0; 3]), "BMP"),
        (brand(&[b"avif", b"avis"]), "AVIF"),
        (brand(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"]), "HEIC"),
        (at(0, b"\0\0\0\x0cjP  ") || at(0, b"\xff\x4f\xff\x51"), "JPEG 2000"),
        (at(0, b"\xff\x0a") || at(0, b"\0\0\0\x0cJXL "), "JPEG XL"),
        (at(0, b"8BPS"), "Photoshop"),
    ];
    found.into_iter().find(|(is, _)| *is).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_of_one_kind() {
        let mut all: Vec<&str> = [&READ[..], &NOT_READ, &OTHER].concat();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(all.iter().all(|ending| *ending == ending.to_lowercase()));
    }

    #[test]
    fn content_tells_the_format() {
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0";
        for (bytes, name) in [
            (&b"\xff\xd8\xff\xe0"[..], Some("JPEG")),
            (heic, Some("HEIC")),
            (b"BMW is a car, and this is a text", None),
            (b"RIFF\0\0\0\0WAVE", None),
            (b"", None),
            (b"<html>", None),
        ] {
            assert_eq!(named(bytes), name);
        }
    }
}
