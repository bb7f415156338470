//! How values are written as JSON: the text that is hashed, numbers that JSON has no form for, files that show damage.

pub(super) mod canonical;
pub(super) mod number;
pub(super) mod record;
