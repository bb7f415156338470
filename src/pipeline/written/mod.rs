//! What is written in a pipeline file and on the command line.

pub(super) mod expression;
pub(super) mod overrides;
pub(super) mod range;
pub(super) mod resources;
pub(super) mod toml_help;

use super::*;
