//! strata: a declarative experiment-graph runner for machine-learning research.

pub mod digest;
pub mod ml;
pub mod stage;
pub mod stages;
pub mod store;
