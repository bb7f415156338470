//! What a record holds: what a run was asked, and what became of it.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::RunId;
use crate::digest::StageKey;

/// The number of the format of records that this version writes, and the latest that it reads.
pub(super) const FORMAT: u32 = 1;

/// What a run was asked: `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The format of the record.
    pub format: u32,
    /// The run.
    pub id: RunId,
    /// The version of strata.
    pub version: String,
    /// The name of the pipeline.
    pub pipeline: String,
    /// The pipeline file: relative to `root` if it is below it.
    pub file: String,
    /// The root of the project.
    pub root: String,
    /// The text of the file, as it was run.
    pub text: String,
    /// The files that it includes.
    #[serde(default)]
    pub included: Vec<IncludedText>,
    /// The words of the command line after the verb, as typed; empty if a program used the library.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// The changes to the file.
    #[serde(default)]
    pub changes: Changes,
    /// The stages or instances that were wanted; empty for all.
    #[serde(default)]
    pub targets: Vec<String>,
    /// The stages that nothing ran beyond.
    #[serde(default)]
    pub until: Vec<String>,
    /// When it started: RFC 3339, UTC, with milliseconds.
    pub started: String,
    /// The machine.
    pub host: String,
    /// The process there.
    pub pid: u32,
    /// The state of the project in git; `None` if it is in no repository, or nothing had to run.
    #[serde(default)]
    pub git: Option<Git>,
    /// The instances that it meant, in the order of the graph.
    #[serde(default)]
    pub instances: Vec<RunInstance>,
}

/// A file that a pipeline file includes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncludedText {
    /// The file: relative to the root if it is below it.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// Changes to a pipeline file, as on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// `stage.param=value`; several values (`a,b,c` or `range(1,5)`) make an axis.
    #[serde(default)]
    pub set: Vec<String>,
    /// The name of the sweep to use: `NAME` of `[sweep.NAME]`.
    #[serde(default)]
    pub sweep: Option<String>,
    /// The variants to use, separated by commas.
    #[serde(default)]
    pub variant: Option<String>,
    /// The number of seeds that the sweep is repeated over.
    #[serde(default)]
    pub seeds: Option<usize>,
}

impl Changes {
    /// Returns the words of the command line that make these changes.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self.set.iter().flat_map(|set| ["-S".to_owned(), set.clone()]).collect();
        let seeds = self.seeds.map(|seeds| seeds.to_string());
        for (flag, value) in [("--sweep", &self.sweep), ("--variant", &self.variant), ("--seeds", &seeds)] {
            words.extend(value.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
        }
        words
    }
}

/// The state of a project in git.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// The commit that is checked out; `None` before the first one.
    pub commit: Option<String>,
    /// Whether files that git knows differ from the commit.
    pub dirty: bool,
}

/// An instance that a run meant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInstance {
    /// Its name.
    pub instance: String,
    /// Its stage.
    pub stage: String,
    /// Its kind.
    pub kind: String,
    /// The axes that reach it, with their values.
    #[serde(default)]
    pub axes: BTreeMap<String, Value>,
    /// Its key, if it was known before anything ran.
    #[serde(default)]
    pub key: Option<StageKey>,
}

/// What became of a run: `end.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// The format of the record.
    pub format: u32,
    /// How it ended: `done`, `failed` or `interrupted`.
    pub status: RunStatus,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The number of instances for each status word.
    #[serde(default)]
    pub counts: BTreeMap<String, usize>,
    /// What became of each instance.
    #[serde(default)]
    pub outcomes: BTreeMap<String, RunOutcome>,
    /// Why the run itself failed, if it was not a stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What became of an instance in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunOutcome {
    /// Its status word.
    pub status: String,
    /// Its key, if it was known.
    pub key: Option<StageKey>,
    /// Seconds that its code took: in this run, or when the cached result was made.
    pub seconds: Option<f64>,
}

impl RunOutcome {
    /// Returns the key of its result, if it has one.
    #[must_use]
    pub fn made(&self) -> Option<StageKey> {
        self.key.filter(|_| !matches!(self.status.as_str(), "failed" | "blocked"))
    }
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Its process is at work.
    Running,
    /// It ended, and every instance has results.
    Done,
    /// It ended with a failure.
    Failed,
    /// It was stopped before its end.
    Interrupted,
    /// Its process ended without a word: it was killed, or the machine stopped.
    Lost,
}

impl RunStatus {
    /// Returns the word that people and scripts read.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Lost => "lost",
        }
    }
}

/// A run: what it was asked, and what became of it so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What it was asked.
    pub record: RunRecord,
    /// What became of it; `None` if it has not ended, or nobody could write it.
    pub end: Option<RunEnd>,
    /// How it stands.
    pub status: RunStatus,
}

impl Run {
    /// Returns the path of its pipeline file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        PathBuf::from(&self.record.root).join(&self.record.file)
    }
}

/// A record that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record of run {id} is passed over: {why}")]
pub struct PassedOver {
    /// The run.
    pub id: RunId,
    /// What is wrong with its record.
    pub why: String,
}
