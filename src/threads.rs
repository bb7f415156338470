//! The thread pool that planning and hashing share. Stages have pools of their own.

use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Runs `work` in a pool with as many threads as there are cores, so that its parallel iterators use them. Inside
/// another pool it uses that one. If the system refuses threads, `work` runs on the current thread alone.
///
/// The pool that rayon creates by itself would panic and end the process if threads are refused.
pub fn shared<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    if rayon::current_thread_index().is_some() {
        return work();
    }
    let make = || {
        let pool = ThreadPoolBuilder::new().build().ok();
        if pool.is_none() {
            // This pool starts no thread. Only the current thread works in it, and no other thread exists.
            let _ = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global();
        }
        pool
    };
    match POOL.get_or_init(make) {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Returns the number of cores that this process may use.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks; results do not depend on it")]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
