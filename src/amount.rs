//! Formats times, sizes, numbers and lists of names for people.

/// Formats seconds: `<1 ms`, `42 ms`, `2.1 s`, `31 s`, `1 min 12 s`, `2 h 05 min`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match seconds {
        s if s < 0.0005 => "<1 ms".to_owned(),
        s if s < 0.9995 => format!("{:.0} ms", s * 1000.0),
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 59.5 => format!("{whole} s"),
        s if s < 3599.5 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Formats seconds as on a clock: `0:42`, `12:05`, `1:02:33`.
#[must_use]
pub fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Formats a number of bytes in powers of 1024: `812 B`, `1.5 KiB`, `184 MiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while value >= 1023.5 {
        let Some(next) = units.next() else { break };
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "B" || value >= 99.95 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// Formats a fraction as a percentage with one digit after the point: `63.1`.
#[must_use]
pub fn percent(fraction: f64) -> String {
    format!("{:.1}", fraction * 100.0)
}

/// Formats a number with four significant digits: `0.0123`, `4.213`, `1562`, `1.23e-7`.
#[must_use]
pub fn number(value: f64) -> String {
    let size = value.abs();
    if value.fract() == 0.0 && size < 1e9 {
        return format!("{value:.0}");
    }
    if !(1e-4..1e9).contains(&size) {
        return format!("{value:.3e}");
    }
    let digits = (3 - size.log10().floor() as i32).clamp(0, 7) as usize;
    format!("{value:.digits$}")
}

/// The most names that a message lists.
const MOST_LISTED: usize = 5;

/// Lists the first names, and the number of the others: `a; b; c; d; e and 3 more`.
#[must_use]
pub fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let some = names.iter().take(MOST_LISTED).map(AsRef::as_ref).collect::<Vec<_>>().join("; ");
    match names.len().saturating_sub(MOST_LISTED) {
        0 => some,
        more => format!("{some} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_without_gaps() {
        let shown: Vec<String> =
            [0.0001, 0.0042, 0.9996, 2.14, 9.96, 59.4, 59.6, 72.0, 3599.6, 7505.0].map(duration).into();
        let right =
            ["<1 ms", "4 ms", "1.0 s", "2.1 s", "10 s", "59 s", "1 min 00 s", "1 min 12 s", "1 h 00 min", "2 h 05 min"];
        assert_eq!(shown, right);
        assert_eq!([42, 725, 3753].map(clock), ["0:42", "12:05", "1:02:33"]);
    }

    #[test]
    fn sizes_and_numbers_keep_what_matters() {
        assert_eq!([812, 1023, 1536, 192_937_984].map(bytes), ["812 B", "1023 B", "1.5 KiB", "184 MiB"]);
        let shown = [0.012_341, 4.2131, 1562.0, 12_345.678, 1.23e-7, 0.5, -0.25, 0.0].map(number);
        assert_eq!(shown, ["0.01234", "4.213", "1562", "12346", "1.230e-7", "0.5000", "-0.2500", "0"]);
    }
}
