//! Which values are equal: two notations of one number are one value, and a value as a list shows it is read back as
//! that value.
//!
//! Everything is compared in the form of JSON that [`document::to_json`] gives.
//!
//! [`document::to_json`]: super::document::to_json

use serde_json::Value;
use toml::de::DeValue;

use super::{document, expression::NONE};

/// A text that is equal exactly for values that are worth the same: numbers by their value (`1`, `1.0` and `0x1` are
/// one, neighbours above 2^53 are two), texts letter by letter, lists and tables by their items.
#[must_use]
pub(super) fn worth(value: &Value) -> String {
    match value {
        Value::Number(number) => match (number.as_i128(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            // Exact: a float without a fraction is a whole number, below 2^100 one of 128 bits.
            (None, Some(float)) if float.fract() == 0.0 && float.abs() < 2f64.powi(100) => (float as i128).to_string(),
            (None, Some(float)) => format!("{float:e}"),
            (None, None) => number.to_string(),
        },
        Value::Array(items) => format!("[{}]", items.iter().map(worth).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let mut fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key:?}={}", worth(value))).collect();
            fields.sort();
            format!("{{{}}}", fields.join(","))
        }
        Value::String(text) => format!("{text:?}"),
        Value::Null | Value::Bool(_) => value.to_string(),
    }
}

/// A value as people write it, and as it stands in the name of an instance: text without quotes, `none` for null.
#[must_use]
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => NONE.to_owned(),
        // In quotes, to differ from the value that is none.
        Value::String(text) if text == NONE => format!("\"{NONE}\""),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
            format!("{{{}}}", fields.join(","))
        }
        value => value.to_string(),
    }
}

/// The values that `written` can mean, in any notation or as a name or a table shows them. A value that is worth the
/// same comes before one that only looks the same, such as the text `1`.
#[must_use]
pub fn meant<'v>(written: &str, values: impl IntoIterator<Item = &'v Value>) -> Vec<&'v Value> {
    let wanted = worth(&read(written));
    let (mut same, mut alike): (Vec<&Value>, Vec<&Value>) = (Vec::new(), Vec::new());
    for value in values {
        if worth(value) == wanted {
            same.push(value);
        } else if plain(value) == written || value.as_str() == Some(written) {
            alike.push(value);
        }
    }
    if same.is_empty() { alike } else { same }
}

/// A value as a name shows it or as TOML has it: quotes may stand around text, and text needs none.
fn read(written: &str) -> Value {
    let mut reader = Reader { rest: written.trim(), depth: 0 };
    let value = reader.value(&[]);
    value.filter(|_| reader.rest.is_empty()).unwrap_or_else(|| scalar(written.trim()))
}

/// A number, a truth value, nothing, or else text.
fn scalar(text: &str) -> Value {
    match DeValue::parse(text) {
        _ if text == NONE => Value::Null,
        Ok(value) if !text.is_empty() && !value.get_ref().is_datetime() => document::to_json(value.get_ref()),
        _ => Value::from(text),
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    /// The next value. One without quotes and brackets ends before one of `ends`.
    fn value(&mut self, ends: &[char]) -> Option<Value> {
        self.depth += 1;
        let value = match self.rest.chars().next() {
            _ if self.depth > 50 => None,
            Some('[') => self.list(']', |reader| reader.value(&[',', ']'])).map(Value::Array),
            Some('{') => self.list('}', Self::field).map(|fields| Value::Object(fields.into_iter().collect())),
            Some(mark @ ('"' | '\'')) => {
                let end = quoted(self.rest, mark)?;
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                Some(scalar(text))
            }
            _ => {
                let end = self.rest.find(ends).unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                Some(scalar(text.trim()))
            }
        };
        self.depth -= 1;
        self.rest = self.rest.trim_start();
        value
    }

    fn field(&mut self) -> Option<(String, Value)> {
        let (key, rest) = self.rest.split_once('=')?;
        self.rest = rest.trim_start();
        Some((key.trim().trim_matches(['"', '\'']).to_owned(), self.value(&[',', '}'])?))
    }

    /// The items between brackets, separated by commas.
    fn list<T>(&mut self, end: char, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        self.rest = self.rest[1..].trim_start();
        while !self.rest.starts_with(end) {
            items.push(item(self)?);
            match self.rest.strip_prefix(',') {
                Some(rest) => self.rest = rest.trim_start(),
                None if self.rest.starts_with(end) => {}
                None => return None,
            }
        }
        self.rest = self.rest[1..].trim_start();
        Some(items)
    }
}

/// The length of the quoted text at the start of `text`, with its quotes.
fn quoted(text: &str, mark: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(at, c)| {
        let ends = c == mark && !escaped;
        escaped = c == '\\' && mark == '"' && !escaped;
        ends.then_some(at + 1)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_worth_their_value_and_texts_their_letters() {
        let of = |text: &str| worth(&scalar(text));
        for equal in [
            &["0.001", "1e-3", "1E-3", "0.0010", "+0.001", "0.00_1"][..],
            &["16", "0x10", "0o20", "0b10000", "1_6", "16.0", "1.6e1", "+16"],
            &["0", "-0", "0.0", "-0.0", "0e5"],
            &["9007199254740992", "9007199254740992.0"],
            &["18446744073709551615", "0xffffffffffffffff"],
            &["1e400", "1e400"],
            &["inf", "+inf"],
        ] {
            assert!(equal.iter().all(|text| of(text) == of(equal[0])), "{equal:?}");
        }
        for (one, other) in [
            ("9007199254740992", "9007199254740993"),
            ("18446744073709551615", "18446744073709551614"),
            ("\"1\"", "1"),
            ("\"none\"", "none"),
            ("true", "\"true\""),
            ("0.1", "0.10000000000000002"),
            ("1e400", "inf"),
        ] {
            assert_ne!(of(one), of(other), "{one} {other}");
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        let table = json!({"kind": "sgd", "lr": 0.1, "betas": [0.9, 0.99]});
        for (written, value) in [
            ("{kind=sgd,lr=1e-1,betas=[0.9, 0.99]}", &table),
            ("{ betas = [0.90, 0.99], lr = 0.1, kind = \"sgd\" }", &table),
            ("[256, 128]", &json!([256, 128])),
            ("['a,b', c]", &json!(["a,b", "c"])),
            ("a,b", &json!("a,b")),
            ("'a,b'", &json!("a,b")),
            ("\"quo\\\"te\"", &json!("quo\"te")),
            ("quo\"te", &json!("quo\"te")),
            ("it's", &json!("it's")),
            ("[open", &json!("[open")),
            ("1", &json!("1")),
            ("\"1\"", &json!("1")),
            ("[1,2]", &json!(["1", "2"])),
            ("none", &Value::Null),
            ("none", &json!("none")),
            ("\"none\"", &json!("none")),
            ("", &json!("")),
            ("2024-01-01", &json!("2024-01-01")),
        ] {
            assert_eq!(meant(written, [value]), [value], "{written} {value}");
        }
        for (written, value) in [("\"none\"", &Value::Null), ("\"1\"", &json!(1)), ("2", &json!(1)), ("{}", &json!([]))]
        {
            assert_eq!(meant(written, [value]), [&Value::Null; 0], "{written} {value}");
        }
        assert_eq!(meant(&"[".repeat(100_000), [&json!(1)]), [&Value::Null; 0]);
        assert_eq!(meant("none", [&json!("none"), &Value::Null]), [&Value::Null]);
    }
}
