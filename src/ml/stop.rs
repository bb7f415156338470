//! The check whether work should end.

use super::{Error, Result};

/// Called now and then from any thread. It returns true when the work should end with [`Error::Cancelled`].
pub type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// Never stops.
#[must_use]
pub fn never() -> bool {
    false
}

/// Fails if it is time to stop.
///
/// # Errors
/// [`Error::Cancelled`].
pub fn proceed(stop: &dyn Fn() -> bool) -> Result<()> {
    if stop() { Err(Error::Cancelled) } else { Ok(()) }
}
