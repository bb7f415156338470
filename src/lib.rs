//! strata: a declarative experiment-graph runner for machine-learning research.

pub mod ml;
