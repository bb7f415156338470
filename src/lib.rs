//! strata: a declarative experiment-graph runner for machine-learning research.

pub mod amount;
pub mod cli;
pub mod diagnostic;
pub mod digest;
pub mod experiment;
pub mod graph;
pub mod ml;
pub mod pipeline;
pub mod plan;
pub mod report;
pub mod results;
pub mod run;
pub mod search;
pub mod stage;
pub mod stages;
pub mod store;
pub mod threads;
