//! Values of the wrong type, in the words of TOML instead of those of the code that reads them.

use toml::de::{DeTable, DeValue};

use crate::{
    diagnostic::{Diagnostic, Span, suggest},
    pipeline::document,
};

/// The mistake of the value at `span`, from the message of the deserialiser. If the message lists the words that are
/// allowed, the mistake suggests one.
pub(super) fn mistake(stage: &str, table: &DeTable<'_>, span: &Span, message: &str) -> Diagnostic {
    let path = document::path_at(table, span).map_or_else(String::new, |path| format!(".{}", path.join(".")));
    let words = plain(message.trim());
    let diagnostic = Diagnostic::new(span.clone(), format!("`{stage}{path}`: {words}"));
    if words.starts_with("must be a whole number") && message.contains("floating point") {
        return diagnostic.help("write it without a point; in an expression, `round(…)` gives a whole number");
    }
    if let Some(help) = form(&words) {
        return diagnostic.help(help);
    }
    // serde writes: unknown variant `x`, expected one of `a`, `b`
    let mut quoted = message.split('`').skip(1).step_by(2);
    match (message.starts_with("unknown variant"), quoted.next()) {
        (true, Some(word)) => match suggest(word, quoted) {
            Some(like) => diagnostic.help(format!("did you mean \"{like}\"?")),
            None => diagnostic,
        },
        _ => diagnostic,
    }
}

/// How to write the value so that it is right, from the words of [`plain`].
fn form(words: &str) -> Option<String> {
    let (must, got) = words.strip_prefix("must be ")?.split_once("; got ")?;
    let bare = got.trim_matches('"');
    if must.contains("number") && bare != got {
        return number(bare, must.contains("whole"));
    }
    if must == "a list" && got != "a table" {
        return Some(format!("write [{got}]; several lists make an axis"));
    }
    (got == "a list")
        .then(|| "give one value; several make an axis, in `[sweep]` or with `-S stage.param=a,b`".to_owned())
}

/// How to write a number that is in quotes, or that other languages accept but TOML does not, such as `.5`, `1.` and
/// `01`.
fn number(text: &str, whole: bool) -> Option<String> {
    if DeValue::parse(text).is_ok_and(|value| value.get_ref().is_integer() || value.get_ref().is_float()) {
        return Some(format!("write it without quotes: {text}"));
    }
    let value = text.trim().replace('_', "").parse::<f64>().ok()?;
    let why = "TOML wants digits on both sides of a point, and no 0 before other digits";
    match text.to_lowercase() {
        _ if value.is_finite() && whole => (value.fract() == 0.0).then(|| format!("write {value:.0}: {why}")),
        _ if value.is_finite() => Some(format!("write {value:?}: {why}")),
        text if text.contains("inf") => Some(format!("write {value}: so TOML spells it")),
        text if text.contains("nan") => Some("write nan: so TOML spells it".to_owned()),
        _ => None,
    }
}

/// `invalid type: string "ten", expected usize` becomes `must be a whole number, at least 0; got "ten"`.
fn plain(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("unknown variant ")
        && let Some((got, expected)) = rest.split_once(", expected ")
    {
        return format!("must be {}, got {}", expected.replace('`', "\""), got.replace('`', "\""));
    }
    let rest = ["invalid type: ", "invalid value: "].iter().find_map(|start| message.strip_prefix(start));
    let Some((got, expected)) = rest.and_then(|rest| rest.split_once(", expected ")) else {
        return message.to_owned();
    };
    let expected = match expected {
        "usize" | "u64" | "u32" | "u16" | "u8" => "a whole number, at least 0",
        "isize" | "i64" | "i32" | "i16" | "i8" => "a whole number",
        "f64" | "f32" => "a number",
        "a sequence" => "a list",
        "a string" => "text in quotes",
        "a boolean" => "true or false",
        other if other.starts_with("struct ") => "a table `{ … }`",
        other => other,
    };
    let got = match got {
        "map" => "a table".to_owned(),
        "sequence" => "a list".to_owned(),
        got => got.split_once(' ').filter(|(_, value)| value.starts_with(['"', '`'])).map_or_else(
            || got.rsplit(' ').next().unwrap_or_default().replace('`', ""),
            |(_, value)| value.trim_end_matches(" as i128").trim_end_matches(" as u128").replace('`', ""),
        ),
    };
    format!("must be {expected}; got {got}")
}

#[cfg(test)]
mod tests {
    use super::{form, plain};

    #[test]
    fn types_are_named_as_in_the_file() {
        let messages = [
            ("invalid type: string \"ten\", expected usize", "must be a whole number, at least 0; got \"ten\""),
            ("invalid value: integer `-1`, expected usize", "must be a whole number, at least 0; got -1"),
            ("invalid type: integer `99` as i128, expected usize", "must be a whole number, at least 0; got 99"),
            ("invalid type: floating point `0.5`, expected u32", "must be a whole number, at least 0; got 0.5"),
            ("invalid type: boolean `true`, expected f64", "must be a number; got true"),
            ("invalid type: map, expected a sequence", "must be a list; got a table"),
            ("unknown variant `x`, expected `a` or `b`", "must be \"a\" or \"b\", got \"x\""),
            ("something else", "something else"),
        ];
        for (message, words) in messages {
            assert_eq!(plain(message), words);
        }
    }

    #[test]
    fn another_form_is_shown_where_one_is_near() {
        let help = |words: &str| form(words).unwrap_or_default();
        assert_eq!(help("must be a whole number, at least 0; got \"8\""), "write it without quotes: 8");
        for (got, written) in [(".5", "0.5"), ("1.", "1.0"), ("01", "1.0"), ("-.5e3", "-500.0"), ("1_.5", "1.5")] {
            let message = format!("must be a number; got \"{got}\"");
            assert!(help(&message).starts_with(&format!("write {written}: ")), "{got}");
        }
        assert!(help("must be a whole number; got \"01\"").starts_with("write 1: "));
        assert_eq!(help("must be a whole number; got \".5\""), "");
        assert_eq!(help("must be a list; got 16"), "write [16]; several lists make an axis");
        assert!(help("must be a number; got a list").contains("-S stage.param=a,b"));
        assert_eq!(help("must be a whole number, at least 0; got \"ten\""), "");
    }
}
