//! Escapes users' text for the places where it is shown.

use std::borrow::Cow;

/// Returns the text as one visible line: control characters, line breaks, zero-width characters and those that change
/// the text direction are written as escapes (`\n`, `\t`, `\u{200b}`).
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unseen(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    Cow::Owned(line)
}

/// Returns whether a character is invisible or changes the layout of the text around it.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

/// Escapes the text for a cell of a Markdown table: nothing in it ends the cell or is read as markup.
#[must_use]
pub(super) fn for_markdown(text: &str) -> String {
    let line = one_line(text);
    let mut safe = String::with_capacity(line.len());
    let mut before = ' ';
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        let inside = before.is_alphanumeric() && rest.peek().is_some_and(|next| next.is_alphanumeric());
        // An underscore inside a word (`train_features`) is not emphasis; `_features_` is.
        if matches!(c, '\\' | '|' | '`' | '*' | '<' | '&' | '~' | '$') || (c == '_' && !inside) {
            safe.push('\\');
        }
        safe.push(c);
        before = c;
    }
    safe
}

/// Escapes every character that LaTeX would interpret.
#[must_use]
pub(super) fn for_latex(text: &str) -> String {
    let line = one_line(text);
    let mut safe = String::with_capacity(line.len());
    for (at, c) in line.chars().enumerate() {
        match c {
            '\\' => safe.push_str("\\textbackslash{}"),
            '~' => safe.push_str("\\textasciitilde{}"),
            '^' => safe.push_str("\\textasciicircum{}"),
            '|' => safe.push_str("\\textbar{}"),
            '<' => safe.push_str("\\textless{}"),
            '>' => safe.push_str("\\textgreater{}"),
            '±' => safe.push_str("$\\pm$"),
            '↑' => safe.push_str("$\\uparrow$"),
            '↓' => safe.push_str("$\\downarrow$"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                safe.push('\\');
                safe.push(c);
            }
            // At the start of a row, LaTeX takes these for arguments of the preceding `\\` or rule.
            '[' | '*' if at == 0 => safe.push_str(&format!("{{{c}}}")),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        assert_eq!(one_line("a\tb\nc\r\u{1b}[31m"), r"a\tb\nc\r\u{1b}[31m");
        assert_eq!(one_line("x\u{200b}y\u{202e}z\u{feff}\u{2028}"), r"x\u{200b}y\u{202e}z\u{feff}\u{2028}");
        for plain in ["probe@probe.at=p3", "日本語", "שלום", "é", "a b", r"C:\n", "─"] {
            assert_eq!(one_line(plain), plain);
        }
    }

    #[test]
    fn markdown_shows_what_was_written() {
        let cells = ["a|b", r"a\|b", "a\nb", "train_features", "_x_", "<b>", "[4, 8]", "50.0 [47.2, 52.8]", "a*b"];
        let escaped =
            [r"a\|b", r"a\\\|b", r"a\\nb", "train_features", r"\_x\_", r"\<b>", "[4, 8]", "50.0 [47.2, 52.8]", r"a\*b"];
        assert_eq!(cells.map(for_markdown), escaped);
    }

    #[test]
    fn a_row_of_latex_can_begin_with_anything() {
        assert_eq!(for_latex("[4, 8]"), "{[}4, 8]");
        assert_eq!(for_latex("*"), "{*}");
        assert_eq!(for_latex("50 [47, 52]"), "50 [47, 52]");
        assert_eq!(for_latex("a|b < c\n"), r"a\textbar{}b \textless{} c\textbackslash{}n");
    }
}
