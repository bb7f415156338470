//! The allocator of the program, set up for training.

use std::ffi::{c_int, c_long};

use libmimalloc_sys::{mi_option_get, mi_option_set};

/// A training step frees and allocates the same large blocks again and again; this allocator keeps their pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An option of mimalloc 3: its number, its default, and the value that suits training.
struct Setting {
    option: c_int,
    default: c_long,
    wanted: c_long,
}

const SETTINGS: [Setting; 2] = [
    // Milliseconds after which unused pages are returned to the system. A training step asks for the same blocks again,
    // and a page that has been returned must be zeroed and faulted in anew.
    Setting { option: 15, default: 1_000, wanted: 10_000 },
    // KiB of address space that are reserved at once. Blocks of a hundred megabytes leave large holes in areas of one
    // gigabyte.
    Setting { option: 23, default: 1 << 20, wanted: 16 << 20 },
];

/// Sets up mimalloc for training: freed pages are kept for ten seconds, and large blocks leave few holes between them.
/// The environment variables `MIMALLOC_PURGE_DELAY` and `MIMALLOC_ARENA_RESERVE` take precedence.
pub(crate) fn prepare() {
    for Setting { option, default, wanted } in SETTINGS {
        // SAFETY: both functions access one of mimalloc's options, which are atomics, and ignore numbers that name no
        // option. If the value is not the default, the user has set it or the numbers have changed: then it stays.
        unsafe {
            if mi_option_get(option) == default {
                mi_option_set(option, wanted);
            }
        }
    }
}
