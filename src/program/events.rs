//! What a program says while it runs: JSON lines in its events file.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::PathBuf,
};

use serde::Deserialize;
use serde_json::Value;

use crate::stage::interned;

/// Something that a program said.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    /// A final number.
    Metric { name: String, value: f64 },
    /// A point of a curve.
    Point { series: String, epoch: u64, value: f64 },
    /// How far it is.
    Progress { done: u64, total: u64, unit: &'static str },
    /// Its state folder is consistent, at this epoch.
    Saved { epoch: u64 },
    /// Why its result should be read with care.
    Warning(String),
    /// A line that is none of these: its number from 1, what is wrong with it, and whether it was to be a metric.
    Wrong { line: usize, message: String, is_metric: bool },
}

/// The lines that a program may write. Each has one of these shapes; further fields are ignored.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Metric {
        metric: String,
        value: Value,
    },
    Point {
        series: String,
        epoch: u64,
        value: Value,
    },
    Progress {
        progress: u64,
        #[serde(default)]
        total: u64,
        #[serde(default)]
        unit: Option<String>,
    },
    Saved {
        saved: Saved,
    },
    Warning {
        warning: String,
    },
}

#[derive(Deserialize)]
struct Saved {
    #[serde(default)]
    epoch: u64,
}

/// The events file of a program, read as it grows. A program that resumes appends to what was reported before.
pub(super) struct Events {
    path: PathBuf,
    /// Bytes that were read.
    read: u64,
    /// Bytes in lines that were taken.
    taken: u64,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
    lines: usize,
}

/// Bytes of a line that has no end after which it is given up.
const LONGEST: usize = 1 << 20;

impl Events {
    /// Opens the events of a program that resumes and returns what it reported before, or an empty file for one that
    /// starts anew. Lines that are not understood were reported when they were new.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub(super) fn open(path: PathBuf, resumes: bool) -> io::Result<(Self, Vec<(Said, u64)>)> {
        let mut file = File::options().read(true).append(true).create(true).open(&path)?;
        if !resumes {
            file.set_len(0)?;
        } else if file.metadata()?.len() > 0 {
            // The last line of a program that was killed may be half a line.
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        let mut events = Self { path, read: 0, taken: 0, rest: Vec::new(), lines: 0 };
        let before = if resumes { events.news(false) } else { Vec::new() };
        Ok((events, before))
    }

    /// Returns what was said since the last call, each with the bytes of the file up to the end of its line. At the end, a
    /// last line needs no line feed.
    pub(super) fn news(&mut self, at_end: bool) -> Vec<(Said, u64)> {
        let mut new = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            if file.metadata()?.len() < self.read {
                // It was written anew, so all of it is new.
                (self.read, self.taken, self.lines) = (0, 0, 0);
                self.rest.clear();
            }
            file.seek(SeekFrom::Start(self.read))?;
            file.read_to_end(&mut new)
        });
        self.read += read.unwrap_or_default() as u64;
        self.rest.extend(new);
        let last = self.rest.iter().rposition(|&byte| byte == b'\n').map(|at| at + 1);
        let whole = match last {
            _ if at_end => self.rest.len(),
            Some(whole) => whole,
            None if self.rest.len() > LONGEST => self.rest.len(),
            None => 0,
        };
        let text: Vec<u8> = self.rest.drain(..whole).collect();
        let mut said = Vec::new();
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            self.lines += 1;
            self.taken += line.len() as u64;
            let line = String::from_utf8_lossy(line);
            if line.trim().is_empty() {
                continue;
            }
            let one = parse(line.trim()).unwrap_or_else(|message| {
                let is_metric = line.contains("\"metric\"");
                Said::Wrong { line: self.lines, message, is_metric }
            });
            said.push((one, self.taken));
        }
        said
    }
}

fn parse(line: &str) -> Result<Said, String> {
    let shapes = "write {\"metric\": NAME, \"value\": X}, {\"series\": NAME, \"epoch\": N, \"value\": X}, {\"progress\": N, \
                  \"total\": N, \"unit\": WORD}, {\"saved\": {\"epoch\": N}} or {\"warning\": TEXT}";
    let wrong = |_| format!("`{}`: {shapes}", line.chars().take(200).collect::<String>());
    let number = |value: &Value| number(value).ok_or_else(|| format!("`{line}`: `value` must be a number"));
    let name = |name: String| match name.trim().is_empty() || name.contains(char::is_control) {
        true => Err(format!("`{line}`: a name must not be empty or hold control characters")),
        false => Ok(name),
    };
    Ok(match serde_json::from_str::<Line>(&quoted(line)).map_err(wrong)? {
        Line::Metric { metric, value } => Said::Metric { name: name(metric)?, value: number(&value)? },
        Line::Point { series, epoch, value } => Said::Point { series: name(series)?, epoch, value: number(&value)? },
        Line::Progress { progress: done, total, unit } => {
            Said::Progress { done, total, unit: unit.map_or("step", |unit| interned(&unit)) }
        }
        Line::Saved { saved: Saved { epoch } } => Said::Saved { epoch },
        // It is one line, and no terminal obeys it.
        Line::Warning { warning } => Said::Warning(plain(&warning)),
    })
}

/// A text without control characters; those at the end of lines become spaces.
fn plain(text: &str) -> String {
    let words = text.split(['\n', '\r', '\t']).map(|line| line.replace(char::is_control, ""));
    words.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// Puts the words `NaN`, `Infinity` and `-Infinity` in quotes: Python's `json` writes them bare, which is no JSON.
fn quoted(line: &str) -> String {
    if !line.contains("NaN") && !line.contains("Infinity") {
        return line.to_owned();
    }
    let (mut out, mut rest, mut inside) = (String::with_capacity(line.len() + 8), line, false);
    while let Some(c) = rest.chars().next() {
        let word = ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| !inside && rest.starts_with(word));
        let taken = match (word, c) {
            (Some(word), _) => {
                out.push_str(&format!("\"{word}\""));
                word.len()
            }
            (None, '\\') if inside => {
                let both = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                out.push_str(&rest[..both]);
                both
            }
            (None, c) => {
                inside ^= c == '"';
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events");
        let (mut events, before) = Events::open(path.clone(), false).expect("made");
        let all = |news: Vec<(Said, u64)>| news.into_iter().map(|(said, _)| said).collect::<Vec<_>>();
        assert_eq!((events.news(false), before), (Vec::new(), Vec::new()), "nothing is said yet");
        let mut file = File::options().append(true).open(&path).expect("made");
        let mut say = |text: &str| file.write_all(text.as_bytes()).expect("written");
        say("{\"metric\": \"a\", \"value\": 0.5}\n{\"series\": \"lo");
        assert_eq!(all(events.news(false)), [Said::Metric { name: "a".to_owned(), value: 0.5 }]);
        say("ss\", \"epoch\": 3, \"value\": 1}\n\n{\"saved\": {\"epoch\": 3}}\n{\"progress\": 3, \"total\": 9}");
        let point = Said::Point { series: "loss".to_owned(), epoch: 3, value: 1.0 };
        assert_eq!(events.news(false), [(point.clone(), 73), (Said::Saved { epoch: 3 }, 98)]);
        assert_eq!(all(events.news(true)), [Said::Progress { done: 3, total: 9, unit: "step" }]);

        let (mut events, before) = Events::open(path.clone(), true).expect("opened");
        assert_eq!(before.len(), 4);
        assert_eq!(before[1..3], [(point, 73), (Said::Saved { epoch: 3 }, 98)]);
        say("{\"warning\": \"two\\nlines, \\u001b[31mred\"}\n");
        assert_eq!(
            all(events.news(false)),
            [Said::Warning("two lines, [31mred".to_owned())],
            "the half line was ended"
        );
        std::fs::write(&path, "{\"metric\": \"b\", \"value\": 1}\n").expect("written anew");
        assert_eq!(all(events.news(false)), [Said::Metric { name: "b".to_owned(), value: 1.0 }]);
        let (mut events, before) = Events::open(path, false).expect("opened");
        assert_eq!((events.news(true), before), (Vec::new(), Vec::new()), "what starts anew has an empty file");
    }

    #[test]
    fn numbers_that_are_not_finite_are_read_as_python_writes_them() {
        let value = |text: &str| match parse(&format!("{{\"metric\": \"NaN \\\" NaN\", \"value\": {text}}}")) {
            Ok(Said::Metric { name, value }) if name == "NaN \" NaN" => value,
            other => panic!("{other:?}"),
        };
        assert!(value("NaN").is_nan() && value("\"NaN\"").is_nan());
        assert_eq!([value("Infinity"), value("-Infinity"), value("1e3")], [f64::INFINITY, f64::NEG_INFINITY, 1e3]);
    }

    #[test]
    fn a_wrong_line_says_what_is_right() {
        let no_name = "{\"metric\": \" \", \"value\": 1}";
        for line in
            ["nonsense", "{\"metric\": \"a\"}", "{\"metric\": \"a\", \"value\": \"x\"}", "{\"value\": 1}", no_name]
        {
            assert!(parse(line).is_err_and(|message| message.starts_with(&format!("`{line}`"))));
        }
    }
}
