//! The allocator's pages from one training step to the next.

use std::ffi::{c_int, c_long};

use libmimalloc_sys::{mi_option_get, mi_option_set};

/// mimalloc's `mi_option_purge_delay`: milliseconds after which pages that nobody uses are handed back.
const PURGE_DELAY: c_int = 15;
/// What mimalloc 3 takes by itself, and what a step should find.
const LIBRARY_DEFAULT: c_long = 1_000;
const KEPT: c_long = 10_000;

/// Lets mimalloc keep freed pages for ten seconds instead of one: a step asks for the same blocks again, and pages that
/// were handed back meanwhile would be faulted in and zeroed anew. `MIMALLOC_PURGE_DELAY` in the environment takes
/// precedence.
pub fn keep_pages() {
    // SAFETY: both functions read or write one of mimalloc's options, which are atomics; the option exists in every
    // version 2 and 3. With any other value than the default the user has spoken, or the numbers have changed.
    unsafe {
        if mi_option_get(PURGE_DELAY) == LIBRARY_DEFAULT {
            mi_option_set(PURGE_DELAY, KEPT);
        }
    }
}
