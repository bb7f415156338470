//! An allocator that keeps large blocks for the next step instead of handing their pages back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Blocks from this size on are kept: below it the system's allocator keeps them itself.
const LARGE: usize = 1 << 18;
/// Large blocks lie at the start of a huge page.
const HUGE_PAGE: usize = 1 << 21;
/// At most so many freed blocks are kept.
const SLOTS: usize = 256;
/// At most so many freed bytes are kept, beside what is in use.
const KEEP: usize = 6 << 30;

/// The system's allocator, except that freed large blocks are reused for results of a like size.
///
/// A training step allocates the same activations again and again; each time the system would map fresh pages and fault
/// them in, which costs about as much as a pass over the memory.
pub struct Reuse {
    /// Freed blocks: address and size.
    free: Mutex<Free>,
    kept: AtomicUsize,
}

struct Free {
    blocks: [(usize, usize); SLOTS],
    count: usize,
}

impl Reuse {
    /// An allocator that keeps nothing yet; for `#[global_allocator]`.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a static needs a const constructor")]
    pub const fn new() -> Self {
        Self { free: Mutex::new(Free { blocks: [(0, 0); SLOTS], count: 0 }), kept: AtomicUsize::new(0) }
    }

    /// A kept block of exactly `size` bytes.
    fn take(&self, size: usize) -> Option<*mut u8> {
        let mut free = self.free.lock().ok()?;
        // The block freed last is the likeliest to be in the cache.
        let count = free.count;
        let index = free.blocks[..count].iter().rposition(|&(_, other)| other == size)?;
        let (address, _) = free.blocks[index];
        free.blocks.copy_within(index + 1..count, index);
        free.count -= 1;
        self.kept.fetch_sub(size, Ordering::Relaxed);
        Some(std::ptr::with_exposed_provenance_mut(address))
    }

    /// Keeps a block; the oldest blocks make room. Returns what must be handed back to the system.
    fn keep(&self, block: *mut u8, size: usize) -> Option<(*mut u8, usize)> {
        let Ok(mut free) = self.free.lock() else { return Some((block, size)) };
        if size > KEEP / 4 {
            return Some((block, size));
        }
        let mut out = None;
        let count = free.count;
        if count == SLOTS || self.kept.load(Ordering::Relaxed) + size > KEEP {
            if count == 0 {
                return Some((block, size));
            }
            let (address, other) = free.blocks[0];
            free.blocks.copy_within(1..count, 0);
            free.count -= 1;
            self.kept.fetch_sub(other, Ordering::Relaxed);
            out = Some((std::ptr::with_exposed_provenance_mut(address), other));
        }
        let count = free.count;
        free.blocks[count] = (block.expose_provenance(), size);
        free.count += 1;
        self.kept.fetch_add(size, Ordering::Relaxed);
        out
    }
}

/// The size and alignment that a large request gets: a sixteenth of slack at most, so that like sizes share blocks.
fn class(layout: Layout) -> Option<Layout> {
    if layout.size() < LARGE || layout.align() > 4096 {
        return None;
    }
    let grain = (layout.size().next_power_of_two() / 32).max(4096);
    let size = layout.size().checked_next_multiple_of(grain)?;
    Layout::from_size_align(size, alignment(size)).ok()
}

fn alignment(size: usize) -> usize {
    if size >= HUGE_PAGE { HUGE_PAGE } else { 4096 }
}

// SAFETY: small requests go to the system's allocator as they are. A large one gets a block of its class, which has at
// least the size and alignment asked for, from the system or from the list of freed blocks, where each block lies once,
// after its owner gave it back. The list holds the class's size, and `class` is a function of the layout, so a block goes
// back to the system with the layout it came with.
unsafe impl GlobalAlloc for Reuse {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class(layout) else { return unsafe { System.alloc(layout) } };
        if let Some(block) = self.take(class.size()) {
            return block;
        }
        let block = unsafe { System.alloc(class) };
        if !block.is_null() && class.size() >= HUGE_PAGE {
            advise(block, class.size());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if class(layout).is_none() {
            return unsafe { System.alloc_zeroed(layout) };
        }
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(class) = class(layout) else { return unsafe { System.dealloc(block, layout) } };
        if let Some((block, size)) = self.keep(block, class.size()) {
            // SAFETY: the size is a class's size, and the alignment of a class follows from its size.
            unsafe { System.dealloc(block, Layout::from_size_align_unchecked(size, alignment(size))) };
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else { return std::ptr::null_mut() };
        match (class(layout), class(wanted)) {
            (None, None) => unsafe { System.realloc(block, layout, size) },
            (Some(old), Some(new)) if old == new => block,
            _ => {
                let moved = unsafe { self.alloc(wanted) };
                if !moved.is_null() {
                    unsafe {
                        moved.copy_from_nonoverlapping(block, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                }
                moved
            }
        }
    }
}

/// Asks Linux for huge pages: fewer faults, fewer misses of the address cache.
#[cfg(target_os = "linux")]
fn advise(block: *mut u8, size: usize) {
    use std::ffi::{c_int, c_void};
    unsafe extern "C" {
        fn madvise(start: *mut c_void, length: usize, advice: c_int) -> c_int;
    }
    const HUGE: c_int = 14;
    // SAFETY: the range is a live block that starts at a page; the advice changes no contents. A refusal does no harm.
    unsafe { madvise(block.cast(), size / 4096 * 4096, HUGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise(_: *mut u8, _: usize) {}
