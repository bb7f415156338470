//! What an address means.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use serde_json::json;

use super::{
    answer::Answer,
    graph, page, results,
    runs::{self, Followed, Listed, Listing},
};
use crate::{
    experiment::is_of,
    stage::Registry,
    store::{Run, RunId, Store, StoreError},
};

/// Makes the report of a run as HTML; an error is a message for people.
pub type Reports = Box<dyn Fn(&Run) -> Result<String, String> + Send + Sync>;

/// What is served: the runs and results of a cache.
pub struct Site {
    pub(super) store: Store,
    pub(super) kinds: Registry,
    /// Show only what is of this pipeline file.
    pub(super) file: Option<PathBuf>,
    reports: Reports,
    /// The runs that ended: their records do not change.
    ended: Mutex<BTreeMap<RunId, Listed>>,
    /// How the runs that somebody looks at stand, as far as their events were read.
    followed: Mutex<BTreeMap<RunId, Followed>>,
}

/// The most runs whose events are kept in memory.
const MOST_FOLLOWED: usize = 64;

impl Site {
    /// Serves a cache; with `file`, only the runs of this pipeline file.
    #[must_use]
    pub fn new(store: Store, kinds: Registry, file: Option<PathBuf>, reports: Reports) -> Self {
        let (ended, followed) = (Mutex::default(), Mutex::default());
        Self { store, kinds, file, reports, ended, followed }
    }

    /// Answers a request for an address: a path, perhaps with a query.
    pub(super) fn answer(&self, address: &str) -> Answer {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let asked = Query(query);
        let parts: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        match parts[..] {
            [""] => page::part("index.html"),
            ["page", name] => page::part(name),
            ["api", "about"] => Some(self.about()),
            ["api", "live"] => Some(self.listing(true)),
            ["api", "runs"] => Some(self.listing(false)),
            ["api", "runs", id] => Some(self.with_run(id, |run| runs::one(self, run))),
            ["api", "runs", id, "file"] => Some(self.with_run(id, |run| Answer::json(&runs::file(run)))),
            ["api", "runs", id, "curves"] => {
                Some(self.with_run(id, |run| asked.number("from", |from| runs::curves(self, run, from as usize))))
            }
            ["api", "runs", id, "events"] => {
                Some(self.with_run(id, |run| asked.number("from", |from| runs::events(self, run, from))))
            }
            ["api", "runs", id, "graph"] => Some(self.with_run(id, |run| graph::answer(self, run))),
            ["api", "results"] => Some(self.results(asked.text("of").as_deref())),
            ["api", "log", key] => Some(self.log(key)),
            ["report", id] => Some(self.with_run(id, |run| match (self.reports)(run) {
                Ok(html) => Answer::report(html),
                Err(why) => Answer::refused(409, &why),
            })),
            _ => None,
        }
        .unwrap_or_else(|| Answer::absent("there is nothing under this address"))
    }

    fn about(&self) -> Answer {
        let file = self.file.as_ref().map(|file| file.display().to_string());
        let cache = self.store.place();
        Answer::json(&json!({ "format": 1, "version": env!("CARGO_PKG_VERSION"), "cache": cache, "file": file }))
    }

    /// Lists runs: all, or those under way.
    fn listing(&self, is_live: bool) -> Answer {
        match self.list(is_live) {
            Ok(listing) => Answer::json(&listing),
            Err(error) => Answer::refused(500, &error.to_string()),
        }
    }

    fn list(&self, is_live: bool) -> Result<Listing, StoreError> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        runs::listing(self, &mut ended, is_live)
    }

    fn results(&self, file: Option<&str>) -> Answer {
        match self.list(false) {
            Ok(listing) => results::answer(self, &listing.runs, file),
            Err(error) => Answer::refused(500, &error.to_string()),
        }
    }

    /// Whether a run is one of those that are shown.
    pub(super) fn shows(&self, run: &Run) -> bool {
        self.file.as_ref().is_none_or(|file| is_of(run, file))
    }

    fn with_run(&self, id: &str, answer: impl FnOnce(&Run) -> Answer) -> Answer {
        let absent = || Answer::absent(&format!("there is no run {id}"));
        let Ok(id) = id.parse::<RunId>() else { return Answer::absent("there is no run of this name") };
        match self.store.run(&id) {
            Ok(Some(run)) if self.shows(&run) => answer(&run),
            Ok(_) => absent(),
            Err(passed_over) => Answer::refused(409, &passed_over.to_string()),
        }
    }

    /// Returns how far the events of a run were read. The caller reads on under its lock.
    pub(super) fn followed(&self, run: &Run) -> Followed {
        let mut all = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_FOLLOWED && !all.contains_key(&run.record.id) {
            all.pop_first();
        }
        all.entry(run.record.id.clone()).or_default().clone()
    }

    fn log(&self, key: &str) -> Answer {
        let Ok(parsed) = key.parse() else { return Answer::absent("there is no work under this key") };
        match self.store.log(&parsed) {
            Ok(log) => {
                let log = log.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                Answer::json(&json!({ "format": 1, "key": key, "log": log }))
            }
            Err(error) => Answer::refused(500, &error.to_string()),
        }
    }
}

/// The part of an address after `?`.
struct Query<'a>(&'a str);

impl Query<'_> {
    /// Returns the text that a name has.
    fn text(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.0.as_bytes()).find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    /// Answers with the number that a name has, 0 if it has none.
    fn number(&self, name: &str, answer: impl FnOnce(u64) -> Answer) -> Answer {
        match self.text(name).map_or(Ok(0), |value| value.parse()) {
            Ok(number) => answer(number),
            Err(_) => Answer::refused(400, &format!("`{name}` must be a whole number")),
        }
    }
}
