//! Two users share a cache on a machine that shows neither the processes of the other (`hidepid=2`).

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use crate::support::{Project, finish, skipped};

const TRAINING: &str = r#"
[stage.images]
kind = "dataset"
train = 40
test = 20
size = 8

[stage.net]
kind = "supervised"
inputs = { train = "images.train", test = "images.test" }
encoder = { kind = "resnet", n = 1, width = 0.25 }
epochs = 120
batch_size = 10
"#;

/// The first user trains; when it has begun, the second wants the same.
const SCRIPT: &str = r#"
mount -t proc -o hidepid=2 proc /proc || exit 99
as() { user=$1; shift; setpriv --reuid $user --regid 64000 --clear-groups "$@"; }
as 64001 "$0" schema > /dev/null || exit 99
umask 000
as 64001 "$0" run pipelines/p.toml --threads 1 --events a.jsonl > a.out 2> a.err &
until grep -q '"stage_started".*"net"' a.jsonl 2> /dev/null; do
    kill -0 $! || exit 1
    sleep 0.01
done
as 64002 "$0" run pipelines/p.toml --threads 1 --events b.jsonl > b.out 2> b.err || exit 2
wait $! || exit 3
"#;

#[test]
fn a_holder_that_cannot_be_seen_is_waited_for() {
    let project = Project::with(TRAINING);
    for folder in ["", "pipelines"] {
        fs::set_permissions(project.path(folder), fs::Permissions::from_mode(0o777)).expect("a folder of ours");
    }
    if Command::new("unshare").arg("--version").output().is_err() {
        return skipped("there is no `unshare` (util-linux)");
    }
    let mut command = Command::new("unshare");
    command.args(["-mpf", "--kill-child", "bash", "-c", SCRIPT]).arg(env!("CARGO_BIN_EXE_strata"));
    let ran = finish(command.current_dir(project.path("")).env_remove("STRATA_CACHE_DIR"));
    let read = |name: &str| fs::read_to_string(project.path(name)).unwrap_or_default();
    if ran.code == Some(99) || ran.err.contains("unshare failed") {
        return skipped(&format!("no namespace with two users can be had: {}", ran.err));
    }
    assert_eq!(ran.code, Some(0), "{}{}{}", ran.err, read("a.err"), read("b.err"));
    let starts = |name: &str| read(name).matches("\"stage_started\"").count();
    assert_eq!((starts("a.jsonl"), starts("b.jsonl")), (2, 0), "{}", read("b.err"));
    assert!(read("b.jsonl").contains("\"event\":\"waiting\""), "{}", read("b.err"));
}
