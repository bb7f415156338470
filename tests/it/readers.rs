//! Readers of standard output that leave early do not change the exit code.

use std::{fs::File, process::Stdio};

use crate::support::{NEIGHBOURS, Project};

/// The exit code where nobody reads standard output.
fn unread(project: &Project, args: &[&str]) -> Option<i32> {
    let mut command = project.command();
    let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    drop(child.stdout.take());
    child.wait().expect("it ends").code()
}

#[test]
fn a_reader_that_has_gone_does_not_change_the_exit_code() {
    let project = Project::with(NEIGHBOURS);
    let run = ["run", "pipelines/p.toml"];
    let bad = ["run", "pipelines/p.toml", "-S", "images.source=image_folder", "-S", "images.path=none"];
    for output in ["text", "json", "csv", "markdown", "latex"] {
        let with = |args: &[&'static str]| [args, &["--output", output]].concat();
        assert_eq!(unread(&project, &with(&["plan", "pipelines/p.toml", "--exit-code"])), Some(3), "{output}");
        let interrupted = unread(&project, &with(&[&run[..], &["--budget", "1ms"]].concat()));
        assert_eq!(interrupted, Some(130), "{output}");
        let failed = project.strata(&with(&bad)).code;
        assert!(failed.is_some_and(|code| code != 0), "{output}");
        assert_eq!(unread(&project, &with(&bad)), failed, "{output}");
    }
    assert_eq!(unread(&project, &run), Some(0));
    for verb in ["plan", "table", "check", "graph", "why"] {
        let stage: &[&str] = if verb == "why" { &["knn"] } else { &[] };
        assert_eq!(unread(&project, &[&[verb, "pipelines/p.toml"], stage].concat()), Some(0), "{verb}");
    }
    assert_eq!(unread(&project, &["plan", "pipelines/p.toml", "--exit-code"]), Some(0), "nothing to do");
}

#[test]
fn a_full_disk_is_no_reader() {
    let Ok(full) = File::options().write(true).open("/dev/full") else {
        return crate::support::skipped("there is no /dev/full");
    };
    let project = Project::with(NEIGHBOURS);
    let status = project.command().args(["run", "pipelines/p.toml", "-q"]).stdout(full).status();
    assert_eq!(status.expect("it ends").code(), Some(1));
}
