//! The threads that planning and hashing share. Stages have pools of their own.

use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Does `work` in a pool of as many threads as there are cores, so that its parallel iterators use them. Inside another
/// pool it uses that one. Where the system refuses threads, `work` has the present thread alone.
///
/// The pool that rayon makes by itself ends the process with a panic where threads are refused.
pub fn shared<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    if rayon::current_thread_index().is_some() {
        return work();
    }
    let make = || {
        let pool = ThreadPoolBuilder::new().build().ok();
        if pool.is_none() {
            // It starts no thread. Only the present thread works in it, and without threads there is no other.
            let _ = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global();
        }
        pool
    };
    match POOL.get_or_init(make) {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// The number of cores that this process may use.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks; results do not depend on it")]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
