//! Two runs on one cache over a network file system. Each machine remembers for a while which names it did not find there, as
//! NFS clients do, so a result that the other machine just made may seem not to be there. Here two mounts of one folder by
//! sshfs stand for the two machines.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::support::{Project, require, say_skipped};

/// Seconds for which a mount believes what it saw.
const REMEMBERED: u32 = 20;

/// Two mounts of one folder, unmounted when dropped.
struct Mounts {
    folder: tempfile::TempDir,
}

impl Mounts {
    /// Mounts them; `None`, and a line that says so, if this machine cannot.
    fn new() -> Option<Self> {
        let server = ["/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server"];
        let server = server.iter().find(|path| Path::new(path).exists());
        let sshfs = Command::new("sshfs").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        let server = require(server.filter(|_| sshfs.is_ok()), "sshfs with an sftp-server")?;
        let mounts = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        // Sftp over a pipe needs neither a daemon nor a network.
        let command = mounts.path("sftp");
        fs::write(&command, format!("#!/bin/sh\nexec {server}\n")).expect("written");
        fs::set_permissions(&command, fs::Permissions::from_mode(0o755)).expect("made executable");
        fs::create_dir(mounts.path("shared")).expect("a folder");
        for mount in ["m1", "m2"] {
            fs::create_dir(mounts.path(mount)).expect("a folder");
            let times =
                ["dcache", "attr", "entry", "negative"].map(|of| format!("{of}_timeout={REMEMBERED}")).join(",");
            let source = format!("localhost:{}", mounts.path("shared").display());
            let options = format!("ssh_command={},{times}", command.display());
            let done = Command::new("sshfs").args(["-o", &options, &source]).arg(mounts.path(mount)).output();
            let done = done.expect("sshfs starts");
            if !done.status.success() {
                say_skipped(&format!("sshfs cannot mount here: {}", String::from_utf8_lossy(&done.stderr)));
                return None;
            }
        }
        Some(mounts)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for mount in ["m1", "m2"] {
            let gone = ["fusermount3", "fusermount"].iter().any(|program| {
                let done =
                    Command::new(program).args(["-u", "-z"]).arg(self.path(mount)).stderr(Stdio::null()).status();
                done.is_ok_and(|status| status.success())
            });
            assert!(gone || std::thread::panicking() || !self.path(mount).exists(), "{mount} stays mounted");
        }
    }
}

/// Five chains of three programs, each of which notes that it ran.
fn chains(notes: &Path) -> String {
    let notes = notes.display();
    format!(
        r#"
[kind.step]
run = ["sh", "-c", '''echo {{params.name}} {{params.chain}} >> {notes}; sleep 0.3; echo {{params.name}} {{params.chain}} > {{outputs.out}}''']
files = []
inputs = {{ in = "file?" }}
outputs = {{ out = "file" }}
params = {{ name = "a", chain = 0 }}

[stage.a]
kind = "step"

[stage.b]
kind = "step"
name = "b"
chain = "= a.chain"
inputs = {{ in = "a.out" }}

[stage.c]
kind = "step"
name = "c"
chain = "= a.chain"
inputs = {{ in = "b.out" }}

[sweep]
"a.chain" = [1, 2, 3, 4, 5]
"#
    )
}

#[test]
fn two_machines_that_remember_names_do_nothing_twice() {
    let Some(mounts) = Mounts::new() else { return };
    let notes = mounts.path("notes");
    let project = Project::with(&chains(&notes));
    let children = ["m1", "m2"].map(|mount| {
        let cache = mounts.path(mount).join("cache");
        let mut command = project.command();
        command
            .args(["run", "pipelines/p.toml", "-j", "2", "--threads", "1", "--output", "json", "--cache-dir"])
            .arg(cache);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("strata starts")
    });
    let mut hashes = Vec::new();
    for child in children {
        let ran = child.wait_with_output().expect("it ends");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let json: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("JSON");
        let stages = json["stages"].as_array().expect("stages").clone();
        hashes.push(stages.into_iter().map(|stage| stage["outputs"]["out"]["hash"].clone()).collect::<Vec<_>>());
    }
    assert!(hashes[0] == hashes[1] && hashes[0].len() == 15, "{hashes:?}");
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for line in fs::read_to_string(&notes).expect("notes").lines() {
        *times.entry(line.to_owned()).or_default() += 1;
    }
    assert!(times.len() == 15 && times.values().all(|&times| times == 1), "{times:?}");
}
