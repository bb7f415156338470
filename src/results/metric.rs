//! What a metric is to people: its unit, and its name in a header.

use super::statistics::Estimate;
use crate::amount::{number, percent};

/// True for metrics that are fractions of something and read better in percent.
fn is_fraction(name: &str) -> bool {
    ["accuracy", "accuracy_low", "accuracy_high", "rate", "rate_expected", "top1", "purity"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// The name of a metric in words, with the unit in which [`shown`] gives it.
pub fn header(name: &str) -> String {
    let words = name.replace('_', " ");
    if is_fraction(name) { format!("{words} %") } else { words }
}

/// A metric as people read it; fractions in percent.
pub fn shown(name: &str, value: f64) -> String {
    if is_fraction(name) { percent(value) } else { number(value) }
}

/// A mean, with half the width of its interval where there are several values.
pub fn cell(name: &str, estimate: Option<Estimate>) -> String {
    let Some(estimate) = estimate else { return String::new() };
    let half = estimate.half_width().map(|half| format!(" ± {}", shown(name, half)));
    format!("{}{}", shown(name, estimate.mean), half.unwrap_or_default())
}

/// A difference with its sign, and half the width of its interval where there are several.
pub(super) fn signed(name: &str, estimate: Option<Estimate>) -> String {
    let sign = if estimate.is_some_and(|estimate| estimate.mean >= 0.0) { "+" } else { "" };
    let cell = cell(name, estimate);
    if cell.is_empty() { cell } else { format!("{sign}{cell}") }
}
