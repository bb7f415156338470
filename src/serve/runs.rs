//! Documents about runs.

use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError},
};

use serde::Serialize;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    answer::Answer,
    events::{Followed, Progress},
    listed::Listed,
    site::Site,
};
use crate::store::{Real, Run, RunStatus, StoreError};

#[derive(Serialize)]
pub(super) struct Listing {
    format: u32,
    pub(super) runs: Vec<Listed>,
    /// Changes when runs come, go or end.
    stamp: String,
    passed_over: Vec<Value>,
}

/// Lists the runs, newest first. The records of those that ended are read once.
pub(super) fn listing(site: &Site, is_live: bool) -> Result<Listing, StoreError> {
    let mut ended = site.ended();
    let ids = site.store.run_ids()?;
    ended.retain(|id, _| ids.binary_search_by(|other| id.cmp(other)).is_ok());
    let (mut runs, mut passed_over) = (Vec::new(), Vec::new());
    for id in ids {
        if let Some(known) = ended.get(&id) {
            runs.push(known.clone());
            continue;
        }
        match site.store.run(&id) {
            Ok(Some(run)) => {
                let listed = listed(site, &run)?;
                if run.end.is_some() {
                    ended.insert(id, listed.clone());
                }
                runs.push(listed);
            }
            Ok(None) => {}
            Err(passed) => passed_over.push(json!({ "id": passed.id, "why": passed.why })),
        }
    }
    runs.retain(|run| run.is_shown);
    let mut stamp = blake3::Hasher::new();
    for run in &runs {
        stamp.update(run.id.as_ref().as_bytes()).update(run.status.word().as_bytes());
    }
    let stamp = stamp.finalize().to_hex()[..16].to_owned();
    if is_live {
        runs.retain(|run| run.status == RunStatus::Running);
    }
    Ok(Listing { format: 1, runs, stamp, passed_over })
}

fn listed(site: &Site, run: &Run) -> Result<Listed, StoreError> {
    let record = &run.record;
    let mut listed = Listed {
        id: record.id.clone(),
        pipeline: record.pipeline.clone(),
        file: record.file.clone(),
        path: run.file(),
        arguments: record.arguments.clone(),
        started: record.started.clone(),
        seconds: run.end.as_ref().map(|end| end.seconds),
        status: run.status,
        counts: run.end.as_ref().map(|end| end.counts.clone()).unwrap_or_default(),
        instances: record.instances.len(),
        working: Vec::new(),
        left: None,
        message: run.end.as_ref().and_then(|end| end.message.clone()),
        is_shown: site.shows(run),
    };
    if run.end.is_none() && listed.is_shown {
        let followed = site.followed(run);
        let progress = read_on(site, run, &followed)?;
        listed.counts = progress.counts(run.status);
        listed.instances = progress.instances.len();
        if run.status == RunStatus::Running {
            let now = OffsetDateTime::now_utc();
            listed.working = progress.instances.values().filter(|one| one.status == "running").cloned().collect();
            listed.left = Some(progress.left(now));
            listed.seconds = since(&record.started, now);
        }
    }
    Ok(listed)
}

fn since(started: &str, now: OffsetDateTime) -> Option<f64> {
    let started = OffsetDateTime::parse(started, &Rfc3339).ok()?;
    Some((now - started).as_seconds_f64().max(0.0))
}

/// Reads the events that came since somebody last looked.
fn read_on<'f>(site: &Site, run: &Run, followed: &'f Followed) -> Result<MutexGuard<'f, Progress>, StoreError> {
    let mut progress = followed.lock().unwrap_or_else(PoisonError::into_inner);
    progress.read_on(run, &site.store)?;
    Ok(progress)
}

/// Describes a run with its instances.
pub(super) fn one(site: &Site, run: &Run) -> Answer {
    let followed = site.followed(run);
    let (listed, progress) = match (listed(site, run), read_on(site, run, &followed)) {
        (Ok(listed), Ok(progress)) => (listed, progress),
        (Err(error), _) | (_, Err(error)) => return Answer::refused(500, &error.to_string()),
    };
    let record = &run.record;
    Answer::json(&json!({
        "format": 1,
        "run": listed,
        "asked": {
            "version": record.version, "root": record.root, "changes": record.changes, "targets": record.targets,
            "until": record.until, "host": record.host, "pid": record.pid, "git": record.git,
        },
        "instances": progress.standings(run.status),
    }))
}

/// The texts that a run read.
pub(super) fn file(run: &Run) -> Value {
    let record = &run.record;
    json!({ "format": 1, "file": record.file, "text": record.text, "included": record.included })
}

/// The most points of curves in one answer.
const MOST_POINTS: usize = 50_000;

#[derive(Serialize)]
struct Curve<'a> {
    instance: &'a str,
    name: &'a str,
    points: Vec<(u64, Real)>,
}

/// The points of curves, from one on.
pub(super) fn curves(site: &Site, run: &Run, from: usize) -> Answer {
    let followed = site.followed(run);
    let progress = match read_on(site, run, &followed) {
        Ok(progress) => progress,
        Err(error) => return Answer::refused(500, &error.to_string()),
    };
    let from = from.min(progress.points.len());
    let new = &progress.points[from..(from + MOST_POINTS).min(progress.points.len())];
    let mut curves: BTreeMap<(usize, &str), Vec<(u64, Real)>> = BTreeMap::new();
    for point in new {
        curves.entry((point.instance, &point.name)).or_default().push((point.epoch, Real(point.value)));
    }
    let name = |at: usize| progress.instances.get_index(at).map_or("", |(name, _)| name);
    let curves: Vec<Curve<'_>> =
        curves.into_iter().map(|((at, name_), points)| Curve { instance: name(at), name: name_, points }).collect();
    Answer::json(&json!({ "format": 1, "next": from + new.len(), "curves": curves }))
}

/// The most bytes of events in one answer.
const MOST_BYTES: usize = 1 << 20;

/// The events, from a byte on: whole lines.
pub(super) fn events(site: &Site, run: &Run, from: u64) -> Answer {
    let mut bytes = match site.store.run_events(&run.record.id, from) {
        Ok(bytes) => bytes,
        Err(error) => return Answer::refused(500, &error.to_string()),
    };
    if bytes.len() > MOST_BYTES {
        let end = bytes[..MOST_BYTES].iter().rposition(|&byte| byte == b'\n');
        // A line longer than that is sent whole.
        let end = end.or_else(|| bytes.iter().position(|&byte| byte == b'\n'));
        bytes.truncate(end.map_or(0, |end| end + 1));
    }
    let lines: Vec<Value> =
        bytes.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    Answer::json(&json!({ "format": 1, "next": from + bytes.len() as u64, "lines": lines }))
}
