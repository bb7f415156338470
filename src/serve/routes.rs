//! What an address means.

use serde_json::json;

use super::{answer::Answer, graph, page, results, runs, site::Site};
use crate::store::{Run, RunId};

impl Site {
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
            ["report", id] => Some(self.with_run(id, |run| match self.report(run) {
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
        match runs::listing(self, is_live) {
            Ok(listing) => Answer::json(&listing),
            Err(error) => Answer::refused(500, &error.to_string()),
        }
    }

    fn results(&self, file: Option<&str>) -> Answer {
        match runs::listing(self, false) {
            Ok(listing) => results::answer(self, &listing.runs, file),
            Err(error) => Answer::refused(500, &error.to_string()),
        }
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
