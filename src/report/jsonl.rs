//! `--events`: writes each event as a line with one JSON object.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::run::{Event, Reporter};

/// Writes events to a file. Each line is written at once, so that another program can follow the run.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: Option<File>,
}

/// An event with the time when it happened.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

impl JsonLines {
    /// Creates the file, or empties it.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: Some(File::create(path)?) })
    }
}

impl Reporter for JsonLines {
    fn event(&mut self, event: &Event) {
        // This is an estimate for people who wait, and nothing happened.
        if matches!(event, Event::Outlook { .. }) {
            return;
        }
        let Some(file) = &mut self.file else { return };
        let time = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let written = serde_json::to_vec(&Line { time, event }).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            file.write_all(&line)
        });
        if let Err(error) = written {
            // Results matter more than the file of events, so the error is reported once and the run continues.
            let warning = format!("warning: no more events are written to {}: {error}\n", self.path.display());
            let _ = io::stderr().write_all(warning.as_bytes());
            self.file = None;
        }
    }
}
