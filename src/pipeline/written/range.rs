//! `range(8, 128, *2)`: the values of an axis by a rule. Both ends are included, and decimals are computed as decimals:
//! a step of 0.1 never gives 0.30000000000000004.

use std::str::FromStr;

use bigdecimal::{BigDecimal, One, ToPrimitive, Zero};

use crate::{
    diagnostic::{Diagnostic, Span},
    pipeline::limits::MAX_VALUES,
};

const HELP: &str = "write \"range(1, 5)\", \"range(10, 50, +10)\" or \"range(8, 128, *2)\"; both ends belong to it";

/// True for a text that is meant as a range.
#[must_use]
pub(crate) fn is_range(text: &str) -> bool {
    text.trim_start().strip_prefix("range").is_some_and(|rest| rest.trim_start().starts_with('('))
}

/// Numbers with more digits than this are not made: a growing one would have no end of them.
const MAX_DIGITS: u64 = 100;
/// Numbers of a larger exponent than this are no floats either.
const MAX_EXPONENT: u32 = 400;

/// The step from one value to the next.
enum Step {
    Plus(BigDecimal),
    Times(BigDecimal),
}

impl Step {
    fn from(&self, value: &BigDecimal) -> BigDecimal {
        match self {
            Self::Plus(by) => value + by,
            Self::Times(by) => value * by,
        }
    }

    /// True if the step leads from one end to the other.
    fn leads(&self, start: &BigDecimal, end: &BigDecimal) -> bool {
        let (zero, one) = (&BigDecimal::zero(), &BigDecimal::one());
        match self {
            _ if start == end => true,
            Self::Plus(by) if start < end => by > zero,
            Self::Plus(by) => by < zero,
            Self::Times(by) if start < end => start > zero && by > one,
            Self::Times(by) => end > zero && by > zero && by < one,
        }
    }
}

/// The values of a range, as TOML numbers: whole numbers if start, end and step are, else floats.
///
/// # Errors
/// If it is not a range, or has no end.
pub(crate) fn values(text: &str, span: &Span) -> Result<Vec<String>, Diagnostic> {
    let wrong = |message: String| Diagnostic::new(span.clone(), message).help(HELP);
    let inner = text.trim().strip_prefix("range").map(str::trim_start);
    let inner = inner.and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')'));
    let parts: Vec<&str> = inner.map(|inner| inner.split(',').map(str::trim).collect()).unwrap_or_default();
    let (start, end, step) = match parts[..] {
        [start, end] => (start, end, "+1"),
        [start, end, step] => (start, end, step),
        _ => return Err(wrong(format!("`{text}` is not a range"))),
    };
    let mut whole = true;
    let mut number = |part: &str| {
        whole &= !part.contains(['.', 'e', 'E']);
        parse(part).ok_or_else(|| wrong(format!("`{part}` in `{text}` is not a number")))
    };
    let (start, end) = (number(start)?, number(end)?);
    let step = match (step.strip_prefix('*'), step.strip_prefix('+')) {
        (Some(by), _) => Step::Times(number(by.trim())?),
        (_, Some(by)) => Step::Plus(number(by.trim())?),
        _ if step.starts_with('-') => Step::Plus(number(step)?),
        _ => return Err(wrong(format!("the step `{step}` in `{text}` says neither + nor *"))),
    };
    if !step.leads(&start, &end) {
        let message = format!("`{text}` never ends: its step does not lead from {} to {}", parts[0], parts[1]);
        return Err(wrong(message));
    }
    let many = || wrong(format!("`{text}` has more than {MAX_VALUES} values"));
    // Known before any are made, so that a slip of the pen costs no memory.
    let approximate = |number: &BigDecimal| number.to_f64().unwrap_or_default();
    if matches!(&step, Step::Plus(by) if approximate(&(&end - &start)) / approximate(by) >= MAX_VALUES as f64) {
        return Err(many());
    }
    let rises = start <= end;
    let (mut values, mut value) = (Vec::new(), start.clone());
    while if rises { value <= end } else { value >= end } {
        if values.len() == MAX_VALUES {
            return Err(many());
        }
        if value.normalized().digits() > MAX_DIGITS {
            return Err(wrong(format!("the values of `{text}` have too many digits; write them out")));
        }
        values.push(written(&value, whole));
        if start == end {
            break;
        }
        value = step.from(&value);
    }
    Ok(values)
}

/// A number as TOML has it, without the `_` between its digits.
pub(crate) fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let between = |(at, _): (usize, &str)| at > 0 && digit(at - 1) && digit(at + 1);
    text.match_indices('_').all(between).then(|| text.replace('_', ""))
}

/// A number with all its digits; `None` if it is no number, or one beyond all floats.
fn parse(text: &str) -> Option<BigDecimal> {
    let text = without_underscores(text)?;
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
    let bare = digits.strip_prefix(['-', '+']).unwrap_or(digits);
    let is_plain = bare.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let is_near = exponent.parse::<i32>().is_ok_and(|exponent| exponent.unsigned_abs() <= MAX_EXPONENT);
    (is_plain && is_near && bare.bytes().any(|byte| byte.is_ascii_digit())).then(|| BigDecimal::from_str(&text).ok())?
}

fn written(value: &BigDecimal, whole: bool) -> String {
    let text = value.normalized().to_plain_string();
    if whole || text.contains('.') { text } else { format!("{text}.0") }
}

#[cfg(test)]
mod tests {
    use super::{Diagnostic, values};

    #[test]
    fn ends_are_inclusive_and_decimals_exact() {
        let cases = [
            ("range(1, 5)", "1 2 3 4 5"),
            ("range(10, 50, +10)", "10 20 30 40 50"),
            ("range(8, 128, *2)", "8 16 32 64 128"),
            ("range(8, 100, *2)", "8 16 32 64"),
            ("range(0.1, 0.5, +0.1)", "0.1 0.2 0.3 0.4 0.5"),
            ("range(0.7, 1, +0.1)", "0.7 0.8 0.9 1.0"),
            ("range(1e-3, 1, *10)", "0.001 0.01 0.1 1.0"),
            ("range(1, 8, *1.5)", "1.0 1.5 2.25 3.375 5.0625 7.59375"),
            (
                "range(1e30, 1e31, *3)",
                "1000000000000000000000000000000.0 3000000000000000000000000000000.0 9000000000000000000000000000000.0",
            ),
            ("range(3, 1, -1)", "3 2 1"),
            ("range(1, 0.01, *0.1)", "1.0 0.1 0.01"),
            ("range(-1, 1)", "-1 0 1"),
            (" range (5, 5) ", "5"),
            ("range(0.000_1, 0.000_3, +0.000_1)", "0.0001 0.0002 0.0003"),
            ("range(1_000, 3_000, +1_0_00)", "1000 2000 3000"),
            ("range(1_0.0_5, 10.2, +0.1_0)", "10.05 10.15"),
            ("range(1e0_1, 1_00.0, *1_0)", "10.0 100.0"),
            ("range(1, 1e-10, *1e-5)", "1.0 0.00001 0.0000000001"),
            ("range(+.5, 2., +0.75)", "0.5 1.25 2.0"),
            (
                "range(9223372036854775806, 18446744073709551615, +9223372036854775809)",
                "9223372036854775806 18446744073709551615",
            ),
        ];
        for (text, expected) in cases {
            let values = values(text, &(0..0)).map(|values| values.join(" "));
            assert_eq!(values, Ok::<_, Diagnostic>(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn growing_numbers_keep_their_digits() {
        let values = values("range(1e-5, 1, *1.5)", &(0..0)).expect("a range");
        assert_eq!(values.len(), 29);
        assert_eq!(values[28], "0.852226929923929274082183837890625");
    }

    #[test]
    fn what_has_no_end_is_refused() {
        for text in [
            "range(1, 5, +0)",
            "range(1, 5, -1)",
            "range(5, 1)",
            "range(1, 5, *1)",
            "range(0, 5, *2)",
            "range(5, 0, *0.5)",
            "range(1, 5, 2)",
            "range(1)",
            "range(1__0, 20)",
            "range(_1, 2)",
            "range(1_, 2)",
            "range(0._1, 0.2, +0.1)",
            "range(a, 5)",
            "range(1, 9999999999)",
            "range(1, 2, +1e-99)",
            "range(1, 2, *1.00000001)",
            "range(1, 99999999999, +2)",
            "range(1.2.3, 5)",
            "range(., 5)",
            "range(1e1e1, 5)",
            "range(1e9999, 5)",
            "range(1, 1e99999999, *10)",
            "range(+-1, 5)",
        ] {
            assert!(values(text, &(0..0)).is_err(), "{text}");
        }
    }
}
