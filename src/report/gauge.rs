//! Progress in characters: a bar, the curve of a loss, the time left.

use crate::amount::clock;

/// Returns the seconds that a run with `jobs` instances at a time will take at least: no less than `work`, the seconds
/// of all instances, divided among the jobs; than `chain`, the longest chain of instances that depend on each other;
/// and than what any running instance says that it needs.
#[must_use]
pub(super) fn wall_clock(work: f64, jobs: usize, chain: f64, running: impl Iterator<Item = f64>) -> f64 {
    running.fold((work / jobs.max(1) as f64).max(chain), f64::max).max(0.0)
}

/// Formats the time left of a run, as far as it is known: `about 12:05 left`.
#[must_use]
pub(super) fn outlook(seconds: f64, unknown: usize) -> String {
    let more = if unknown > 0 { format!(" and {unknown} of unknown length") } else { String::new() };
    match seconds.round() as u64 {
        0 if unknown > 0 => String::new(),
        seconds => format!("about {} left{more}", clock(seconds)),
    }
}

/// Draws the last values as bars of eight heights.
#[must_use]
pub(super) fn sparkline(values: &[f64]) -> String {
    const CELLS: usize = 10;
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let last = &values[values.len().saturating_sub(CELLS)..];
    let (low, high) = last.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    if last.len() < 2 || !(high - low).is_finite() || high <= low {
        return String::new();
    }
    last.iter().map(|value| BARS[((value - low) / (high - low) * 7.0).round() as usize]).collect()
}

/// Draws a bar of ten cells, filled from the left.
pub(super) fn bar(fraction: f64) -> String {
    let halves = (fraction.clamp(0.0, 1.0) * 20.0).round() as usize;
    let mut cells = "━".repeat(halves / 2);
    if halves % 2 == 1 {
        cells.push('╸');
    }
    format!("{cells}{}", " ".repeat(10 - halves.div_ceil(2)))
}

/// Formats a rate with two digits.
pub(super) fn short(rate: f64) -> String {
    if rate >= 9.95 { format!("{rate:.0}") } else { format!("{rate:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparklines_show_the_last_values() {
        assert_eq!(sparkline(&[4.0, 3.0, 2.0, 1.0]), "█▆▃▁");
        assert_eq!(sparkline(&(0..30).map(f64::from).collect::<Vec<_>>()), "▁▂▃▃▄▅▆▆▇█");
        for nothing in [&[][..], &[1.0], &[2.0, 2.0], &[1.0, f64::NAN, f64::INFINITY]] {
            assert_eq!(sparkline(nothing), "", "{nothing:?}");
        }
    }

    #[test]
    fn an_outlook_says_what_is_known() {
        assert_eq!(outlook(750.0, 0), "about 12:30 left");
        assert_eq!(outlook(375.0, 2), "about 6:15 left and 2 of unknown length");
        assert_eq!(outlook(0.0, 2), "");
    }

    #[test]
    fn the_time_left_is_not_below_that_of_a_part() {
        let left = |work, jobs, chain, running: &[f64]| wall_clock(work, jobs, chain, running.iter().copied());
        assert_eq!(left(750.0, 2, 100.0, &[]), 375.0);
        assert_eq!(left(750.0, 8, 300.0, &[]), 300.0, "the chain cannot be divided");
        assert_eq!(left(750.0, 8, 300.0, &[20.0, 480.0]), 480.0, "a running instance knows better");
        assert_eq!(left(-3.0, 1, -1.0, &[]), 0.0);
    }

    #[test]
    fn bars_have_ten_cells() {
        for step in 0..=20 {
            assert_eq!(bar(f64::from(step) / 20.0).chars().count(), 10, "{step}");
        }
        assert_eq!(bar(0.25), "━━╸       ");
    }
}
