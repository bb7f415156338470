//! Where the system gives no threads, a run fails with a message, and what needs none goes on.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use crate::support::{NEIGHBOURS, Project, Ran, finish, skipped};

/// The binary, below a limit that a shell sets.
fn limited(project: &Project, limit: &str, args: &[&str]) -> Ran {
    let binary = project.command().get_program().to_owned();
    let mut command = Command::new("bash");
    command.args(["-c", &format!("{limit} && exec \"$0\" \"$@\"")]).arg(binary).args(args);
    finish(command.current_dir(project.path("")).stdin(Stdio::null()))
}

#[test]
fn too_many_threads_are_a_failed_run() {
    let project = Project::with(NEIGHBOURS);
    // Few of such stacks fit into the address space, and there is still room for what is small.
    let limit = "export RUST_MIN_STACK=400000000 && ulimit -v 4000000";
    let ran = limited(&project, limit, &["run", "pipelines/p.toml", "--threads", "40"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("failed to start 40 threads") && ran.err.contains("--threads"), "{}", ran.err);
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    project.done(&["run", "pipelines/p.toml", "--threads", "1"]);
}

/// A user whose limit leaves room for one thread: the process itself.
#[test]
fn a_user_without_threads_can_look_but_not_run() {
    let project = Project::with(NEIGHBOURS);
    for folder in ["", "pipelines"] {
        fs::set_permissions(project.path(folder), fs::Permissions::from_mode(0o777)).expect("a folder of ours");
    }
    let user = "ulimit -u 1 && set -- setpriv --reuid 64123 --clear-groups \"$0\" \"$@\" && exec \"$@\"; exit 99";
    let run = |args: &[&str]| limited(&project, &format!("{{ {user}; }}"), args);
    let seen = run(&["schema"]);
    if seen.code != Some(0) {
        return skipped(&format!("no other user can be had: {}", seen.err));
    }
    let ran = run(&["run", "pipelines/p.toml", "--threads", "1"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("failed to start a thread"), "{}", ran.err);
    for verb in ["plan", "check", "table"] {
        let looked = run(&[verb, "pipelines/p.toml"]);
        assert_eq!(looked.code, Some(0), "{verb}: {}", looked.err);
    }
}
