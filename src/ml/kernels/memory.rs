//! How the allocator treats the memory of training.

use std::ffi::{c_int, c_long};

use libmimalloc_sys::{mi_option_get, mi_option_set};

/// An option of mimalloc 3 by its number, its default, and what training needs.
struct Setting {
    option: c_int,
    default: c_long,
    wanted: c_long,
}

const SETTINGS: [Setting; 2] = [
    // Milliseconds after which pages that nobody uses are handed back. A step asks for the same blocks again; pages that
    // were handed back meanwhile would be zeroed and faulted in anew.
    Setting { option: 15, default: 1_000, wanted: 10_000 },
    // KiB of address space taken at once: blocks of a hundred megabytes leave large holes in areas of one gigabyte.
    Setting { option: 23, default: 1 << 20, wanted: 16 << 20 },
];

/// Sets up mimalloc for training: freed pages are kept for ten seconds, and holes between large blocks are few. What the
/// environment says (`MIMALLOC_PURGE_DELAY`, `MIMALLOC_ARENA_RESERVE`) takes precedence.
pub fn prepare_allocator() {
    for Setting { option, default, wanted } in SETTINGS {
        // SAFETY: both functions touch one of mimalloc's options, which are atomics, and ignore numbers that are none. With
        // another value than the default the user has spoken, or the numbers have changed.
        unsafe {
            if mi_option_get(option) == default {
                mi_option_set(option, wanted);
            }
        }
    }
}
