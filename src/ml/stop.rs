//! How long work is asked to end.

use super::{Error, Result};

/// Asked now and then, from any thread: true once the work should end with [`Error::Cancelled`].
pub type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// Nobody asks.
#[must_use]
pub fn never() -> bool {
    false
}

/// Goes on unless it is time to stop.
///
/// # Errors
/// [`Error::Cancelled`].
pub fn proceed(stop: &dyn Fn() -> bool) -> Result<()> {
    if stop() { Err(Error::Cancelled) } else { Ok(()) }
}
