//! What is written, resolved to a `Pipeline`.

pub(super) mod arguments;
pub(super) mod expressions;
pub(super) mod file_value;
pub(super) mod grid;
pub(super) mod loops;
pub(super) mod overlaps;
pub(super) mod params;
pub(super) mod points;
pub(super) mod random;
pub(super) mod search;
pub(super) mod seeds;
pub(super) mod stages;
pub(super) mod sweeps;
pub(super) mod type_errors;
pub(super) mod values;
pub(super) mod variants;

use super::*;
