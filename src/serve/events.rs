//! How a run stands, by its events: what each instance does, its numbers, and the time left.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    digest::StageKey,
    store::{Real, Run, RunStatus, Store, StoreError, reals},
};

/// How a run stands.
#[derive(Default)]
pub(super) struct Progress {
    /// The bytes of events that were read.
    read: u64,
    pub(super) instances: IndexMap<String, Standing>,
    /// The points of curves, in the order in which they came.
    pub(super) points: Vec<Point>,
    /// The most instances that worked at the same time.
    most_at_once: usize,
}

/// How a run stands, for several who ask at the same time.
pub(super) type Followed = Arc<Mutex<Progress>>;

/// How an instance stands.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Standing {
    instance: String,
    stage: String,
    kind: String,
    key: Option<StageKey>,
    /// `waiting`, `running`, or the status word that it ended with; once the run is over, `not_run`, `stopped` or `lost` for what
    /// had not ended.
    pub(super) status: String,
    #[serde(skip)]
    started: Option<OffsetDateTime>,
    done: u64,
    total: u64,
    unit: String,
    epoch: Option<u64>,
    epochs: Option<u64>,
    loss: Option<Real>,
    seconds: Option<f64>,
    /// The process that does the same work, or why it failed.
    message: Option<String>,
    warnings: Vec<String>,
    #[serde(serialize_with = "reals::serialize")]
    metrics: BTreeMap<String, f64>,
}

/// A point of a curve.
pub(super) struct Point {
    /// The number of the instance.
    pub(super) instance: usize,
    pub(super) name: String,
    pub(super) epoch: u64,
    pub(super) value: f64,
}

/// Expected time until the end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Left {
    /// Seconds; `None` if nothing is known.
    seconds: Option<f64>,
    /// The number of instances of which nothing is known.
    unknown: usize,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    time: String,
    #[serde(flatten)]
    event: Seen,
}

/// The events that change how an instance stands, as they were written. Others, and those of later versions, do not.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Seen {
    StageStarted {
        instance: String,
        kind: String,
        key: Option<StageKey>,
    },
    Progress {
        instance: String,
        done: u64,
        total: u64,
        #[serde(default)]
        unit: String,
        epoch: Option<u64>,
        epochs: Option<u64>,
        loss: Option<Real>,
    },
    Waiting {
        instance: String,
        holder: String,
    },
    Retrying {
        instance: String,
        message: String,
    },
    Metric {
        instance: String,
        name: String,
        value: Real,
        epoch: Option<u64>,
    },
    Warning {
        instance: String,
        message: String,
    },
    StageFinished {
        instance: String,
        kind: String,
        status: String,
        key: Option<StageKey>,
        seconds: Option<f64>,
        message: Option<String>,
    },
    #[serde(other)]
    Other,
}

/// Status words of instances that have results.
const MADE: [&str; 4] = ["cached", "ran", "resumed", "restored"];

impl Progress {
    /// Reads the events that came since the last time.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(super) fn read_on(&mut self, run: &Run, store: &Store) -> Result<(), StoreError> {
        // A run that adds seeds records more instances.
        for one in run.record.instances.iter() {
            let waiting = Standing {
                instance: one.instance.clone(),
                stage: one.stage.clone(),
                kind: one.kind.clone(),
                key: one.key,
                status: "waiting".to_owned(),
                ..Standing::default()
            };
            self.instances.entry(one.instance.clone()).or_insert(waiting);
        }
        let bytes = store.run_events(&run.record.id, self.read)?;
        self.read += bytes.len() as u64;
        for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            // A line of which only a part was written says nothing.
            if let Ok(Line { time, event }) = serde_json::from_slice(line) {
                self.see(event, &time, store);
            }
        }
        Ok(())
    }

    fn see(&mut self, event: Seen, time: &str, store: &Store) {
        match event {
            Seen::StageStarted { instance, kind, key } => {
                let (_, one) = self.of(&instance);
                *one = Standing { kind, key, status: "running".to_owned(), ..std::mem::take(one) };
                (one.done, one.total, one.message) = (0, 0, None);
                one.started = OffsetDateTime::parse(time, &Rfc3339).ok();
                let working = self.instances.values().filter(|one| one.status == "running").count();
                self.most_at_once = self.most_at_once.max(working);
            }
            Seen::Progress { instance, done, total, unit, epoch, epochs, loss } => {
                let (_, one) = self.of(&instance);
                (one.done, one.total, one.unit) = (done, total, unit);
                (one.epoch, one.epochs) = (epoch, epochs);
                one.loss = loss.or(one.loss);
            }
            Seen::Waiting { instance, holder } => self.of(&instance).1.message = Some(format!("waits for {holder}")),
            Seen::Retrying { instance, message } => {
                self.of(&instance).1.message = Some(format!("tried again after: {message}"));
            }
            Seen::Metric { instance, name, value: Real(value), epoch: Some(epoch) } => {
                let (at, _) = self.of(&instance);
                self.points.push(Point { instance: at, name, epoch, value });
            }
            Seen::Metric { instance, name, value: Real(value), epoch: None } => {
                self.of(&instance).1.metrics.insert(name, value);
            }
            Seen::Warning { instance, message } => {
                let (_, one) = self.of(&instance);
                if !one.warnings.contains(&message) {
                    one.warnings.push(message);
                }
            }
            Seen::StageFinished { instance, kind, status, key, seconds, message } => {
                let (at, one) = self.of(&instance);
                // A search passes by again: what ran in this run is then in the cache.
                if status == "cached" && one.key == key && MADE.contains(&one.status.as_str()) {
                    return;
                }
                *one = Standing { kind, status, key: key.or(one.key), seconds, message, ..std::mem::take(one) };
                let is_made = MADE.contains(&one.status.as_str());
                let made = key.filter(|_| is_made).and_then(|key| store.manifest(&key).ok().flatten());
                if let Some(made) = made {
                    one.metrics = made.metrics;
                    // What ran has told its curves already.
                    let is_told = one.status != "cached" && self.points.iter().any(|point| point.instance == at);
                    for (name, series) in made.series.into_iter().filter(|_| !is_told) {
                        let point = |(epoch, value)| Point { instance: at, name: name.clone(), epoch, value };
                        self.points.extend(series.into_iter().map(point));
                    }
                }
            }
            Seen::Other => {}
        }
    }

    /// Returns an instance with its number. One that the record does not name is added: a search may mean more later.
    fn of(&mut self, name: &str) -> (usize, &mut Standing) {
        let entry = self.instances.entry(name.to_owned());
        let at = entry.index();
        let stage = name.split('@').next().unwrap_or(name).to_owned();
        let new = || Standing { instance: name.to_owned(), stage, status: "waiting".to_owned(), ..Standing::default() };
        (at, entry.or_insert_with(new))
    }

    /// Returns how each instance stands, given how the run does.
    pub(super) fn standings(&self, run: RunStatus) -> Vec<Standing> {
        let word = |status: &str| match (run, status) {
            (RunStatus::Running, _) => None,
            (_, "waiting") => Some("not_run"),
            (RunStatus::Lost, "running") => Some("lost"),
            (_, "running") => Some("stopped"),
            _ => None,
        };
        let standing = |one: &Standing| match word(&one.status) {
            Some(word) => Standing { status: word.to_owned(), ..one.clone() },
            None => one.clone(),
        };
        self.instances.values().map(standing).collect()
    }

    /// Returns the number of instances for each status word.
    pub(super) fn counts(&self, run: RunStatus) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for one in self.standings(run) {
            *counts.entry(one.status).or_insert(0) += 1;
        }
        counts
    }

    /// Estimates the time left: running instances by their progress, others by instances of their stage that ran in this
    /// run.
    pub(super) fn left(&self, now: OffsetDateTime) -> Left {
        let mut ran: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
        for one in self.instances.values().filter(|one| one.status == "ran") {
            let sum = ran.entry(&one.stage).or_default();
            *sum = (sum.0 + one.seconds.unwrap_or(0.0), sum.1 + 1);
        }
        let usual = |one: &Standing| ran.get(one.stage.as_str()).map(|(sum, count)| sum / *count as f64);
        let (mut all, mut longest, mut unknown) = (0.0, 0.0_f64, 0);
        for one in self.instances.values() {
            let rest = match one.status.as_str() {
                "waiting" => usual(one),
                "running" => {
                    let spent = one.started.map(|started| (now - started).max(time::Duration::ZERO));
                    let spent =
                        spent.and_then(|spent| Duration::try_from(spent).ok()).unwrap_or_default().as_secs_f64();
                    let by_progress = (one.done > 0 && one.total >= one.done)
                        .then(|| spent * (one.total - one.done) as f64 / one.done as f64);
                    let rest = by_progress.or_else(|| usual(one).map(|usual| (usual - spent).max(0.0)));
                    longest = longest.max(rest.unwrap_or(0.0));
                    rest
                }
                _ => continue,
            };
            match rest {
                Some(rest) => all += rest,
                None => unknown += 1,
            }
        }
        let seconds = (all / self.most_at_once.max(1) as f64).max(longest);
        Left { seconds: (seconds > 0.0).then_some(seconds), unknown }
    }
}
