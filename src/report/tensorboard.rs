//! `--tensorboard`: writes event files for TensorBoard. Each instance has a folder, with a subfolder for each piece of
//! work, named by its key: `simclr@batches.policy=random/0123456789ab`. Work that is resumed after an interruption
//! stays in its folder; a change of any parameter leads to another one. The parameters are there as a text: those of
//! the instance and, by stage, those of everything that it depends on.
//!
//! The writers on crates.io are unmaintained (tensorboard-rs, and tfrecord on prost 0.12) and panic when a disk is
//! full. So the few messages that are needed are defined here and encoded by prost. Their field numbers are those of
//! TensorFlow's `event.proto` and `summary.proto`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
    time::{SystemTime, UNIX_EPOCH},
};

use prost::Message;
use serde_json::{Value, json};

use super::{Wanted, one_line};
use crate::{
    digest::StageKey,
    results::{Numbers, Picture, StoredResults},
    run::{Event, Reporter, Status},
};

/// The name of an empty file that marks a folder as complete.
const WHOLE: &str = ".complete";

/// Writes curves during the run, and the final numbers (`final/NAME`), parameters and images of each instance.
///
/// A cached instance is written as a whole, unless its folder is complete already.
pub struct Tensorboard {
    folder: PathBuf,
    archive: StoredResults,
    /// The id of the run of strata, if it has one.
    run: Option<String>,
    open: BTreeMap<String, Run>,
    /// False after the first write error.
    works: bool,
}

impl Tensorboard {
    /// Writes into subfolders of `folder`, which is created with the first file. `run` is the id of the run of strata.
    #[must_use]
    pub fn new(folder: &Path, archive: StoredResults, run: Option<String>) -> Self {
        Self { folder: folder.to_owned(), archive, run, open: BTreeMap::new(), works: true }
    }

    /// Returns what is written about an instance: its parameters, those of what it depends on, its key and the run.
    fn about(&self, parameters: &Value, upstream: &Value, key: Option<StageKey>) -> Value {
        let made = json!({ "key": key, "run": self.run });
        json!({ "parameters": parameters, "upstream": upstream, "strata": made })
    }

    /// Returns the folder for the work of an instance.
    fn folder_of(&self, instance: &str, key: Option<String>) -> PathBuf {
        self.folder.join(Wanted::new(instance, "").file_name()).join(key.unwrap_or_default())
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        match event {
            // A retry starts from scratch too.
            Event::StageStarted { instance, parameters, upstream, key, .. } => {
                let about = self.about(parameters, upstream, *key);
                let run = Run::start(&self.folder_of(instance, key.map(|key| key.short())), instance, &about)?;
                self.open.insert(instance.clone(), run);
            }
            Event::Metric { instance, name, value, epoch } => {
                if let Some(run) = self.open.get_mut(instance) {
                    run.number(name, *value, *epoch)?;
                }
            }
            Event::StageFinished { instance, status: Status::Cached, key, .. } => {
                let folder = self.folder_of(instance, key.map(|key| key.short()));
                if let Some(past) = (!folder.join(WHOLE).exists()).then(|| self.archive.past(event)).flatten() {
                    let about = self.about(&past.parameters, &past.upstream, *key);
                    let mut run = Run::start(&folder, instance, &about)?;
                    run.past(&past)?;
                    run.pictures(&self.archive.pictures(event))?;
                    File::create(folder.join(WHOLE))?;
                }
            }
            Event::StageFinished { instance, status, key, .. } => {
                if let Some(mut run) = self.open.remove(instance) {
                    run.pictures(&self.archive.pictures(event))?;
                    if matches!(status, Status::Ran | Status::Resumed) {
                        File::create(self.folder_of(instance, key.map(|key| key.short())).join(WHOLE))?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Reporter for Tensorboard {
    fn event(&mut self, event: &Event) {
        if !self.works {
            return;
        }
        if let Err(error) = self.write(event) {
            // Results matter more than their display, so the error is reported once and the run continues.
            let folder = self.folder.display();
            let warning = format!("warning: no more is written for TensorBoard to {folder}: {error}\n");
            let _ = io::stderr().write_all(warning.as_bytes());
            self.works = false;
        }
    }
}

/// The event file of one instance.
struct Run {
    file: File,
    /// The last epoch of any curve. Final numbers are written at this step.
    epoch: u64,
}

impl Run {
    fn start(folder: &Path, instance: &str, parameters: &Value) -> io::Result<Self> {
        let again = folder.exists();
        fs::create_dir_all(folder)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // TensorBoard reads the files of a folder in the order of their names.
        let name =
            format!("events.out.tfevents.{:010}.{:09}.strata.{}", since.as_secs(), since.subsec_nanos(), process::id());
        let mut run = Self { file: File::create(folder.join(name))?, epoch: 0 };
        run.add(0, message::What::FileVersion("brain.Event:2".to_owned()))?;
        if again {
            // All points are written again from the start, even if the work is resumed. The session start makes readers
            // drop the points of earlier runs, so that they show one curve.
            run.add(0, message::What::SessionLog(message::SessionLog { status: message::SessionLog::START }))?;
        }
        let text = serde_json::to_string_pretty(parameters)?;
        let text = format!("{}\n\n```json\n{text}\n```", one_line(instance));
        run.summary(0, message::Value::text("parameters", &text))?;
        Ok(run)
    }

    fn number(&mut self, name: &str, value: f64, epoch: Option<u64>) -> io::Result<()> {
        self.epoch = self.epoch.max(epoch.unwrap_or_default());
        let (tag, step) = match epoch {
            Some(epoch) => (name.to_owned(), epoch),
            None => (format!("final/{name}"), self.epoch),
        };
        self.summary(step, message::Value::scalar(&tag, value))
    }

    fn past(&mut self, past: &Numbers) -> io::Result<()> {
        for (name, points) in &past.series {
            points.iter().try_for_each(|&(epoch, value)| self.number(name, value, Some(epoch)))?;
        }
        past.metrics.iter().try_for_each(|(name, &value)| self.number(name, value, None))
    }

    fn pictures(&mut self, pictures: &[Picture]) -> io::Result<()> {
        pictures.iter().try_for_each(|picture| self.summary(self.epoch, message::Value::image(picture)))
    }

    fn summary(&mut self, step: u64, value: message::Value) -> io::Result<()> {
        self.add(step, message::What::Summary(message::Summary { value: vec![value] }))
    }

    fn add(&mut self, step: u64, what: message::What) -> io::Result<()> {
        let wall_time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        let event = message::Event { wall_time, step, what: Some(what) };
        self.file.write_all(&record(&event.encode_to_vec()))
    }
}

/// Encodes a TFRecord: the length, its checksum, the data, their checksum.
fn record(data: &[u8]) -> Vec<u8> {
    let masked = |bytes: &[u8]| crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), data, &masked(data)].concat()
}

/// The messages of TensorFlow's protocol that are used here.
mod message {
    use crate::results::Picture;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Event {
        #[prost(double, tag = "1")]
        pub wall_time: f64,
        #[prost(int64, tag = "2")]
        pub step: i64,
        #[prost(oneof = "What", tags = "3, 5, 7")]
        pub what: Option<What>,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(super) enum What {
        #[prost(string, tag = "3")]
        FileVersion(String),
        #[prost(message, tag = "5")]
        Summary(Summary),
        #[prost(message, tag = "7")]
        SessionLog(SessionLog),
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct SessionLog {
        #[prost(int32, tag = "1")]
        pub status: i32,
    }

    impl SessionLog {
        /// A run starts at the event's step. Earlier records from that step on are obsolete.
        pub(super) const START: i32 = 1;
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Summary {
        #[prost(message, repeated, tag = "1")]
        pub value: Vec<Value>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Value {
        #[prost(string, tag = "1")]
        pub tag: String,
        #[prost(message, optional, tag = "9")]
        pub metadata: Option<Metadata>,
        #[prost(oneof = "Content", tags = "2, 4, 8")]
        pub content: Option<Content>,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(super) enum Content {
        #[prost(float, tag = "2")]
        Scalar(f32),
        #[prost(message, tag = "4")]
        Image(Image),
        #[prost(message, tag = "8")]
        Tensor(Strings),
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metadata {
        #[prost(message, optional, tag = "1")]
        pub plugin: Option<Plugin>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Plugin {
        #[prost(string, tag = "1")]
        pub name: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Image {
        #[prost(int32, tag = "1")]
        pub height: i32,
        #[prost(int32, tag = "2")]
        pub width: i32,
        #[prost(int32, tag = "3")]
        pub colours: i32,
        #[prost(bytes = "vec", tag = "4")]
        pub encoded: Vec<u8>,
    }

    /// A `TensorProto` that holds texts.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Strings {
        #[prost(int32, tag = "1")]
        pub kind: i32,
        #[prost(message, optional, tag = "2")]
        pub shape: Option<Shape>,
        #[prost(string, repeated, tag = "8")]
        pub values: Vec<String>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Shape {
        #[prost(message, repeated, tag = "2")]
        pub sizes: Vec<Size>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Size {
        #[prost(int64, tag = "1")]
        pub size: i64,
    }

    /// `DT_STRING`.
    const STRING: i32 = 7;

    impl Value {
        pub(super) fn scalar(tag: &str, value: f64) -> Self {
            Self { tag: tag.to_owned(), metadata: None, content: Some(Content::Scalar(value as f32)) }
        }

        pub(super) fn image(picture: &Picture) -> Self {
            let (height, width) = (picture.height as i32, picture.width as i32);
            let image = Image { height, width, colours: 3, encoded: picture.png.clone() };
            Self { tag: picture.name.clone(), metadata: None, content: Some(Content::Image(image)) }
        }

        /// Makes a summary in Markdown for the text plugin.
        pub(super) fn text(tag: &str, markdown: &str) -> Self {
            let shape = Some(Shape { sizes: vec![Size { size: 1 }] });
            let strings = Strings { kind: STRING, shape, values: vec![markdown.to_owned()] };
            let plugin = Some(Plugin { name: "text".to_owned() });
            let content = Some(Content::Tensor(strings));
            Self { tag: tag.to_owned(), metadata: Some(Metadata { plugin }), content }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_its_length_and_checksums() {
        // The first event of each file. Its checksums were computed by a ten-line program that follows the definition.
        let event = message::Event {
            wall_time: 0.0,
            step: 0,
            what: Some(message::What::FileVersion("brain.Event:2".to_owned())),
        };
        let data = event.encode_to_vec();
        assert_eq!(data, b"\x1a\x0dbrain.Event:2");
        let record = record(&data);
        assert_eq!(record.len(), 8 + 4 + data.len() + 4);
        assert_eq!(record[..8], 15_u64.to_le_bytes());
        assert_eq!(record[8..12], [109, 83, 43, 9]);
        assert_eq!(record[27..], [252, 152, 81, 41]);
    }
}
