//! Scratch memory that each thread uses again and again.

use std::cell::RefCell;

/// Floats that a kernel may read after the end of a tile, since it reads a row of `B` in whole panels.
const SLACK: usize = 64;

/// Number of blocks that a thread keeps for its next units.
const KEPT: usize = 8;

thread_local! {
    static SPARE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

fn spare() -> Vec<f32> {
    SPARE.with(|spare| spare.borrow_mut().pop()).unwrap_or_default()
}

/// A block of scratch memory of this thread, which goes back to the thread when it is dropped.
pub(crate) struct Scratch(Vec<f32>);

impl Scratch {
    /// `len` zeros, and some more after them.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut block = spare();
        block.clear();
        block.resize(len + SLACK, 0.0);
        Self(block)
    }

    /// `len` floats of any value.
    pub(crate) fn any(len: usize) -> Self {
        let mut block = spare();
        block.resize(len + SLACK, 0.0);
        Self(block)
    }

    /// Makes room for `len` floats.
    pub(crate) fn grow(&mut self, len: usize) {
        if self.0.len() < len {
            self.0.resize(len + SLACK, 0.0);
        }
    }
}

impl std::ops::Deref for Scratch {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl std::ops::DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let block = std::mem::take(&mut self.0);
        SPARE.with(|spare| {
            let mut spare = spare.borrow_mut();
            // Partial sums are allocated by many threads and dropped by one, which would otherwise keep all of them.
            if spare.len() < KEPT {
                spare.push(block);
            }
        });
    }
}
