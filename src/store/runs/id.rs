//! The id of a run: short, sortable by time, and never a path.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

/// The digits of base 32, in the order of their bytes: no i, l, o or u, which are misread.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The id of a run: `20261128-182422-k3f`. The day and the time are in UTC; of the three letters, two count the
/// milliseconds and one tells runs of the same millisecond apart. So ids sort by time as texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// Why a text is not the id of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a run looks like `20261128-182422-k3f`")]
pub struct NoRunId;

impl RunId {
    /// Makes an id of this moment. Two ids of the same millisecond may be equal.
    #[must_use]
    pub(super) fn now() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let now = OffsetDateTime::now_utc();
        let seed = (std::process::id(), now.unix_timestamp_nanos(), COUNT.fetch_add(1, Ordering::Relaxed));
        let other = blake3::hash(format!("{seed:?}").as_bytes()).as_bytes()[0];
        Self(format!("{}{}", prefix(now), char::from(DIGITS[usize::from(other % 32)])))
    }

    /// Returns the text that ids of a certain age sort before.
    pub(super) fn before(age: std::time::Duration) -> String {
        let age = Duration::try_from(age).unwrap_or(Duration::MAX);
        // Of an age that no calendar holds, there is no id.
        OffsetDateTime::now_utc().checked_sub(age).map(prefix).unwrap_or_default()
    }
}

/// Everything but the last letter.
fn prefix(at: OffsetDateTime) -> String {
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second, milli) = at.to_hms_milli();
    // 1024 values for 1000 milliseconds.
    let digit = |at: u16| char::from(DIGITS[usize::from(at % 32)]);
    let (high, low) = (digit(milli / 32), digit(milli));
    format!("{year:04}{:02}{day:02}-{hour:02}{minute:02}{second:02}-{high}{low}", u8::from(month))
}

impl FromStr for RunId {
    type Err = NoRunId;

    fn from_str(text: &str) -> Result<Self, NoRunId> {
        let fits =
            |part: &str, length: usize, is_one: &dyn Fn(u8) -> bool| part.len() == length && part.bytes().all(is_one);
        let parts: Vec<&str> = text.split('-').collect();
        let [day, time, letters] = parts[..] else { return Err(NoRunId) };
        let digit = |c: u8| c.is_ascii_digit();
        let is_id = fits(day, 8, &digit) && fits(time, 6, &digit) && fits(letters, 3, &|c| DIGITS.contains(&c));
        if is_id { Ok(Self(text.to_owned())) } else { Err(NoRunId) }
    }
}

impl TryFrom<String> for RunId {
    type Error = NoRunId;

    fn try_from(text: String) -> Result<Self, NoRunId> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

impl AsRef<str> for RunId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time() {
        let at = |millis: i64| prefix(OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(millis));
        let moments = [0, 1, 31, 32, 33, 999, 1000, 1001, 59_999, 60_000, 1_790_000_000_123, 1_790_000_000_124];
        let ids: Vec<String> = moments.into_iter().map(at).collect();
        assert!(ids.is_sorted(), "{ids:?}");
        assert!(ids.windows(2).all(|two| two[0] != two[1]), "{ids:?}");
        assert!(*RunId::now().as_ref() > *RunId::before(std::time::Duration::from_secs(1)));
        assert_eq!(RunId::before(std::time::Duration::MAX), "");
    }

    #[test]
    fn an_id_is_never_a_path() {
        let id = RunId::now();
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in
            ["", "..", "../20261128-182422-k3f", "20261128-182422-k3", "20261128-182422-k3fx", "20261128-182422-k/f"]
        {
            assert_eq!(text.parse::<RunId>(), Err(NoRunId), "{text}");
        }
    }
}
