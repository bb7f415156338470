//! Planning and the run loop. Knows no tensor and no kind of stage.
//!
//! The states of an instance during a run:
//!
//! ```text
//!             inputs known, decide()
//!   Pending ───────────────────────────► Finished(Cached)      its results are in the cache
//!      │  │
//!      │  └────────────► Running ──────► Finished(Ran)         committed: objects, then the manifest
//!      │    decide()        │  │
//!      │                    │  └───────► Finished(Failed)      after its retries
//!      │                    ▼
//!      │                 Pending          an input was damaged: its maker runs first, then this again
//!      ▼
//!   Finished(Blocked)                     something that it needs failed, or the run was stopped
//! ```
//!
//! A plan is a run with the execution left out: both ask [`decide::decide`]. Below the first instance that must run, a
//! plan says `waiting`, since whether an instance below must run depends on the bytes that come out above.

mod begin;
mod coordinator;
mod crew;
mod cycle;
pub mod decide;
mod define;
mod end;
pub mod event;
mod expand;
pub mod graph;
pub mod halving;
mod instance;
mod limits;
pub mod plan;
pub mod price;
mod projection;
pub mod reason;
mod recipe;
mod recompute;
mod remake;
mod rounds;
pub mod run;
pub mod schedule;
mod tie;
mod unroll;
mod wiring;
mod worker;

pub use decide::Verdict;
pub use event::{Event, Reporter, Status};
pub use graph::{Graph, Selection};
pub use halving::{Climb, Ladder, Point};
pub use instance::{Axes, Definition, Instance, Link, parts_of, plain};
pub use plan::{Plan, Planned, plan};
pub use reason::Reason;
pub use recompute::{Recomputed, recompute, trajectory};
pub use run::{Counts, Options, Outcome, Report, run};
