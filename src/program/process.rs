//! Runs a program: in a process group of its own, with a log, a time limit and a way to stop it, so that nothing that it
//! started outlives it.

use std::{
    io::{self, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, test_kill_process_group, waitid,
};

use super::{guard::Guard, log::Log};

/// Time between two looks at the events and at whether to stop.
const TICK: Duration = Duration::from_millis(50);
/// Time that a program has to save its state after SIGTERM.
const SAVE: Duration = Duration::from_secs(10);
/// Time that processes which a program started may outlive it.
const GRACE: Duration = Duration::from_secs(2);
/// The environment variable by which the processes of a program are recognised: the key of its trajectory.
pub(super) const MARK: &str = "STRATA_TRAJECTORY";

/// Why a program was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The run was asked to stop.
    Cancelled,
    /// It ran for too long.
    TimedOut,
}

/// How a program ended.
pub(super) struct End {
    /// Its exit code or signal.
    pub status: ExitStatus,
    /// Why it was stopped, if it was.
    pub stopped: Option<Stop>,
    /// Whether processes that it started outlived it and were killed.
    pub stragglers: bool,
}

impl End {
    /// Says how it ended, as a fragment: "exit code 1", "signal 9 (SIGKILL)".
    pub(super) fn words(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => match name(signal) {
                Some(name) => format!("signal {signal} ({name})"),
                None => format!("signal {signal}"),
            },
            (None, None) => self.status.to_string(),
        }
    }
}

fn name(signal: i32) -> Option<&'static str> {
    let names = [
        (libc::SIGHUP, "SIGHUP"),
        (libc::SIGINT, "SIGINT"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGPIPE, "SIGPIPE"),
        (libc::SIGTERM, "SIGTERM"),
    ];
    names.into_iter().find(|(number, _)| *number == signal).map(|(_, name)| name)
}

/// Runs a program to its end. `tick` is called often, and answers why the program should stop, if it should.
///
/// # Errors
/// If the program cannot be started.
pub(super) fn run(
    mut command: Command,
    mark: &str,
    log: &Arc<Mutex<Log>>,
    mut tick: impl FnMut() -> Option<Stop>,
) -> io::Result<End> {
    // A strata that was killed may have left the program behind. Its lock is ours now, so these are orphans.
    kill_all(mark);
    let (reader, writer) = io::pipe()?;
    command.env(MARK, mark).stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    let mut child = command.spawn()?;
    // It holds the ends of the pipe that the program writes to.
    drop(command);
    let group = Pid::from_child(&child);
    let guard = Guard::over(group);
    let logged = keep(reader, Arc::clone(log));
    let ended = watch(group);

    let (mut stopped, mut deadline) = (None, None);
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(TICK) {
        let wanted = tick();
        if stopped.is_none() && wanted.is_some() {
            (stopped, deadline) = (wanted, Some(Instant::now() + SAVE));
            let _ = kill_process_group(group, Signal::TERM);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            deadline = None;
            let _ = kill_process_group(group, Signal::KILL);
            kill_all(mark);
        }
    }
    let stragglers = reap(&mut child, group, mark, stopped.is_some());
    drop(guard);
    // A process that escaped all of this may hold the pipe open for ever.
    let _ = logged.recv_timeout(GRACE);
    Ok(End { status: child.wait()?, stopped, stragglers })
}

/// Waits until every process of the group is gone, and kills those that take too long. Returns whether there were any.
fn reap(child: &mut Child, group: Pid, mark: &str, stopped: bool) -> bool {
    let _ = child.wait();
    let until = Instant::now() + if stopped { Duration::ZERO } else { GRACE };
    while test_kill_process_group(group).is_ok() {
        if Instant::now() >= until {
            let _ = kill_process_group(group, Signal::KILL);
            kill_all(mark);
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    // Those that left the group are found by their environment.
    kill_all(mark)
}

/// Sends a message when a child has ended. The child stays a zombie, so that its number cannot name another process.
fn watch(pid: Pid) -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while waitid(WaitId::Pid(pid), options).is_err_and(|error| error == rustix::io::Errno::INTR) {}
        let _ = sender.send(());
    });
    receiver
}

/// Copies what a program prints to its log, and sends a message at the end.
fn keep(mut from: impl Read + Send + 'static, log: Arc<Mutex<Log>>) -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => log.lock().unwrap_or_else(PoisonError::into_inner).push(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let _ = sender.send(());
    });
    receiver
}

/// Kills every process whose environment has this mark, and returns whether there was any. Only Linux shows it.
fn kill_all(mark: &str) -> bool {
    let wanted = format!("{MARK}={mark}");
    let mut any = false;
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|_| is_marked(&entry.path(), wanted.as_bytes())) else { continue };
        any |= kill_process(pid, Signal::KILL).is_ok();
    }
    any
}

fn is_marked(process: &std::path::Path, wanted: &[u8]) -> bool {
    let environment = std::fs::read(process.join("environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == wanted)
}
