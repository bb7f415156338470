//! `range(8, 128, *2)`: the values of an axis by a rule. Ends are inclusive, and decimals are computed as decimals: a step
//! of 0.1 never gives 0.30000000000000004.

/// More values than this make no axis; the instances of an experiment are limited likewise.
pub const MOST: usize = 1_000_000;

const HELP: &str = "write \"range(1, 5)\", \"range(10, 50, +10)\" or \"range(8, 128, *2)\"; both ends belong to it";

/// True for a text that is meant as a range.
#[must_use]
pub fn is_range(text: &str) -> bool {
    text.trim_start().strip_prefix("range").is_some_and(|rest| rest.trim_start().starts_with('('))
}

/// The values of a range, as TOML numbers: whole numbers if start, end and step are, else floats.
///
/// # Errors
/// A message and a remedy, if it is not a range, or one without an end.
pub fn values(text: &str) -> Result<Vec<String>, (String, String)> {
    let wrong = |message: String| (message, HELP.to_owned());
    let inner = text.trim().strip_prefix("range").map(str::trim_start);
    let inner = inner.and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')'));
    let parts: Vec<&str> = inner.map(|inner| inner.split(',').map(str::trim).collect()).unwrap_or_default();
    let (start, end, step) = match parts[..] {
        [start, end] => (start, end, "+1"),
        [start, end, step] => (start, end, step),
        _ => return Err(wrong(format!("`{text}` is not a range"))),
    };
    let number =
        |part: &str| Decimal::parse(part).ok_or_else(|| wrong(format!("`{part}` in `{text}` is not a number")));
    let (start, end) = (number(start)?, number(end)?);
    let (factor, by) = match (step.strip_prefix('*'), step.strip_prefix('+')) {
        (Some(by), _) => (true, number(by.trim())?),
        (_, Some(by)) => (false, number(by.trim())?),
        _ if step.starts_with('-') => (false, number(step)?),
        _ => return Err(wrong(format!("the step `{step}` in `{text}` says neither + nor *"))),
    };
    let (rises, falls) = (start.is_less(&end), end.is_less(&start));
    let leads = match (factor, rises, falls) {
        (_, false, false) => true,
        (true, true, _) => start.mantissa > 0 && Decimal::ONE.is_less(&by),
        (true, ..) => end.mantissa > 0 && by.mantissa > 0 && by.is_less(&Decimal::ONE),
        (false, true, _) => by.mantissa > 0,
        (false, ..) => by.mantissa < 0,
    };
    if !leads {
        let message = format!("`{text}` never ends: its step does not lead from {} to {}", parts[0], parts[1]);
        return Err(wrong(message));
    }
    let many = || wrong(format!("`{text}` has more than {MOST} values"));
    // Known before any are made, so that a slip of the pen costs no memory.
    if !factor && (end.approximate() - start.approximate()) / by.approximate() >= MOST as f64 {
        return Err(many());
    }
    let whole = [&start, &end, &by].iter().all(|number| number.whole);
    let beyond = |value: &Decimal| if rises { end.is_less(value) } else { value.is_less(&end) };
    let (mut values, mut next) = (Vec::new(), Some(start));
    while let Some(value) = next.take_if(|value| !beyond(value)) {
        if values.len() == MOST {
            return Err(many());
        }
        values.push(value.write(whole));
        next = match (rises || falls, factor) {
            (false, _) => None,
            (true, true) => value.times(&by),
            (true, false) => value.plus(&by),
        };
        // Whole numbers of that size are beyond any end; other numbers have more digits than can be kept.
        if next.is_none() && (rises || falls) && !whole {
            return Err(wrong(format!("the values of `{text}` have too many digits; write them out")));
        }
    }
    Ok(values)
}

/// A number as TOML has it, without the `_` between its digits.
pub(in crate::pipeline) fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let between = |(at, _): (usize, &str)| at > 0 && digit(at - 1) && digit(at + 1);
    text.match_indices('_').all(between).then(|| text.replace('_', ""))
}

/// `mantissa / 10^scale`.
#[derive(Clone, Debug)]
struct Decimal {
    mantissa: i128,
    scale: u32,
    /// Written without point and exponent.
    whole: bool,
}

impl Decimal {
    const ONE: Self = Self { mantissa: 1, scale: 0, whole: true };

    fn parse(text: &str) -> Option<Self> {
        let text = without_underscores(text)?;
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (text.as_str(), 0),
        };
        let (before, after) = digits.split_once('.').unwrap_or((digits, ""));
        let written = format!("{before}{after}");
        let fine = written.strip_prefix(['-', '+']).unwrap_or(&written);
        if fine.is_empty() || !fine.bytes().all(|byte| byte.is_ascii_digit()) || exponent.abs() > 30 {
            return None;
        }
        let mut mantissa: i128 = written.parse().ok()?;
        let scale = i32::try_from(after.len()).ok()? - exponent;
        if scale < 0 {
            mantissa = mantissa.checked_mul(10i128.checked_pow(scale.unsigned_abs())?)?;
        }
        let scale = u32::try_from(scale.max(0)).ok()?;
        Some(Self { mantissa, scale, whole: text.bytes().all(|byte| !matches!(byte, b'.' | b'e' | b'E')) }.reduced())
    }

    fn reduced(mut self) -> Self {
        while self.scale > 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.scale -= 1;
        }
        self
    }

    /// Both mantissas at one scale.
    fn aligned(&self, other: &Self) -> Option<(i128, i128, u32)> {
        let scale = self.scale.max(other.scale);
        let lift = |number: &Self| number.mantissa.checked_mul(10i128.checked_pow(scale - number.scale)?);
        Some((lift(self)?, lift(other)?, scale))
    }

    fn is_less(&self, other: &Self) -> bool {
        match self.aligned(other) {
            Some((one, two, _)) => one < two,
            None => self.approximate() < other.approximate(),
        }
    }

    fn approximate(&self) -> f64 {
        self.mantissa as f64 / 10f64.powi(self.scale as i32)
    }

    fn plus(&self, other: &Self) -> Option<Self> {
        let (one, two, scale) = self.aligned(other)?;
        Some(Self { mantissa: one.checked_add(two)?, scale, whole: self.whole }.reduced())
    }

    fn times(&self, other: &Self) -> Option<Self> {
        let mantissa = self.mantissa.checked_mul(other.mantissa)?;
        Some(Self { mantissa, scale: self.scale + other.scale, whole: self.whole }.reduced())
    }

    fn write(&self, whole: bool) -> String {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.mantissa.unsigned_abs(), width = self.scale as usize + 1);
        let (before, after) = digits.split_at(digits.len() - self.scale as usize);
        match (after, whole) {
            ("", true) => format!("{sign}{before}"),
            ("", false) => format!("{sign}{before}.0"),
            _ => format!("{sign}{before}.{after}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::values;

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
        ];
        for (text, expected) in cases {
            assert_eq!(values(text).map(|values| values.join(" ")), Ok(expected.to_owned()), "{text}");
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
        ] {
            assert!(values(text).is_err(), "{text}");
        }
    }
}
