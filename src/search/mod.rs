//! Which instances next, by the results so far. Random search needs nothing of this: its points are axes of the pipeline.
//!
//! Reading order: `ladder`, the rungs of a halving search; `drive`, the climb that a run and a plan share; `passes` and
//! `plan`, the two; `until_ci`, more seeds until intervals are narrow enough.

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
