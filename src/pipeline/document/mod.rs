//! Parsed TOML that keeps its places.
//!
//! `paths` looks values up by key path and changes them, `notation` writes them as names and as JSON, and `expressions`
//! finds the expressions among them.

mod expressions;
mod notation;
mod paths;

pub use super::expression::NONE;
pub use expressions::{expressions, replace};
pub use notation::{display, from_json, is_none, to_json, whole};
pub use paths::{covers, get, key_at, look_up, path_at, remove, remove_at, set, shifted, span_of};
