//! Canonical JSON: one text for each value. This text is what is hashed.

use serde::Serialize;
use serde_json::{Map, Value};

/// Returns JSON with sorted keys and one way to write each number: RFC 8785, except that integers keep all their
/// digits.
///
/// RFC 8785 writes every number as a double, so from 2^53 on neighbouring integers would have the same text, and two
/// seeds the same key.
///
/// # Panics
/// Never for plain data with string keys.
#[must_use]
pub fn canonical(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).expect("plain data is JSON");
    let mut text = String::new();
    write(&value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Number(number) if number.is_f64() => text.push_str(&rfc8785(number)),
        Value::Array(items) => list(text, '[', items, ']', write),
        Value::Object(entries) => list(text, '{', sorted(entries), '}', |(key, value), text| {
            text.push_str(&escaped(key));
            text.push(':');
            write(value, text);
        }),
        Value::String(string) => text.push_str(&escaped(string)),
        plain => text.push_str(&plain.to_string()),
    }
}

fn list<T>(
    text: &mut String,
    open: char,
    items: impl IntoIterator<Item = T>,
    close: char,
    each: impl Fn(T, &mut String),
) {
    text.push(open);
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        each(item, text);
    }
    text.push(close);
}

/// Sorts entries by key in the order of RFC 8785, which compares UTF-16 code units.
fn sorted(entries: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    entries
}

/// Writes a string or a double exactly as RFC 8785 says.
fn rfc8785(value: &impl Serialize) -> String {
    serde_json_canonicalizer::to_string(value).expect("JSON has a canonical form")
}

fn escaped(string: &str) -> String {
    serde_json::to_string(string).expect("a string is JSON")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_and_a_number_has_one_form() {
        let value =
            json!({"b": 1.0, "a": [1e-4, 2, true], "c": {"z": null, "y": "ü\n\u{1}\"\\/\u{7f}"}, "d": {}, "e": []});
        let text =
            "{\"a\":[0.0001,2,true],\"b\":1,\"c\":{\"y\":\"ü\\n\\u0001\\\"\\\\/\u{7f}\",\"z\":null},\"d\":{},\"e\":[]}";
        assert_eq!(canonical(&value), text);
    }

    #[test]
    fn all_else_is_written_as_rfc_8785_says() {
        let strings: String = (0..0x300).filter_map(char::from_u32).chain(['\u{e000}', '😀', '\u{2028}']).collect();
        let floats = [0.0, -0.0, 1.0, 1.5, 1e-7, 1e-6, 1e20, 1e21, 1.5e300, 5e-324, 0.1 + 0.2, 1e16, -1e-5];
        let integers = [0, 1, -1, (1_i64 << 53) - 1, 1 - (1_i64 << 53)];
        let value =
            json!({"\u{e000}": 1, "😀": 2, "é": {"b": floats, "a": integers, "": strings}, "z": [[], {}, null]});
        assert_eq!(canonical(&value), rfc8785(&value));
    }

    #[test]
    fn integers_keep_all_their_digits() {
        assert_eq!(canonical(&9_007_199_254_740_992_u64), "9007199254740992");
        assert_eq!(canonical(&9_007_199_254_740_993_u64), "9007199254740993");
        assert_eq!(canonical(&[u64::MAX, u64::MAX - 1]), "[18446744073709551615,18446744073709551614]");
        assert_eq!(canonical(&i64::MIN), "-9223372036854775808");
    }
}
