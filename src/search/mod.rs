//! Which instances next, by the results so far.

mod ladder;

pub use ladder::{Climb, Ladder, Point};
