//! `[pipeline] include = ["kinds/vision.toml"]`: files that hold kinds for several pipelines.

use std::path::{Path, PathBuf};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::diagnostic::{Diagnostic, Diagnostics, Sources};

use super::project_root;

/// Returns the files that the text of a pipeline file includes, as far as it can be read.
#[must_use]
pub fn included(text: &str, file: &Path) -> Vec<PathBuf> {
    if !text.contains("include") {
        return Vec::new();
    }
    let (document, _) = DeTable::parse_recoverable(text);
    let pipeline = document.get_ref().get("pipeline").and_then(|pipeline| pipeline.get_ref().as_table());
    let names = pipeline.and_then(|pipeline| pipeline.get("include")).and_then(|names| names.get_ref().as_array());
    let root = project_root(file);
    names.into_iter().flat_map(|names| names.iter()).filter_map(|name| Some(root.join(text_of(name)?))).collect()
}

fn text_of<'a>(name: &'a Spanned<DeValue<'_>>) -> Option<&'a str> {
    name.get_ref().as_str()
}

/// Reports the files that could not be read, and those that are named twice. Returns whether all could be read.
pub(super) fn check(names: &[Spanned<String>], root: &Path, sources: &Sources, diagnostics: &mut Diagnostics) -> bool {
    let mut complete = true;
    for (at, name) in names.iter().enumerate() {
        let path = root.join(name.get_ref());
        if names[..at].iter().any(|other| other.get_ref() == name.get_ref()) {
            diagnostics.add(Diagnostic::new(name.span(), format!("`{}` is included twice", name.get_ref())));
        } else if !sources.included().any(|(read, ..)| std::path::absolute(read).is_ok_and(|read| read == path)) {
            let why = match std::fs::read_to_string(&path) {
                Err(error) => error.to_string(),
                Ok(_) => "it was not there before".to_owned(),
            };
            let message = format!("failed to read {}: {why}", name.get_ref());
            diagnostics.add(Diagnostic::new(name.span(), message).help("paths start at the project root"));
            complete = false;
        }
    }
    complete
}
