//! Earlier listings. `check`, the key and the run all need a listing, and a folder may hold 100,000 files.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Naming, listing::Listing, walk::State};
use crate::ml::Result;

/// How a folder is listed: where its classes stand, and whether it is one part.
type How = (Naming, bool);

/// The latest listings by their path and how they were made.
static KNOWN: Mutex<Vec<(PathBuf, How, Arc<Listing>)>> = Mutex::new(Vec::new());
/// Number of listings that are kept.
const MOST: usize = 4;
/// Seconds without a change before a listing is kept. The times of the file system are coarse, and a change within this
/// time would not be seen.
const GRAIN: i64 = 1;

/// The listing of `root`. It is made again if one of its folders changed.
pub(super) fn listing(root: &Path, how: How, make: impl FnOnce() -> Result<Listing>) -> Result<Arc<Listing>> {
    let lock = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known =
        lock().iter().find(|(path, known, _)| path == root && *known == how).map(|(.., listing)| listing.clone());
    if let Some(known) = known.filter(|known| is_current(known)) {
        return Ok(known);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
    let listing = Arc::new(make()?);
    let mut known = lock();
    known.retain(|(path, known, _)| path != root || *known != how);
    let times = || listing.folders.iter().flat_map(|(_, state)| state.changed);
    if times().all(|(seconds, _)| seconds + GRAIN < now) {
        if known.len() == MOST {
            known.remove(0);
        }
        known.push((root.to_owned(), how, listing.clone()));
    }
    Ok(listing)
}

fn is_current(listing: &Listing) -> bool {
    let now = |folder: &PathBuf| fs::metadata(folder).ok().map(|found| State::of(&found));
    listing.folders.iter().all(|(folder, state)| now(folder) == Some(*state))
}
