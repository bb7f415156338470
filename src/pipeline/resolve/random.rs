//! Random draws of a search: rows of the grid, and values from `uniform(a, b)` and `log_uniform(a, b)`.
//!
//! Every draw is a hash of the pipeline's seed and of what it is for, so a larger budget only adds points.

use std::collections::BTreeSet;

use toml::de::DeValue;

use super::{Axis, Block, range};
use crate::digest::StageKey;

/// The numbers of one search.
pub(in crate::pipeline) struct Draws {
    seed: String,
}

impl Draws {
    pub fn new(seed: &str) -> Self {
        Self { seed: seed.to_owned() }
    }

    /// Uniform in [0, 1).
    fn unit(&self, of: &str, index: usize) -> f64 {
        let digest = StageKey::of(format!("sweep {} {of} {index}", self.seed).as_bytes()).hex();
        let bits = u64::from_str_radix(&digest[..13], 16).unwrap_or_default();
        bits as f64 / (1u64 << 52) as f64
    }

    /// Rows of the product of some blocks: all of it, or `budget` of them; of those none twice, unless they `may_repeat`.
    pub fn rows(&self, blocks: &[Block], budget: Option<u64>, may_repeat: bool) -> Vec<Vec<u32>> {
        let total = blocks.iter().fold(1u128, |product, block| product.saturating_mul(block.len() as u128));
        let row = |mut at: u128| {
            let mut parts: Vec<&[u32]> = Vec::new();
            for block in blocks.iter().rev() {
                parts.push(block.row((at % block.len() as u128) as usize));
                at /= block.len() as u128;
            }
            parts.into_iter().rev().flatten().copied().collect()
        };
        if total == 0 {
            return Vec::new();
        }
        let budget = budget.map_or(total, u128::from);
        if !may_repeat && budget >= total {
            return (0..total).map(row).collect();
        }
        let mut chosen = Vec::new();
        let mut known = BTreeSet::new();
        for attempt in 0.. {
            if chosen.len() as u128 == budget {
                break;
            }
            let at = ((self.unit("points", attempt) * total as f64) as u128).min(total - 1);
            if may_repeat || known.insert(at) {
                chosen.push(row(at));
            }
        }
        chosen
    }
}

/// What `uniform(…)` and `log_uniform(…)` draw from.
pub(in crate::pipeline) struct Distribution<'a> {
    log: bool,
    inner: &'a str,
    text: &'a str,
}

/// The value of an axis that is a distribution, if there is one: its index, and what it draws from. Other values are those
/// of explicit points.
pub(in crate::pipeline) fn of<'a>(axis: &'a Axis<'_>) -> Option<(usize, Distribution<'a>)> {
    axis.values.iter().enumerate().find_map(|(at, value)| Some((at, read(value.get_ref())?)))
}

/// The distribution that a value is.
pub(in crate::pipeline) fn read<'a>(value: &'a DeValue<'_>) -> Option<Distribution<'a>> {
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
    /// `count` values for an axis, as TOML numbers: whole ones if both ends are.
    ///
    /// # Errors
    /// A message and a remedy, if the ends are no numbers in order.
    pub fn values(&self, axis: &str, count: usize, draws: &Draws) -> Result<Vec<String>, (String, String)> {
        let name = if self.log { "log_uniform" } else { "uniform" };
        let ends = || self.inner.split(',').map(str::trim);
        let wrong = || {
            let rule = if self.log { "two rising numbers above 0" } else { "two rising numbers" };
            (format!("`{}` must hold {rule}", self.text), format!("write \"{name}(0.01, 0.3)\""))
        };
        let numbers: Option<Vec<f64>> = ends().map(|end| range::without_underscores(end)?.parse().ok()).collect();
        let Some([low, high]) = numbers.as_deref() else { return Err(wrong()) };
        if !(low < high && high.is_finite() && low.is_finite() && (!self.log || *low > 0.0)) {
            return Err(wrong());
        }
        let whole = ends().all(|end| range::without_underscores(end).is_some_and(|end| end.parse::<i64>().is_ok()));
        let value = |index: usize| {
            let unit = draws.unit(axis, index);
            // Whole numbers are cut down, so both ends have the same chance as what lies between.
            let high = if whole { high + 1.0 } else { *high };
            let drawn = if self.log { low * (high / low).powf(unit) } else { low + (high - low) * unit };
            if whole { format!("{}", drawn.floor() as i64) } else { rounded(drawn) }
        };
        Ok((0..count).map(value).collect())
    }
}

/// Four digits are enough to try, and can be read.
fn rounded(value: f64) -> String {
    let short: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(text: &str) -> Result<Vec<String>, (String, String)> {
        let log = text.starts_with("log");
        let inner = text.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
        Distribution { log, inner, text }.values("a.b", 500, &Draws::new("0"))
    }

    #[test]
    fn draws_lie_between_the_ends_and_reach_both_halves() {
        for (text, low, middle, high) in [
            ("uniform(0.5, 1.5)", 0.5, 1.0, 1.5),
            ("log_uniform(0.01, 1)", 0.01, 0.1, 1.0),
            ("uniform(1, 4)", 1.0, 2.5, 4.0),
        ] {
            let values: Vec<f64> = distribution(text).unwrap().iter().map(|value| value.parse().unwrap()).collect();
            assert!(values.iter().all(|value| (low..=high).contains(value)), "{text}");
            let below = values.iter().filter(|value| **value < middle).count();
            assert!((200..300).contains(&below), "{text}: {below} of 500 below {middle}");
        }
        assert!(distribution("uniform(1, 4)").unwrap().contains(&"4".to_owned()));
        for text in ["uniform(2, 1)", "log_uniform(0, 1)", "uniform(1)", "uniform(a, b)"] {
            assert!(distribution(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_larger_budget_only_adds_points() {
        let blocks = [Block::alone(0, 7), Block::alone(1, 5)];
        let draws = Draws::new("0");
        let (few, many) = (draws.rows(&blocks, Some(6), false), draws.rows(&blocks, Some(20), false));
        assert_eq!(few[..], many[..6]);
        assert_eq!(many.iter().collect::<BTreeSet<_>>().len(), 20);
        assert_eq!(draws.rows(&blocks, None, false).len(), 35);
        assert_eq!(draws.rows(&blocks, Some(99), false).len(), 35);
    }
}
