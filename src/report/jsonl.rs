//! `--events`: writes each event as a line with one JSON object.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    run::{Event, Reporter, line},
    store::RunId,
};

/// Writes events to a file. Each line is written at once, so that another program can follow the run.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: Option<File>,
    run: RunId,
}

impl JsonLines {
    /// Creates the file, or empties it. Each line names the run.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create(path: &Path, run: &RunId) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: Some(File::create(path)?), run: run.clone() })
    }
}

impl Reporter for JsonLines {
    fn event(&mut self, event: &Event) {
        let (Some(file), Some(line)) = (&mut self.file, line(event, &self.run)) else { return };
        if let Err(error) = file.write_all(&line) {
            // Results matter more than the file of events, so the error is reported once and the run continues.
            let warning = format!("warning: no more events are written to {}: {error}\n", self.path.display());
            let _ = io::stderr().write_all(warning.as_bytes());
            self.file = None;
        }
    }
}
