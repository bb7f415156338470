//! Who holds a lock, and whether that process is still there.

use std::{
    collections::BTreeSet,
    fs, io,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};

use crate::digest::StageKey;

/// The process that holds a lock, and its progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The machine's name.
    pub host: String,
    /// The process there.
    pub pid: u32,
    /// When the process started, in the system's ticks: this tells two processes with the same pid apart.
    pub started: u64,
    /// Its progress, for people: `epoch 3/10`.
    pub progress: String,
    /// The finished work and the trajectories that it needs, which garbage collection must not delete.
    #[serde(default)]
    pub needs: BTreeSet<StageKey>,
    /// When it began, in seconds of the store's clock.
    #[serde(default)]
    pub began: u64,
    /// Different for every acquisition.
    pub(super) token: String,
}

impl Holder {
    pub(super) fn here() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let (host, pid) = (host(), std::process::id());
        let started = if let Process::Began(ticks) = process(pid) { ticks } else { 0 };
        let token = format!("{host}-{pid}-{started}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let needs = BTreeSet::new();
        Self { host, pid, started, progress: "starting".to_owned(), needs, began: 0, token }
    }

    /// Returns the holder that the bytes of a lock name. If they cannot be parsed, the holder is unknown, and only the
    /// lock's age shows that it is lost.
    pub(super) fn of(lock: &[u8]) -> Self {
        serde_json::from_slice(lock).unwrap_or_else(|_| {
            let (host, progress) = ("an unknown machine".to_owned(), "its lock cannot be read".to_owned());
            Self { host, pid: 0, started: 0, progress, needs: BTreeSet::new(), began: 0, token: String::new() }
        })
    }

    /// Returns whether it was a process of this machine that has certainly ended. If this process may not look at it
    /// (another user's, where `/proc` is mounted with `hidepid`), only its beat shows whether it is alive.
    pub(super) fn is_gone(&self) -> bool {
        // Without `/proc` the machine's name is not known, and a pid means nothing.
        self.host == host()
            && Path::new("/proc/self").exists()
            && match process(self.pid) {
                Process::Gone => true,
                Process::Began(ticks) => ticks != self.started,
                Process::Hidden => false,
            }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} on {} ({})", self.pid, self.host, self.progress)
    }
}

/// Returns the machine's name with the ids of its boot and of the process namespace: a pid means nothing after a
/// restart or in another container.
fn host() -> String {
    let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default();
    let boot: String = read("/proc/sys/kernel/random/boot_id").chars().take(8).collect();
    let space: String = namespace.chars().filter(char::is_ascii_digit).collect();
    format!("{}-{boot}-{space}", machine())
}

/// Returns the name of this machine.
pub(in crate::store) fn machine() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// What is known of a process of this machine.
enum Process {
    /// It has ended, or never existed.
    Gone,
    /// It began at this tick since the boot.
    Began(u64),
    /// It exists, but the system shows nothing more.
    Hidden,
}

fn process(pid: u32) -> Process {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return if exists(pid) { Process::Hidden } else { Process::Gone };
    };
    // The name in parentheses may contain anything, so fields are counted from its end: the start is the 22nd of all.
    let mut fields = stat.rfind(')').and_then(|end| stat.get(end + 2..)).unwrap_or_default().split(' ');
    match fields.next() {
        // A zombie has ended, but its parent has not asked for its exit code yet.
        Some("Z" | "X") => Process::Gone,
        _ => fields.nth(18).and_then(|ticks| ticks.parse().ok()).map_or(Process::Hidden, Process::Began),
    }
}

/// Returns whether a process exists, even one that this process must not signal.
fn exists(pid: u32) -> bool {
    // 0 and negative numbers mean groups of processes.
    let Some(pid) = libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 0) else { return false };
    // SAFETY: signal 0 sends nothing; the call only checks whether a signal could be sent.
    let answer = unsafe { libc::kill(pid, 0) };
    answer == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pid that nobody has is gone; this process as it began is not, and one that only its number tells of may live.
    #[test]
    fn what_is_known_of_a_process() {
        let mut child = std::process::Command::new("true").spawn().expect("a process");
        let pid = child.id();
        assert!(exists(pid), "a zombie is there");
        child.wait().expect("it ends");
        assert!(!exists(pid) && !exists(0) && !exists(u32::MAX));
        let here = Holder::here();
        assert!(exists(here.pid) && !here.is_gone());
        assert!(Holder { started: here.started + 1, ..Holder::here() }.is_gone(), "another process of the same number");
        assert!(Holder { pid, ..Holder::here() }.is_gone());
    }
}
