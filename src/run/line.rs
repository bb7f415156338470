//! An event as a line of JSON: what `--events` and the record of a run hold.

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::event::Event;
use crate::store::RunId;

/// An event with its run and the time when it happened.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    run: &'a RunId,
    #[serde(flatten)]
    event: &'a Event,
}

/// Returns the line of an event that happens now, with its line break; `None` for an event that is only an estimate for
/// people who wait.
#[must_use]
pub fn line(event: &Event, run: &RunId) -> Option<Vec<u8>> {
    if matches!(event, Event::Outlook { .. }) {
        return None;
    }
    let time = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    let mut line = serde_json::to_vec(&Line { time, run, event }).ok()?;
    line.push(b'\n');
    Some(line)
}
