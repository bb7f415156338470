//! The events of a run. They are the whole interface between the run loop and everything that people see.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::status::{Counts, Status};
use crate::{
    digest::StageKey,
    plan::Reason,
    store::{Output, Real, real},
};

/// Something that happened in a run. Each event is one line of `--events`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// The pipeline.
        pipeline: String,
        /// The number of selected instances.
        stages: usize,
    },
    /// Estimated remaining work. Sent at the start, if there is work, and after each instance finishes.
    Outlook {
        /// Expected seconds of all unfinished instances, summed.
        seconds: f64,
        /// Instances with no recorded duration to estimate from.
        unknown: usize,
        /// Expected seconds of the longest chain of unfinished instances that depend on each other.
        chain: f64,
    },
    /// The code of an instance starts.
    StageStarted {
        /// The instance.
        instance: String,
        /// Its kind.
        kind: String,
        /// The key of the work.
        key: Option<StageKey>,
        /// Its parameters after defaults, without paths of files.
        parameters: Value,
        /// The parameters of everything that it depends on, by stage.
        #[serde(skip_serializing_if = "is_empty")]
        upstream: Value,
        /// Why it runs.
        reason: Reason,
    },
    /// The progress of a running instance.
    Progress {
        /// The instance.
        instance: String,
        /// Units done so far.
        done: u64,
        /// Units in total; 0 if that is not known.
        total: u64,
        /// The name of a unit.
        unit: &'static str,
        /// The epoch being worked on, from 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<usize>,
        /// The number of epochs.
        #[serde(skip_serializing_if = "Option::is_none")]
        epochs: Option<usize>,
        /// The loss of the last step.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "real_if_any")]
        loss: Option<f64>,
    },
    /// Another process does the same work, and this run waits for it.
    Waiting {
        /// The instance.
        instance: String,
        /// The other process, and its progress.
        holder: String,
    },
    /// The run was asked to stop, or spent its time budget, while instances run. They stop at the next point where they
    /// can.
    Stopping {
        /// The instances that the run waits for.
        instances: Vec<String>,
        /// True if the budget is spent, false if the user stopped the run.
        budget: bool,
    },
    /// An instance continues from a saved state.
    Resumed {
        /// The instance.
        instance: String,
        /// Whole epochs done at that state.
        epoch: u64,
        /// Steps done after these epochs.
        step: u64,
    },
    /// An instance saved its state.
    Checkpoint {
        /// The instance.
        instance: String,
        /// Whole epochs done.
        epoch: u64,
        /// Steps done after these epochs.
        step: u64,
    },
    /// An instance failed and will be tried again.
    Retrying {
        /// The instance.
        instance: String,
        /// The number of the coming retry, from 1.
        again: u32,
        /// Why it failed.
        message: String,
    },
    /// The bytes at an input port changed since they were written. The instance that made them runs again.
    Damaged {
        /// The instance that read the input.
        instance: String,
        /// The input port.
        port: String,
        /// The file, and what is wrong with it.
        message: String,
    },
    /// A source file changed while it was read. The result is discarded, and the instance is decided again.
    SourceChanged {
        /// The instance.
        instance: String,
        /// The file.
        file: PathBuf,
    },
    /// A metric: a final number, or a point of a curve if it has an epoch.
    Metric {
        /// The instance.
        instance: String,
        /// The name of the metric.
        name: String,
        /// Its value; `NaN`, `Infinity` and `-Infinity` are strings.
        #[serde(serialize_with = "real")]
        value: f64,
        /// The epoch of a point.
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<u64>,
    },
    /// What an instance says about its work, such as what a dataset has read.
    Remark {
        /// The instance.
        instance: String,
        /// A sentence.
        message: String,
    },
    /// A warning about a result, whether it was made now or comes from the cache.
    Warning {
        /// The instance.
        instance: String,
        /// What is wrong, and what would help.
        message: String,
    },
    /// An instance is finished, whatever its status.
    StageFinished {
        /// The instance.
        instance: String,
        /// Its kind.
        kind: String,
        /// What became of it.
        status: Status,
        /// Its key, if it is known.
        key: Option<StageKey>,
        /// Seconds that its code took: now, or when the cached result was made.
        seconds: Option<f64>,
        /// Its outputs, by port.
        outputs: BTreeMap<String, Output>,
        /// Why it failed, or what blocked it.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// The run is over.
    RunFinished {
        /// Instances by status.
        counts: Counts,
        /// Wall-clock seconds.
        seconds: f64,
    },
}

fn is_empty(table: &Value) -> bool {
    table.as_object().is_none_or(serde_json::Map::is_empty)
}

fn real_if_any<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(Real).serialize(serializer)
}

/// A receiver of events: a terminal, a file.
pub trait Reporter {
    /// Called for each event, in order, from one thread.
    fn event(&mut self, event: &Event);

    /// Called several times a second while something runs, to redraw whatever changes with time.
    fn tick(&mut self) {}

    /// Called with a message about the progress of a search.
    fn remark(&mut self, words: &str) {
        let _ = words;
    }
}

/// Several reporters. Each event goes to all of them, in order.
impl Reporter for Vec<Box<dyn Reporter>> {
    fn event(&mut self, event: &Event) {
        for reporter in self {
            reporter.event(event);
        }
    }

    fn tick(&mut self) {
        for reporter in self {
            reporter.tick();
        }
    }

    fn remark(&mut self, words: &str) {
        for reporter in self {
            reporter.remark(words);
        }
    }
}
