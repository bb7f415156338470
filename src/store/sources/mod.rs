//! Source files: files outside the cache that stages read.

pub(super) mod memo;
pub(super) mod witness;
