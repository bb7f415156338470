//! `uniform(a, b)` and `log_uniform(a, b)`: an axis whose values are drawn at random.

use toml::de::DeValue;

use super::range::without_underscores;
use crate::diagnostic::{Diagnostic, Span};

/// A distribution as written: where it draws from has not been checked.
pub(crate) struct Distribution<'a> {
    log: bool,
    inner: &'a str,
    text: &'a str,
}

/// The numbers between which a distribution draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    /// The smallest value.
    pub low: f64,
    /// The largest value.
    pub high: f64,
    /// True if both ends are whole numbers, so that the values are too.
    pub whole: bool,
    /// True if the logarithms of the values are uniform.
    pub log: bool,
}

/// The distribution that a value is, if it is one.
pub(crate) fn read<'a>(value: &'a DeValue<'_>) -> Option<Distribution<'a>> {
    let text = value.as_str()?.trim();
    let (name, rest) = text.split_once('(')?;
    let log = match name.trim_end() {
        "uniform" => false,
        "log_uniform" => true,
        _ => return None,
    };
    Some(Distribution { log, inner: rest.strip_suffix(')')?, text })
}

impl Distribution<'_> {
    /// The numbers between which it draws.
    ///
    /// # Errors
    /// If the ends are not two rising numbers.
    pub(crate) fn interval(&self, span: &Span) -> Result<Interval, Diagnostic> {
        let ends: Option<Vec<String>> = self.inner.split(',').map(|end| without_underscores(end.trim())).collect();
        let ends = ends.unwrap_or_default();
        let numbers: Vec<f64> = ends.iter().filter_map(|end| end.parse().ok()).collect();
        let whole = ends.iter().all(|end| end.parse::<i64>().is_ok());
        match numbers[..] {
            [low, high]
                if ends.len() == 2 && low < high && low.is_finite() && high.is_finite() && (!self.log || low > 0.0) =>
            {
                Ok(Interval { low, high, whole, log: self.log })
            }
            _ => {
                let rule = if self.log { "two rising numbers above 0" } else { "two rising numbers" };
                let name = if self.log { "log_uniform" } else { "uniform" };
                let message = format!("`{}` must hold {rule}", self.text);
                Err(Diagnostic::new(span.clone(), message).help(format!("write \"{name}(0.01, 0.3)\"")))
            }
        }
    }
}
