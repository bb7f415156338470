//! Random draws of a search: rows of the grid, and values of a distribution.
//!
//! Every draw is a hash of the pipeline's seed and of what it is for, so a larger budget only adds points.

use std::collections::BTreeSet;

use crate::{
    digest::StageKey,
    pipeline::{space::AxisBlock, written::distribution::Interval},
};

/// The random numbers of one search.
pub(super) struct Draws {
    seed: String,
}

impl Draws {
    /// The numbers that belong to a seed.
    pub(super) fn new(seed: &str) -> Self {
        Self { seed: seed.to_owned() }
    }

    /// Uniform in [0, 1).
    fn unit(&self, purpose: &str, index: usize) -> f64 {
        let digest = StageKey::of(format!("sweep {} {purpose} {index}", self.seed).as_bytes()).hex();
        let bits = u64::from_str_radix(&digest[..13], 16).unwrap_or_default();
        bits as f64 / (1u64 << 52) as f64
    }

    /// Rows of the product of some blocks: all of them, or `budget`; none twice, unless they `may_repeat`.
    pub(super) fn rows(&self, blocks: &[AxisBlock], budget: Option<u64>, may_repeat: bool) -> Vec<Vec<u32>> {
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

    /// `count` values for an axis, as TOML numbers.
    pub(super) fn values(&self, axis: &str, count: usize, interval: Interval) -> Vec<String> {
        let Interval { low, high, whole, log } = interval;
        let value = |index: usize| {
            let unit = self.unit(axis, index);
            // Whole numbers are rounded down, so that both ends are as likely as the numbers between them.
            let high = if whole { high + 1.0 } else { high };
            let drawn = if log { low * (high / low).powf(unit) } else { low + (high - low) * unit };
            if whole { format!("{}", drawn.floor() as i64) } else { rounded(drawn) }
        };
        (0..count).map(value).collect()
    }
}

/// Four digits are enough to try, and can be read.
fn rounded(value: f64) -> String {
    let short: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use toml::de::DeValue;

    use super::*;
    use crate::pipeline::written::distribution;

    fn values(text: &str) -> Option<Vec<String>> {
        let value = DeValue::String(text.into());
        let interval = distribution::read(&value)?.interval(&(0..0)).ok()?;
        Some(Draws::new("0").values("a.b", 500, interval))
    }

    #[test]
    fn draws_lie_between_the_ends_and_reach_both_halves() {
        for (text, low, middle, high) in [
            ("uniform(0.5, 1.5)", 0.5, 1.0, 1.5),
            ("log_uniform(0.01, 1)", 0.01, 0.1, 1.0),
            ("uniform(1, 4)", 1.0, 2.5, 4.0),
        ] {
            let values: Vec<f64> = values(text).unwrap().iter().map(|value| value.parse().unwrap()).collect();
            assert!(values.iter().all(|value| (low..=high).contains(value)), "{text}");
            let below = values.iter().filter(|value| **value < middle).count();
            assert!((200..300).contains(&below), "{text}: {below} of 500 below {middle}");
        }
        assert!(values("uniform(1, 4)").unwrap().contains(&"4".to_owned()));
        for text in ["uniform(2, 1)", "log_uniform(0, 1)", "uniform(1)", "uniform(a, b)", "uniform(1, 2, x)"] {
            assert!(values(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_larger_budget_only_adds_points() {
        let blocks = [AxisBlock::alone(0, 7), AxisBlock::alone(1, 5)];
        let draws = Draws::new("0");
        let (few, many) = (draws.rows(&blocks, Some(6), false), draws.rows(&blocks, Some(20), false));
        assert_eq!(few[..], many[..6]);
        assert_eq!(many.iter().collect::<BTreeSet<_>>().len(), 20);
        assert_eq!(draws.rows(&blocks, None, false).len(), 35);
        assert_eq!(draws.rows(&blocks, Some(99), false).len(), 35);
    }
}
