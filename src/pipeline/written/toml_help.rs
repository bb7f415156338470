//! Mistakes of the TOML parser in plainer words: texts that are not TOML, and keys or tables that are there twice.

use toml::de::Error;

use crate::diagnostic::{Diagnostic, Span};

/// The mistakes that the TOML parser found. A table that is there twice is one mistake, whatever it repeats. After
/// text that is not TOML the parser only guesses, so that is the last mistake.
pub(super) fn mistakes(errors: &[Error], text: &str) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut repeated: Span = 0..0;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        if !error.message().contains("duplicate key") {
            found.push(not_toml(text, span, error.message().trim()));
            break;
        }
        if let Some(header) = header(text, &span) {
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

fn not_toml(text: &str, span: Span, message: &str) -> Diagnostic {
    let open = open_bracket(text.get(..span.start).unwrap_or_default());
    let diagnostic = Diagnostic::new(span.clone(), format!("not valid TOML: {message}"));
    match open.filter(|&at| text[at..span.start].contains('\n')) {
        Some(at) => diagnostic.other(at..at + 1, "still open").help("close the bracket, or mend what stands behind it"),
        None => diagnostic,
    }
}

/// The last bracket in `text` that is not closed there; strings and comments are skipped.
fn open_bracket(text: &str) -> Option<usize> {
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = match c {
            '#' => rest.find('\n'),
            '"' | '\'' => string_length(rest, c),
            '[' | '{' => {
                open.push(at);
                Some(1)
            }
            ']' | '}' => {
                open.pop();
                Some(1)
            }
            c => Some(c.len_utf8()),
        };
        at += length.unwrap_or(rest.len());
    }
    open.pop()
}

/// The length in bytes of the string that `text` begins with, with its quotes; none if the string does not end.
fn string_length(text: &str, mark: char) -> Option<usize> {
    let thrice = mark.to_string().repeat(3);
    let mark = if text.starts_with(&thrice) { thrice } else { mark.to_string() };
    let mut from = mark.len();
    loop {
        let end = from + text.get(from..)?.find(&mark)?;
        let escapes = text[..end].bytes().rev().take_while(|&c| c == b'\\').count();
        if mark.starts_with('\'') || escapes % 2 == 0 {
            return Some(end + mark.len());
        }
        from = end + 1;
    }
}

/// The line of a place, if it is the header of a table.
fn header<'t>(text: &'t str, span: &Span) -> Option<&'t str> {
    let start = text.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
    let line = text[start..].lines().next()?.trim();
    line.starts_with('[').then_some(line)
}

/// The span from a header to the next one.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_open_bracket_is_found_past_strings_and_comments() {
        let cases = [
            ("[stage.a]\nb = {", Some(14)),
            ("a = [1, 2]\n", None),
            ("a = [ \"]\", ']' # ]\n", Some(4)),
            (r#"a = ["\"]", "#, Some(4)),
            ("a = '''[\n' '''", None),
            ("a = { b = [1], c = ", Some(4)),
            ("a = [ 'b", Some(4)),
        ];
        for (text, expected) in cases {
            assert_eq!(open_bracket(text), expected, "{text}");
        }
    }
}
