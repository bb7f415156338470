//! Texts that are not TOML, or say something twice.

use toml::de::Error;

use crate::diagnostic::{Diagnostic, Span};

/// The mistakes that the TOML parser found. A table that is there twice is one mistake, whatever it repeats.
pub fn mistakes(errors: &[Error], text: &str) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut repeated: Span = 0..0;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        if !error.message().contains("duplicate key") {
            found.push(Diagnostic::new(span, format!("not valid TOML: {}", error.message().trim())));
        } else if let Some(header) = header(text, &span) {
            repeated = section(text, &span);
            found.push(twice(text, span, header));
        } else if !repeated.contains(&span.start) {
            let name = text.get(span.clone()).unwrap_or_default();
            let label = format!("`{name}` is set above");
            found
                .push(Diagnostic::new(span, format!("`{name}` is set twice")).label(label).help("keep one of the two"));
        }
    }
    found
}

/// The line of a place, if it is the header of a table.
fn header<'t>(text: &'t str, span: &Span) -> Option<&'t str> {
    let start = text.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
    let line = text[start..].lines().next()?.trim();
    line.starts_with('[').then_some(line)
}

/// From a header to the next.
fn section(text: &str, span: &Span) -> Span {
    let rest = text.get(span.start..).unwrap_or_default();
    let length = rest.find("\n[").unwrap_or(rest.len());
    span.start..span.start + length
}

fn twice(text: &str, span: Span, header: &str) -> Diagnostic {
    let name = text.get(span.clone()).unwrap_or_default();
    let what = if header.starts_with("[stage.") { "stage" } else { "table" };
    let diagnostic = Diagnostic::new(span, format!("{what} `{name}` is there twice"))
        .label("again here")
        .help(format!("rename one of the two `{name}`, or join them"));
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if line.trim() == header {
            let at = start + line.find(name).unwrap_or_default();
            return diagnostic.other(at..at + name.len(), "first here");
        }
        start += line.len();
    }
    diagnostic
}
