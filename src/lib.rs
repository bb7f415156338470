//! strata: a declarative experiment-graph runner for machine-learning research.

pub mod cli;
pub mod diagnostic;
pub mod digest;
pub mod engine;
pub mod ml;
pub mod pipeline;
pub mod report;
pub mod stage;
pub mod stages;
pub mod store;
pub mod threads;
