//! `--events`: one JSON object a line for each event.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::run::{Event, Reporter};

/// Writes events to a file, each line at once, so that another program can follow.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: Option<File>,
}

/// An event and when it happened.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

impl JsonLines {
    /// Starts the file anew.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: Some(File::create(path)?) })
    }
}

impl Reporter for JsonLines {
    fn event(&mut self, event: &Event) {
        // A guess for people who wait, which says nothing about what happened.
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
            // Results matter more than the file of events: say it once and go on.
            let warning = format!("warning: no more events are written to {}: {error}\n", self.path.display());
            let _ = io::stderr().write_all(warning.as_bytes());
            self.file = None;
        }
    }
}
