//! The parts of the page. They are in the program, so there is no folder to look for and no path to guess.

use super::answer::{Answer, HTML};

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

macro_rules! parts {
    ($($name:literal: $kind:expr),* $(,)?) => {
        /// The parts by their names.
        const PARTS: &[(&str, &str, &str)] = &[$(($name, $kind, include_str!(concat!("page/", $name)))),*];
    };
}

parts! {
    "index.html": HTML,
    "page.css": CSS,
    "api.js": JS,
    "curves.js": JS,
    "diff.js": JS,
    "dom.js": JS,
    "filter.js": JS,
    "graph.js": JS,
    "log.js": JS,
    "main.js": JS,
    "plots.js": JS,
    "results.js": JS,
    "run.js": JS,
    "runs.js": JS,
    "statistics.js": JS,
    "table.js": JS,
}

/// Returns a part of the page, if there is one of this name.
pub(super) fn part(name: &str) -> Option<Answer> {
    PARTS.iter().find(|(known, ..)| *known == name).map(|(_, kind, text)| Answer::part(kind, text))
}
