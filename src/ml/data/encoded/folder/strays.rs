//! Classes of the test images that no training image has.

use std::path::PathBuf;

use unicode_normalization::UnicodeNormalization;

use crate::ml::data::{Fault, Faults, names};

/// Reports classes of the part called `part` that `train` does not have.
pub(super) fn report(test: &[(PathBuf, String)], part: &str, classes: &[String], faults: &mut Faults) {
    let mut strays: Vec<&str> = Vec::new();
    for (_, class) in test {
        if classes.binary_search(class).is_err() && strays.last() != Some(&class.as_str()) {
            strays.push(class);
        }
    }
    strays.sort_unstable();
    strays.dedup();
    if strays.is_empty() || classes.is_empty() {
        return;
    }
    let quoted = |names: &[&str]| -> Vec<String> { names.iter().map(|name| format!("`{name}`")).collect() };
    let known: Vec<&str> = classes.iter().map(String::as_str).collect();
    let (word, verb) = if strays.len() == 1 { ("class", "is") } else { ("classes", "are") };
    let message = format!(
        "{word} {} of {part} {verb} not among those of train: {}",
        names(&quoted(&strays)),
        names(&quoted(&known))
    );
    let twin = strays.iter().find_map(|stray| {
        let twin = classes.iter().find(|class| class.nfc().eq(stray.nfc()))?;
        Some(format!(
            "`{stray}` is written with other characters in {part} ({}) than in train ({}); rename one of the folders",
            code_points(stray),
            code_points(twin)
        ))
    });
    let remedy = twin.unwrap_or_else(|| format!("add images of them to train, or remove them from {part}"));
    faults.0.push(Fault { message, remedy });
}

/// The text with all characters except ASCII written as code points.
fn code_points(text: &str) -> String {
    let escape = |c: char| if c.is_ascii() { c.to_string() } else { c.escape_unicode().to_string() };
    text.chars().map(escape).collect()
}
