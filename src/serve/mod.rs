//! The page of a cache: what runs, what ran, and the results, for browsers of this machine. It reads and never writes.
//!
//! ```text
//! /                              the page, and its parts below /page/
//! /api/about                     the version and the cache
//! /api/live                      the runs under way, and a stamp that changes when the list of runs does
//! /api/runs                      all runs, newest first
//! /api/runs/ID                   a run: its instances and how each stands
//! /api/runs/ID/file              the text that it ran
//! /api/runs/ID/curves?from=N     the points of its curves, from the one with this number on
//! /api/runs/ID/events?from=N     its events, from this byte on
//! /api/runs/ID/graph             what depends on what
//! /api/results?of=FILE           all results of a pipeline file
//! /api/log/KEY                   what a program printed
//! /report/ID                     the report of a run
//! ```
//!
//! Every answer of `/api` is JSON with `"format": 1`. Ids, keys and names in an address are looked up; none becomes a part of a
//! path.
//!
//! Reading order: `http` and `server`, who is answered; `answer`, with which headers; `routes`, what an address means; `events`, how a run
//! stands by its events; `site` and `listed`, what is remembered between two requests; `runs`, `graph`, `results`, the documents. `page/` is what the browser shows, in modules without a
//! build step: `main.js` chooses the view.

mod answer;
mod events;
mod graph;
mod http;
mod listed;
mod page;
mod results;
mod routes;
mod runs;
mod server;
mod site;

pub use server::{ServeError, Server};
pub use site::{Reports, Site};
