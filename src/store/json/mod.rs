//! How values are written as JSON: the text that is hashed, numbers that are not finite, and records that show damage.

pub(super) mod canonical;
pub(super) mod number;
pub(super) mod record;
