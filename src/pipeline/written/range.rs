//! `range(8, 128, *2)`: the values of an axis by a rule. Both ends are included, and decimals are computed as decimals:
//! a step of 0.1 never gives 0.30000000000000004.

use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::{
    diagnostic::{Diagnostic, Span},
    pipeline::limits::MAX_VALUES,
};

const HELP: &str = "write \"range(1, 5)\", \"range(10, 50, +10)\" or \"range(8, 128, *2)\"; both ends belong to it";

/// True for a text that is meant as a range.
#[must_use]
pub fn is_range(text: &str) -> bool {
    text.trim_start().strip_prefix("range").is_some_and(|rest| rest.trim_start().starts_with('('))
}

/// The step from one value to the next.
enum Step {
    Plus(Decimal),
    Times(Decimal),
}

impl Step {
    fn from(&self, value: Decimal) -> Option<Decimal> {
        match *self {
            Self::Plus(by) => sum(value, by),
            Self::Times(by) => product(value, by),
        }
    }

    /// True if the step leads from one end to the other.
    fn leads(&self, start: Decimal, end: Decimal) -> bool {
        let zero = Decimal::ZERO;
        match *self {
            _ if start == end => true,
            Self::Plus(by) if start < end => by > zero,
            Self::Plus(by) => by < zero,
            Self::Times(by) if start < end => start > zero && by > Decimal::ONE,
            Self::Times(by) => end > zero && by > zero && by < Decimal::ONE,
        }
    }
}

/// The values of a range, as TOML numbers: whole numbers if start, end and step are, else floats.
///
/// # Errors
/// If it is not a range, or has no end.
pub fn values(text: &str, span: &Span) -> Result<Vec<String>, Diagnostic> {
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
    if !step.leads(start, end) {
        let message = format!("`{text}` never ends: its step does not lead from {} to {}", parts[0], parts[1]);
        return Err(wrong(message));
    }
    let many = || wrong(format!("`{text}` has more than {MAX_VALUES} values"));
    // Known before any are made, so that a slip of the pen costs no memory.
    let approximate = |number: Decimal| number.to_f64().unwrap_or_default();
    if matches!(step, Step::Plus(by) if (approximate(end) - approximate(start)) / approximate(by) >= MAX_VALUES as f64)
    {
        return Err(many());
    }
    let (mut values, mut next) = (Vec::new(), Some(start));
    while let Some(value) = next.take_if(|value| if start <= end { *value <= end } else { *value >= end }) {
        if values.len() == MAX_VALUES {
            return Err(many());
        }
        values.push(written(value, whole));
        if start == end {
            break;
        }
        next = step.from(value);
        // Whole numbers of that size are beyond any end; other numbers have more digits than can be kept.
        if next.is_none() && !whole {
            return Err(wrong(format!("the values of `{text}` have too many digits; write them out")));
        }
    }
    Ok(values)
}

/// A number as TOML has it, without the `_` between its digits.
pub fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let between = |(at, _): (usize, &str)| at > 0 && digit(at - 1) && digit(at + 1);
    text.match_indices('_').all(between).then(|| text.replace('_', ""))
}

/// A number with all its digits; `None` if it is no number, or has more digits than a decimal holds.
fn parse(text: &str) -> Option<Decimal> {
    let text = without_underscores(text)?;
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text.as_str(), 0),
    };
    let bare = digits.strip_prefix(['-', '+']).unwrap_or(digits);
    if !bare.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let number = Decimal::from_str_exact(digits).ok()?.normalize();
    if exponent < 0 {
        let scale = number.scale().checked_add(exponent.unsigned_abs())?;
        return Decimal::try_from_i128_with_scale(number.mantissa(), scale).ok();
    }
    let power = 10i128.checked_pow(exponent.unsigned_abs())?;
    product(number, Decimal::try_from_i128_with_scale(power, 0).ok()?)
}

/// The exact sum; `None` if it has more digits than a decimal holds, where the crate rounds.
fn sum(one: Decimal, other: Decimal) -> Option<Decimal> {
    let sum = one.checked_add(other)?;
    (sum.scale() == one.scale().max(other.scale())).then(|| sum.normalize())
}

/// The exact product; `None` if it has more digits than a decimal holds, where the crate rounds.
fn product(one: Decimal, other: Decimal) -> Option<Decimal> {
    let product = one.checked_mul(other)?;
    (product.is_zero() || product.scale() == one.scale() + other.scale()).then(|| product.normalize())
}

fn written(value: Decimal, whole: bool) -> String {
    let value = value.normalize();
    if whole || value.scale() > 0 { value.to_string() } else { format!("{value}.0") }
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
            "range(+-1, 5)",
        ] {
            assert!(values(text, &(0..0)).is_err(), "{text}");
        }
    }
}
