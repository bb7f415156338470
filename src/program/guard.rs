//! Kills the running programs if strata ends without having ended them: by SIGKILL, a crash, or a second Ctrl-C.
//!
//! A shell waits at the end of a pipe whose other end this process holds. Each line is the list of all process groups
//! that run. When the pipe closes, for whatever reason, it kills the last list. The system offers a signal to children
//! when their parent ends, but it does not reach what they have started.

use std::{
    collections::BTreeSet,
    io::Write,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::process::Pid;

const SCRIPT: &str = "trap '' HUP INT TERM; while read -r line; do groups=$line; done; \
                      for group in $groups; do kill -s KILL -- \"-$group\"; done 2>/dev/null";

/// The shell and the groups that it was told of.
#[derive(Default)]
struct Shell {
    child: Option<Child>,
    groups: BTreeSet<i32>,
}

static SHELL: Mutex<Shell> = Mutex::new(Shell { child: None, groups: BTreeSet::new() });

/// Watches over a process group until it is dropped.
pub(super) struct Guard(i32);

impl Guard {
    /// Watches over a group. Where no shell can be started, the group lacks this protection and no other.
    pub(super) fn over(group: Pid) -> Self {
        let group = group.as_raw_nonzero().get();
        let mut shell = lock();
        if shell.child.is_none() {
            shell.child = start();
        }
        shell.groups.insert(group);
        shell.tell();
        Self(group)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut shell = lock();
        shell.groups.remove(&self.0);
        shell.tell();
    }
}

impl Shell {
    fn tell(&mut self) {
        let groups = self.groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        if let Some(pipe) = self.child.as_mut().and_then(|child| child.stdin.as_mut()) {
            // One write, which a reader sees whole.
            let _ = pipe.write_all(format!("{groups}\n").as_bytes());
        }
    }
}

fn lock() -> MutexGuard<'static, Shell> {
    SHELL.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start() -> Option<Child> {
    let mut shell = Command::new("/bin/sh");
    // In a group of its own, a Ctrl-C in the terminal does not reach it.
    shell.args(["-c", SCRIPT]).current_dir("/").env_clear().process_group(0);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
}
