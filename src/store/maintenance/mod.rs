//! Maintenance: what is deleted to make room, what is kept in any case, and whether everything is undamaged.

pub(super) mod gc;
mod leftovers;
mod pins;
pub(super) mod verify;
