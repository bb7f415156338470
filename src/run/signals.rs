//! Handles the signals that ask the process to stop.

use std::{
    io, mem, ptr,
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

/// Returns a flag that SIGINT, SIGTERM and SIGHUP set. A second signal ends the process at once, which is safe, since
/// the cache is valid at any moment. A signal that was ignored when the process started (`nohup`, `trap "" INT`) stays
/// ignored.
///
/// # Errors
/// If the system refuses a handler.
pub fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if is_ignored(signal)? {
            continue;
        }
        // This order matters: the first signal must find the flag unset.
        flag::register_conditional_shutdown(signal, 128 + SIGINT, Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// Returns whether the process was started with a signal ignored.
fn is_ignored(signal: i32) -> io::Result<bool> {
    let mut action = mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action, `sigaction` only writes the current one to the place that it is given.
    if unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `sigaction` has filled it.
    Ok(unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN)
}
