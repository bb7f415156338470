//! Decides which instances run next, by the results so far. Random search does not need this, since its points are axes
//! of the pipeline.
//!
//! Reading order: `ladder`, the rungs of a halving search; `drive`, the climb that a run and a plan share; `passes` and
//! `plan`, which run and plan a search; `until_ci`, which adds seeds until intervals are narrow enough.

mod drive;
mod error;
mod ladder;
mod passes;
mod plan;
mod until_ci;

pub use self::{
    drive::Remark,
    error::SearchError,
    ladder::{Climb, Ladder, Point},
    passes::Passes,
    plan::plan,
    until_ci::{Precision, Verdict},
};
