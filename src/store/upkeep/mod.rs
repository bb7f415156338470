//! What stays in the cache and what goes.

pub(super) mod gc;
mod leftovers;
mod pins;
pub(super) mod verify;
