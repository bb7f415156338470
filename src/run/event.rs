//! What happens during a run. Events are the whole interface between the engine and what people see.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::status::{Counts, Status};
use crate::{
    digest::StageKey,
    plan::Reason,
    store::{Output, Real, real},
};

/// Something that happened. Each is one line of `--events`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// The pipeline.
        pipeline: String,
        /// Instances selected.
        stages: usize,
    },
    /// What is left of a run in which something must run, told anew whenever an instance is done.
    Outlook {
        /// Seconds that all instances which are not done are expected to take, one after another.
        seconds: f64,
        /// Those of them of whose like nothing is known.
        unknown: usize,
    },
    /// The code of an instance begins.
    StageStarted {
        /// The instance.
        instance: String,
        /// Its kind.
        kind: String,
        /// The key of the work.
        key: Option<StageKey>,
        /// Its parameters after defaults, without the paths of files.
        parameters: Value,
        /// Why it runs.
        reason: Reason,
    },
    /// An instance has come this far.
    Progress {
        /// The instance.
        instance: String,
        /// Units done.
        done: u64,
        /// Units in all, 0 when not known.
        total: u64,
        /// What a unit is.
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
    /// Another process works on the same thing; it is waited for.
    Waiting {
        /// The instance.
        instance: String,
        /// Who holds it, and how far it is.
        holder: String,
    },
    /// The run was asked to stop, or has spent its budget, while instances run. They end at their next good moment.
    Stopping {
        /// The instances that are waited for.
        instances: Vec<String>,
        /// Whether the budget is spent; otherwise somebody asked.
        budget: bool,
    },
    /// An instance goes on from a saved state.
    Resumed {
        /// The instance.
        instance: String,
        /// Whole epochs done then.
        epoch: u64,
        /// Steps done since.
        step: u64,
    },
    /// An instance has saved its state.
    Checkpoint {
        /// The instance.
        instance: String,
        /// Whole epochs done.
        epoch: u64,
        /// Steps done since.
        step: u64,
    },
    /// An instance failed, and will be tried again.
    Retrying {
        /// The instance.
        instance: String,
        /// The number of the coming retry, from 1.
        again: u32,
        /// Why it failed.
        message: String,
    },
    /// What lies at an input is not as it was written; its maker runs again.
    Damaged {
        /// The instance that met it.
        instance: String,
        /// The input port.
        port: String,
        /// The file, and what is wrong with it.
        message: String,
    },
    /// A source file changed while it was read; what was made of it is thrown away, and the instance is decided anew.
    SourceChanged {
        /// The instance.
        instance: String,
        /// The file.
        file: PathBuf,
    },
    /// A number came out: final, or (with an epoch) a point of a curve.
    Metric {
        /// The instance.
        instance: String,
        /// Its name.
        name: String,
        /// Its value; `NaN`, `Infinity` and `-Infinity` are strings.
        #[serde(serialize_with = "real")]
        value: f64,
        /// The epoch of a point.
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<u64>,
    },
    /// A result should be read with care, one that was made now or one from the cache.
    Warning {
        /// The instance.
        instance: String,
        /// Why, and what would help.
        message: String,
    },
    /// An instance is done with, one way or another.
    StageFinished {
        /// The instance.
        instance: String,
        /// Its kind.
        kind: String,
        /// How.
        status: Status,
        /// Its key, where known.
        key: Option<StageKey>,
        /// Seconds that its code took now, or (cached) when it ran.
        seconds: Option<f64>,
        /// What came out, by port.
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

fn real_if_any<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(Real).serialize(serializer)
}

/// Someone who wants to know: a terminal, a file of events.
pub trait Reporter {
    /// Called for each event, in order, from one thread.
    fn event(&mut self, event: &Event);

    /// Called several times a second while something runs, for what is drawn anew as time passes.
    fn tick(&mut self) {}

    /// A line for people about how a search goes.
    fn remark(&mut self, words: &str) {
        let _ = words;
    }
}

/// Several reporters, told one after another.
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
